//! `Corrupt`: how an image contradicts its format, and at which offsets.

use core::fmt;

#[cfg(feature = "deflate-small")]
use qcow1_inflate::InflateError;

use crate::offset::{GuestOffset, HostOffset};

/// A flaw of an image: how it contradicts its format, and at which offsets.
///
/// `Display` describes the flaw to a person; the methods return its kind and its place to a
/// program.
///
/// ```
/// use qcow1::{CorruptKind, Error, Image};
///
/// let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// let truncated = &file[..file.len() - 4096];
/// let mut memory = [0; 4096];
/// let mut image = Image::open(truncated, &mut memory)?;
/// let mut disk = vec![0; 131_072];
/// match image.read_at(0, &mut disk) {
///     Err(Error::Corrupt(corrupt)) => {
///         assert_eq!(corrupt.kind(), CorruptKind::ClusterPastEnd);
///         println!("guest {:?}, host {:?}: {corrupt}", corrupt.guest_offset(), corrupt.host_offset());
///     }
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Corrupt(Inner);

#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Inner {
    /// A header field has a wrong value.
    Value { kind: CorruptKind, value: u64 },
    /// A part of the file that concerns the whole disk is wrong.
    File { kind: CorruptKind, host: HostOffset },
    /// What the tables say of guest bytes is wrong.
    Mapping {
        flaw: Flaw,
        guest: GuestOffset,
        host: HostOffset,
    },
}

/// A broken rule, with its details.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) enum Flaw {
    Rule(CorruptKind),
    /// [`CorruptKind::Stream`], and why.
    #[cfg(feature = "deflate-small")]
    Stream(InflateError),
}

/// The rule of the format that an image breaks; see [`Corrupt::kind`].
///
/// ```
/// use qcow1::{CorruptKind, Error, Image};
///
/// let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// match Image::open(&file[..40], [0; 512]).unwrap_err().into_error() {
///     Error::Corrupt(corrupt) if corrupt.kind() == CorruptKind::HeaderTruncated => println!("a failed download: {corrupt}"),
///     error => panic!("{error}"),
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CorruptKind {
    /// The file ends inside its header.
    HeaderTruncated,
    /// The disk's size is less than 2 bytes.
    SizeTooSmall,
    /// The disk's size is so large that its last L1 entry would reach past 2^64 bytes.
    SizeTooLarge,
    /// `cluster_bits` is not 9 to 16.
    ClusterBits,
    /// `l2_bits` is not 6 to 13.
    L2Bits,
    /// The backing file's name has more than 1,023 bytes.
    BackingNameTooLong,
    /// The backing file's name reaches past the end of the file.
    BackingNamePastEnd,
    /// The L1 table reaches past the end of the file.
    L1PastEnd,
    /// The L1 table overlaps the header. Only a check reports it.
    L1OverlapsHeader,
    /// Bit 63 of an L1 entry is set.
    L1Bit63Set,
    /// An L2 table reaches past the end of the file.
    L2PastEnd,
    /// There are more L2 tables than fit in the file, so some overlap. Only a check reports it.
    TooManyTables,
    /// A plain cluster starts at a host offset that is not a multiple of 512.
    ClusterMisaligned,
    /// A plain cluster reaches past the end of the file.
    ClusterPastEnd,
    /// A compressed cluster has a size of 0 bytes.
    StreamEmpty,
    /// A compressed cluster reaches past the end of the file.
    StreamPastEnd,
    /// A compressed cluster does not inflate to a cluster.
    Stream,
    /// This part overlaps the header or the L1 table. Only a check reports it.
    OverlapsMetadata(CorruptPart),
    /// This part overlaps another table or cluster. Only a check reports it.
    Overlap(CorruptPart),
}

