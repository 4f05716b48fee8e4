//! What a disk says to crates that would also write to it.

use core::fmt;

use crate::error::Error;

/// Why a disk did not do what another crate asked of it. `E` is the device's own error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DiskError<E> {
    /// It could not be read.
    Read(Error<E>),
    /// It was to be written, and is only ever read.
    ReadOnly,
    /// It has more blocks than the other crate can count.
    TooLarge,
    /// It is being read already, further up the stack.
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
            // Its text is this one's, so what comes next is what it was caused by.
            Self::Read(error) => error.source(),
            _ => None,
        }
    }
}
