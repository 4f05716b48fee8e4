//! What can go wrong, as sentences that a person can act on.

use core::convert::Infallible;
use core::fmt;

use crate::geometry::{Guest, Host};
#[cfg(feature = "deflate")]
use crate::inflate::InflateError;

/// Why a call failed. `E` is the device's own error.
///
/// After any of these the image is as usable as before: the same call may be tried again, and other calls are not
/// affected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error<E> {
    /// The device failed; this is what it said.
    Io(E),
    /// The file does not begin with QCOW's magic number.
    NotQcow,
    /// The file asks for something that this crate does not read.
    Unsupported(Unsupported),
    /// The image contradicts its own format.
    Corrupt(Corrupt),
    /// The bytes asked for do not lie inside the disk (or, for a seek, before its first byte).
    OutOfRange,
    /// The memory, or a buffer, that the caller lent is too small for this call.
    MemoryTooSmall {
        /// The bytes that would do. What works in less still works.
        needed: usize,
    },
    /// The guest bytes lie in a hole of an image that names a backing file, and none was supplied: put the image on a
    /// [`Chain`](crate::Chain) with its backing image below it.
    BackingRequired,
    /// The guest bytes lie in an encrypted cluster, and the image has no key.
    KeyRequired,
}

/// A failure that no device had a part in.
pub(crate) type Fault = Error<Infallible>;

impl Fault {
    /// The same failure, where a device's might have stood.
    pub(crate) fn widen<E>(self) -> Error<E> {
        match self {
            Self::Io(never) => match never {},
            Self::NotQcow => Error::NotQcow,
            Self::Unsupported(what) => Error::Unsupported(what),
            Self::Corrupt(what) => Error::Corrupt(what),
            Self::OutOfRange => Error::OutOfRange,
            Self::MemoryTooSmall { needed } => Error::MemoryTooSmall { needed },
            Self::BackingRequired => Error::BackingRequired,
            Self::KeyRequired => Error::KeyRequired,
        }
    }
}

impl<E: fmt::Debug> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the device could not be read: {error:?}"),
            Self::NotQcow => f.write_str("not a QCOW image: the magic number is missing"),
            Self::Unsupported(what) => fmt::Display::fmt(what, f),
            Self::Corrupt(what) => fmt::Display::fmt(what, f),
            Self::OutOfRange => f.write_str("the range does not lie inside the disk"),
            Self::MemoryTooSmall { needed } => {
                write!(f, "the memory lent is too small: {needed} bytes are needed")
            }
            Self::BackingRequired => {
                f.write_str("the image has a hole there and names a backing file, which was not supplied")
            }
            Self::KeyRequired => f.write_str("the cluster is encrypted, and the image has no key"),
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for Error<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl<E: embedded_io::Error + 'static> embedded_io::Error for Error<E> {
    fn kind(&self) -> embedded_io::ErrorKind {
        match self {
            Self::Io(error) => error.kind(),
            other => other.kind_unless_io(),
        }
    }
}

impl<E> Error<E> {
    /// The kind of what is not the device's own error.
    pub(crate) const fn kind_unless_io(&self) -> embedded_io::ErrorKind {
        match self {
            Self::Io(_) => embedded_io::ErrorKind::Other,
            Self::NotQcow | Self::Corrupt(_) => embedded_io::ErrorKind::InvalidData,
            Self::Unsupported(_) => embedded_io::ErrorKind::Unsupported,
            Self::OutOfRange => embedded_io::ErrorKind::InvalidInput,
            Self::MemoryTooSmall { .. } => embedded_io::ErrorKind::OutOfMemory,
            Self::BackingRequired => embedded_io::ErrorKind::NotFound,
            Self::KeyRequired => embedded_io::ErrorKind::PermissionDenied,
        }
    }
}

/// What a file asks for that this crate does not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Unsupported {
    /// QCOW, but of this version: 2 and 3 are what `qemu-img` calls `qcow2`.
    Version(u32),
    /// An encryption method other than 0 (none) and 1 (AES).
    CryptMethod(u32),
    /// A compressed cluster, which this build does not decode.
    Compression,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => {
                write!(f, "unsupported QCOW version {version}: only version 1 is read")
            }
            Self::CryptMethod(method) => write!(f, "unsupported encryption method {method}"),
            Self::Compression => f.write_str("the cluster is compressed, and this build does not decode that"),
        }
    }
}