/// The part of an image that is corrupt; see [`Corrupt::part`].
///
/// ```
/// use qcow1::{CorruptPart, Error, Image};
///
/// let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// match Image::open(&file[..40], [0; 512]).unwrap_err().into_error() {
///     Error::Corrupt(corrupt) if corrupt.part() == CorruptPart::Header => println!("no valid header: {corrupt}"),
///     error => panic!("{error}"),
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CorruptPart {
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

impl fmt::Display for CorruptPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "the header",
            Self::BackingName => "the backing file's name",
            Self::L1Table => "the L1 table",
            Self::L2Table => "the L2 table",
            Self::Cluster => "the cluster",
            Self::CompressedCluster => "the compressed cluster",
        })
    }
}

impl CorruptKind {
    /// Returns the part of the image that breaks the rule.
    #[must_use]
    pub const fn part(self) -> CorruptPart {
        match self {
            Self::HeaderTruncated | Self::SizeTooSmall | Self::SizeTooLarge | Self::ClusterBits | Self::L2Bits => {
                CorruptPart::Header
            }
            Self::BackingNameTooLong | Self::BackingNamePastEnd => CorruptPart::BackingName,
            Self::L1PastEnd | Self::L1OverlapsHeader | Self::L1Bit63Set => CorruptPart::L1Table,
            Self::L2PastEnd | Self::TooManyTables => CorruptPart::L2Table,
            Self::ClusterMisaligned | Self::ClusterPastEnd => CorruptPart::Cluster,
            Self::StreamEmpty | Self::StreamPastEnd | Self::Stream => CorruptPart::CompressedCluster,
            Self::OverlapsMetadata(part) | Self::Overlap(part) => part,
        }
    }
}

impl Corrupt {
    /// Creates a flaw of a header field with a wrong value.
    pub(crate) const fn value(kind: CorruptKind, value: u64) -> Self {
        Self(Inner::Value { kind, value })
    }

    /// Creates a flaw of a part of the file that concerns the whole disk.
    pub(crate) const fn in_file(kind: CorruptKind, host: HostOffset) -> Self {
        Self(Inner::File { kind, host })
    }

    /// Creates a flaw of a table, a cluster or a stream.
    pub(crate) const fn at(flaw: Flaw, guest: GuestOffset, host: HostOffset) -> Self {
        Self(Inner::Mapping { flaw, guest, host })
    }

    const fn flaw(&self) -> Flaw {
        match self.0 {
            Inner::Value { kind, .. } | Inner::File { kind, .. } => Flaw::Rule(kind),
            Inner::Mapping { flaw, .. } => flaw,
        }
    }

