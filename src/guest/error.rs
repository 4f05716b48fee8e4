//! The errors of disks that are shown to crates which would also write.

use core::fmt;

use crate::error::Error;

/// Why a disk did not do what another crate asked of it. `E` is the error of the device below.
///
/// The disks that return it are `ToBlockDevice` and `ToBlockIo`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DiskError<E> {
    /// The disk could not be read.
    Read(Error<E>),
    /// The disk was to be written.
    ReadOnly,
    /// The disk has more blocks than the other crate can count.
    TooLarge,
    /// The disk is being read already, by a caller of this call.
    Busy,
}

impl<E: fmt::Debug> fmt::Display for DiskError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => fmt::Display::fmt(error, f),
            Self::ReadOnly => f.write_str("the disk is read-only"),
            Self::TooLarge => f.write_str("the disk has more blocks than can be counted"),
            Self::Busy => f.write_str("the disk is being read already"),
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for DiskError<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            // `Display` forwards to the inner error, so `source` skips it.
            Self::Read(error) => error.source(),
            _ => None,
        }
    }
}