/// Where and how an image contradicts its own format.
///
/// Its `Display` says it in full; the methods are for programs.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Corrupt {
    flaw: Flaw,
    guest: Guest,
    host: Host,
}

/// The part of an image that is corrupt.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CorruptKind {
    /// The 48 bytes at the start.
    Header,
    /// The backing file's name.
    BackingName,
    /// The L1 table, or a word in it.
    L1Table,
    /// An L2 table, or a word in it.
    L2Table,
    /// A plain cluster.
    Cluster,
    /// A compressed cluster.
    CompressedCluster,
}

/// The rule that was broken. The meaning of [`Corrupt::host`] stands beside each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) enum Flaw {
    /// The file's length.
    HeaderCut,
    /// The size itself.
    SizeTooSmall,
    /// The size itself.
    SizeTooLarge,
    /// The field itself.
    ClusterBits,
    /// The field itself.
    L2Bits,
    /// The length itself.
    NameTooLong,
    /// Where the name starts.
    NamePastEnd,
    /// Where the table starts.
    L1PastEnd,
    /// The word with bit 63 masked off.
    L1Flag,
    /// Where the table starts.
    L2PastEnd,
    /// Where the cluster starts.
    ClusterMisaligned,
    /// Where the cluster starts.
    ClusterPastEnd,
    /// Where the stream starts.
    CompressedEmpty,
    /// Where the stream starts.
    CompressedPastEnd,
    /// Where the L1 table starts.
    L1OverHeader,
    /// Where the part starts. No reader minds; a check does.
    OverMetadata(Part),
    /// Where the part starts. No reader minds; a check does.
    Twice(Part),
    /// Where the stream starts.
    #[cfg(feature = "deflate")]
    Stream(InflateError),
}

/// A part of the file that a table word leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) enum Part {
    Table,
    Cluster,
    Stream,
}

impl Part {
    const fn kind(self) -> CorruptKind {
        match self {
            Self::Table => CorruptKind::L2Table,
            Self::Cluster => CorruptKind::Cluster,
            Self::Stream => CorruptKind::CompressedCluster,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Table => "the L2 table",
            Self::Cluster => "the cluster",
            Self::Stream => "the compressed cluster",
        })
    }
}

impl Corrupt {
    /// A flaw of the header, which has no guest offset.
    pub(crate) const fn header(flaw: Flaw, value: u64) -> Self {
        Self::at(flaw, Guest(0), Host(value))
    }

    pub(crate) const fn at(flaw: Flaw, guest: Guest, host: Host) -> Self {
        Self { flaw, guest, host }
    }

    /// The part of the image that is corrupt.
    #[must_use]
    pub const fn kind(&self) -> CorruptKind {
        match self.flaw {
            Flaw::HeaderCut | Flaw::SizeTooSmall | Flaw::SizeTooLarge | Flaw::ClusterBits | Flaw::L2Bits => {
                CorruptKind::Header
            }
            Flaw::NameTooLong | Flaw::NamePastEnd => CorruptKind::BackingName,
            Flaw::L1PastEnd | Flaw::L1OverHeader | Flaw::L1Flag => CorruptKind::L1Table,
            Flaw::OverMetadata(part) | Flaw::Twice(part) => part.kind(),
            Flaw::L2PastEnd => CorruptKind::L2Table,
            Flaw::ClusterMisaligned | Flaw::ClusterPastEnd => CorruptKind::Cluster,
            Flaw::CompressedEmpty | Flaw::CompressedPastEnd => CorruptKind::CompressedCluster,
            #[cfg(feature = "deflate")]
            Flaw::Stream(_) => CorruptKind::CompressedCluster,
        }
    }

    /// The first guest byte that the flaw concerns; `None` where it concerns the whole disk.
    #[must_use]
    pub const fn guest_offset(&self) -> Option<u64> {
        match self.kind() {
            CorruptKind::Header | CorruptKind::BackingName => None,
            CorruptKind::L1Table if matches!(self.flaw, Flaw::L1PastEnd | Flaw::L1OverHeader) => None,
            _ => Some(self.guest.0),
        }
    }