    /// Returns whether `other` is the same flaw, perhaps at another place.
    #[cfg(feature = "check")]
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.flaw() == other.flaw()
    }

    /// Returns the first guest byte that the flaw concerns; 0 if it concerns the whole disk.
    #[cfg(feature = "check")]
    pub(crate) const fn guest(&self) -> GuestOffset {
        match self.0 {
            Inner::Value { .. } | Inner::File { .. } => GuestOffset(0),
            Inner::Mapping { guest, .. } => guest,
        }
    }

    /// Returns the rule that the image breaks.
    #[must_use]
    pub const fn kind(&self) -> CorruptKind {
        match self.flaw() {
            Flaw::Rule(kind) => kind,
            #[cfg(feature = "deflate-small")]
            Flaw::Stream(_) => CorruptKind::Stream,
        }
    }

    /// Returns the part of the image that is corrupt.
    #[must_use]
    pub const fn part(&self) -> CorruptPart {
        self.kind().part()
    }

    /// Returns the first guest byte that the flaw concerns, or `None` if it concerns the whole
    /// disk.
    #[must_use]
    pub const fn guest_offset(&self) -> Option<u64> {
        match self.0 {
            Inner::Value { .. } | Inner::File { .. } => None,
            Inner::Mapping { guest, .. } => Some(guest.0),
        }
    }

    /// Returns the byte offset in the image file that the flaw concerns, or `None` if a header
    /// field has a wrong value.
    #[must_use]
    pub const fn host_offset(&self) -> Option<u64> {
        match self.0 {
            Inner::Value { .. } => None,
            Inner::File { host, .. } | Inner::Mapping { host, .. } => Some(host.0),
        }
    }
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (guest, host, value) = match self.0 {
            Inner::Value { value, .. } => (0, 0, value),
            Inner::File { host, .. } => (0, host.0, 0),
            Inner::Mapping { guest, host, .. } => (guest.0, host.0, 0),
        };
        f.write_str("corrupt image: ")?;
        match self.kind() {
            CorruptKind::HeaderTruncated => write!(f, "the file ends after {host} bytes, inside its header"),
            CorruptKind::SizeTooSmall => write!(f, "the disk's size is {value} bytes; the minimum is 2"),
            CorruptKind::SizeTooLarge => write!(f, "the disk's size, {value:#x} bytes, is too large to be addressed"),
            CorruptKind::ClusterBits => write!(f, "cluster_bits is {value}, not 9 to 16"),
            CorruptKind::L2Bits => write!(f, "l2_bits is {value}, not 6 to 13"),
            CorruptKind::BackingNameTooLong => {
                write!(f, "the backing file's name has {value} bytes; the maximum is 1023")
            }
            CorruptKind::BackingNamePastEnd => {
                write!(
                    f,
                    "the backing file's name at host offset {host:#x} reaches past the end of the file"
                )
            }
            CorruptKind::L1PastEnd => write!(
                f,
                "the L1 table at host offset {host:#x} reaches past the end of the file"
            ),
            CorruptKind::L1Bit63Set => write!(
                f,
                "the L1 entry for guest offset {guest:#x} has bit 63 set (its low bits are {host:#x})"
            ),
            CorruptKind::L2PastEnd => write!(
                f,
                "the L2 table for guest offset {guest:#x}, at host offset {host:#x}, reaches past the end of the file"
            ),
            CorruptKind::ClusterMisaligned => write!(
                f,
                "the cluster for guest offset {guest:#x} is at host offset {host:#x}, which is not a multiple of 512"
            ),
            CorruptKind::ClusterPastEnd => write!(
                f,
                "the cluster for guest offset {guest:#x}, at host offset {host:#x}, reaches past the end of the file"
            ),
            CorruptKind::StreamEmpty => write!(
                f,
                "the compressed cluster for guest offset {guest:#x}, at host offset {host:#x}, has size 0"
            ),
            CorruptKind::StreamPastEnd => write!(
                f,
                "the compressed cluster for guest offset {guest:#x}, at host offset {host:#x}, reaches past the end \
                 of the file"
            ),
            CorruptKind::L1OverlapsHeader => write!(f, "the L1 table at host offset {host:#x} overlaps the header"),
            CorruptKind::OverlapsMetadata(part) => write!(
                f,
                "{part} for guest offset {guest:#x}, at host offset {host:#x}, overlaps the header or the L1 table"
            ),
            CorruptKind::Overlap(part) => write!(
                f,
                "{part} for guest offset {guest:#x}, at host offset {host:#x}, overlaps another table or cluster"
            ),
            CorruptKind::TooManyTables => write!(
                f,
                "the L2 table for guest offset {guest:#x}, at host offset {host:#x}, exceeds the number of L2 tables \
                 that fit in the file, so some overlap"
            ),
            CorruptKind::Stream => {
                write!(
                    f,
                    "the compressed cluster for guest offset {guest:#x}, at host offset {host:#x}, cannot be inflated"
                )?;
                #[cfg(feature = "deflate-small")]
                if let Flaw::Stream(reason) = self.flaw() {
                    write!(f, ": {reason}")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Corrupt")
            .field("flaw", &self.flaw())
            .field("guest_offset", &self.guest_offset())
            .field("host_offset", &self.host_offset())
            .finish_non_exhaustive()
    }
}

impl core::error::Error for Corrupt {}
