//! Where and how an image contradicts its format.

use core::fmt;

#[cfg(feature = "deflate")]
use crate::inflate::InflateError;
use crate::offset::{GuestOffset, HostOffset};

/// A flaw of an image: where and how it contradicts its format.
///
/// `Display` describes the flaw to a person; the methods return its kind and its place to a program.
///
/// ```
/// # let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// use qcow1::{CorruptKind, Error, Image};
///
/// let truncated = &file[..file.len() - 4096];
/// let mut memory = [0; 4096];
/// let mut image = Image::open(truncated, &mut memory)?;
/// let mut disk = vec![0; 131_072];
/// match image.read_at(0, &mut disk) {
///     Err(Error::Corrupt(corrupt)) => {
///         assert_eq!(corrupt.kind(), CorruptKind::Cluster);
///         println!("guest {:?}, host {:?}: {corrupt}", corrupt.guest_offset(), corrupt.host_offset());
///     }
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Corrupt {
    flaw: Flaw,
    guest: GuestOffset,
    host: HostOffset,
}

/// The part of an image that is corrupt; see [`Corrupt::kind`].
///
/// ```
/// # let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// use qcow1::{CorruptKind, Error, Image};
///
/// let mut memory = [0; 512];
/// let error = Image::open(&file[..40], &mut memory).unwrap_err().into_error();
/// match error {
///     Error::Corrupt(corrupt) if corrupt.kind() == CorruptKind::Header => println!("no valid header: {corrupt}"),
///     error => panic!("{error}"),
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CorruptKind {
    /// The 48 bytes at the start of the file.
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

/// The rule of the format that the image breaks. Each variant's doc states what `Corrupt`'s host offset is.
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
    /// The start of the name.
    NamePastEnd,
    /// The start of the table.
    L1PastEnd,
    /// The word without bit 63.
    L1Flag,
    /// The start of the table.
    L2PastEnd,
    /// The start of the cluster.
    ClusterMisaligned,
    /// The start of the cluster.
    ClusterPastEnd,
    /// The start of the stream.
    CompressedEmpty,
    /// The start of the stream.
    CompressedPastEnd,
    /// The start of the L1 table.
    L1OverHeader,
    /// The start of the part. Only a check reports it.
    OverMetadata(Part),
    /// The start of the part. Only a check reports it.
    Twice(Part),
    /// The start of the table. Only a check reports it.
    TooManyTables,
    /// The start of the stream.
    #[cfg(feature = "deflate")]
    Stream(InflateError),
}

/// A part of the file that a table word refers to.
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
    /// Creates a flaw of the header, which has no guest offset.
    pub(crate) const fn header(flaw: Flaw, value: u64) -> Self {
        Self::at(flaw, GuestOffset(0), HostOffset(value))
    }

    pub(crate) const fn at(flaw: Flaw, guest: GuestOffset, host: HostOffset) -> Self {
        Self { flaw, guest, host }
    }

    pub(crate) const fn flaw(&self) -> Flaw {
        self.flaw
    }

    /// Returns the first guest byte that the flaw concerns; 0 if it concerns the whole disk.
    pub(crate) const fn guest(&self) -> GuestOffset {
        self.guest
    }

    /// Returns the part of the image that is corrupt.
    #[must_use]
    pub const fn kind(&self) -> CorruptKind {
        match self.flaw {
            Flaw::HeaderCut | Flaw::SizeTooSmall | Flaw::SizeTooLarge | Flaw::ClusterBits | Flaw::L2Bits => {
                CorruptKind::Header
            }
            Flaw::NameTooLong | Flaw::NamePastEnd => CorruptKind::BackingName,
            Flaw::L1PastEnd | Flaw::L1OverHeader | Flaw::L1Flag => CorruptKind::L1Table,
            Flaw::OverMetadata(part) | Flaw::Twice(part) => part.kind(),
            Flaw::L2PastEnd | Flaw::TooManyTables => CorruptKind::L2Table,
            Flaw::ClusterMisaligned | Flaw::ClusterPastEnd => CorruptKind::Cluster,
            Flaw::CompressedEmpty | Flaw::CompressedPastEnd => CorruptKind::CompressedCluster,
            #[cfg(feature = "deflate")]
            Flaw::Stream(_) => CorruptKind::CompressedCluster,
        }
    }

    /// Returns the first guest byte that the flaw concerns, or `None` if it concerns the whole disk.
    #[must_use]
    pub const fn guest_offset(&self) -> Option<u64> {
        match self.kind() {
            CorruptKind::Header | CorruptKind::BackingName => None,
            CorruptKind::L1Table if matches!(self.flaw, Flaw::L1PastEnd | Flaw::L1OverHeader) => None,
            _ => Some(self.guest.0),
        }
    }

    /// Returns the byte offset in the image file that the flaw concerns, or `None` if a header field has a wrong value.
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
            guest: GuestOffset(guest),
            host: HostOffset(host),
        } = *self;
        f.write_str("corrupt image: ")?;
        match flaw {
            Flaw::HeaderCut => write!(f, "the file ends after {host} bytes, inside its header"),
            Flaw::SizeTooSmall => write!(f, "the disk's size is {host} bytes; the minimum is 2"),
            Flaw::SizeTooLarge => write!(f, "the disk's size, {host:#x} bytes, is too large to be addressed"),
            Flaw::ClusterBits => write!(f, "cluster_bits is {host}, not 9 to 16"),
            Flaw::L2Bits => write!(f, "l2_bits is {host}, not 6 to 13"),
            Flaw::NameTooLong => write!(f, "the backing file's name has {host} bytes; the maximum is 1023"),
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
                "the cluster for guest offset {guest:#x} is at host offset {host:#x}, which is not a multiple of 512"
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
            Flaw::TooManyTables => write!(
                f,
                "the L2 table for guest offset {guest:#x}, at host offset {host:#x}, exceeds the number of L2 tables \
                 that fit in the file, so some overlap"
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

/// It is not beside its type, because tests and benches compile the decoder's source by itself.
#[cfg(all(feature = "defmt", feature = "deflate"))]
impl defmt::Format for InflateError {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{}", defmt::Debug2Format(self));
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