    /// The byte offset in the image file that the flaw concerns; `None` where a value is wrong, not a place.
    #[must_use]
    pub const fn host_offset(&self) -> Option<u64> {
        match self.flaw {
            Flaw::SizeTooSmall | Flaw::SizeTooLarge | Flaw::ClusterBits | Flaw::L2Bits | Flaw::NameTooLong => None,
            _ => Some(self.host.0),
        }
    }
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            flaw,
            guest: Guest(guest),
            host: Host(host),
        } = *self;
        f.write_str("corrupt image: ")?;
        match flaw {
            Flaw::HeaderCut => write!(f, "the file ends after {host} bytes, inside its header"),
            Flaw::SizeTooSmall => write!(f, "the disk's size is {host} bytes; the least is 2"),
            Flaw::SizeTooLarge => write!(f, "the disk's size, {host:#x} bytes, is too large to be addressed"),
            Flaw::ClusterBits => write!(f, "cluster_bits is {host}, not 9 to 16"),
            Flaw::L2Bits => write!(f, "l2_bits is {host}, not 6 to 13"),
            Flaw::NameTooLong => write!(f, "the backing file's name has {host} bytes; the most is 1023"),
            Flaw::NamePastEnd => {
                write!(
                    f,
                    "the backing file's name at host offset {host:#x} reaches past the end of the file"
                )
            }
            Flaw::L1PastEnd => write!(
                f,
                "the L1 table at host offset {host:#x} reaches past the end of the file"
            ),
            Flaw::L1Flag => write!(
                f,
                "the L1 entry for guest offset {guest:#x} has bit 63 set (its low bits are {host:#x})"
            ),
            Flaw::L2PastEnd => write!(
                f,
                "the L2 table for guest offset {guest:#x}, at host offset {host:#x}, reaches past the end of the file"
            ),
            Flaw::ClusterMisaligned => write!(
                f,
                "the cluster for guest offset {guest:#x} is at host offset {host:#x}, no multiple of 512"
            ),
            Flaw::ClusterPastEnd => write!(
                f,
                "the cluster for guest offset {guest:#x}, at host offset {host:#x}, reaches past the end of the file"
            ),
            Flaw::CompressedEmpty => write!(
                f,
                "the compressed cluster for guest offset {guest:#x}, at host offset {host:#x}, has size 0"
            ),
            Flaw::CompressedPastEnd => write!(
                f,
                "the compressed cluster for guest offset {guest:#x}, at host offset {host:#x}, reaches past the end \
                 of the file"
            ),
            Flaw::L1OverHeader => write!(f, "the L1 table at host offset {host:#x} overlaps the header"),
            Flaw::OverMetadata(part) => write!(
                f,
                "{part} for guest offset {guest:#x}, at host offset {host:#x}, overlaps the header or the L1 table"
            ),
            Flaw::Twice(part) => write!(
                f,
                "{part} for guest offset {guest:#x}, at host offset {host:#x}, overlaps another table or cluster"
            ),
            #[cfg(feature = "deflate")]
            Flaw::Stream(reason) => write!(
                f,
                "the compressed cluster for guest offset {guest:#x}, at host offset {host:#x}, cannot be inflated: \
                 {reason}"
            ),
        }
    }
}

impl fmt::Debug for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Corrupt")
            .field("flaw", &self.flaw)
            .field("guest_offset", &self.guest_offset())
            .field("host_offset", &self.host_offset())
            .finish_non_exhaustive()
    }
}

impl core::error::Error for Corrupt {}

/// An image could not be opened; the device comes back with the reason.
pub struct OpenError<D, E> {
    device: D,
    error: Error<E>,
}

impl<D, E> OpenError<D, E> {
    pub(crate) fn new(device: D, error: Error<E>) -> Self {
        Self { device, error }
    }

    /// The reason.
    pub fn error(&self) -> &Error<E> {
        &self.error
    }

    /// The device, to be used for something else.
    pub fn into_device(self) -> D {
        self.device
    }

    /// The reason, where the device is of no more use.
    pub fn into_error(self) -> Error<E> {
        self.error
    }

    /// The device and the reason.
    pub fn into_parts(self) -> (D, Error<E>) {
        (self.device, self.error)
    }
}

impl<D, E: fmt::Debug> fmt::Debug for OpenError<D, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenError")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<D, E: fmt::Debug> fmt::Display for OpenError<D, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl<D, E: core::error::Error + 'static> core::error::Error for OpenError<D, E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.error.source()
    }
}
