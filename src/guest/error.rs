//! The error of adapters to block device traits that can also write.

use core::fmt;

use crate::error::Error;

/// The error of the adapters `ToBlockDevice` and `ToBlockIo`. `E` is the error of the device below.
///
#[cfg_attr(feature = "gpt_disk_io", doc = "```")]
#[cfg_attr(not(feature = "gpt_disk_io"), doc = "```ignore")]
/// use gpt_disk_io::{BlockIo, gpt_disk_types::{BlockSize, Lba}};
/// use qcow1::{DiskError, Error, Image, ToBlockIo};
///
/// let file: &[u8] = include_bytes!("../../tests/data/plain.qcow"); let mut memory = [0; 4096]; let
/// mut disk = ToBlockIo::new(Image::open(file, &mut memory)?, BlockSize::BS_512);
/// assert_eq!(disk.read_blocks(Lba(256), &mut [0; 512]),
/// Err(DiskError::Device(Error::OutOfRange))); assert_eq!(disk.write_blocks(Lba(0), &[0; 512]),
/// Err(DiskError::ReadOnly));
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DiskError<E> {
    /// The disk could not be read.
    Device(Error<E>),
    /// A write was requested, and the disk is read-only.
    ReadOnly,
    /// The disk has more blocks than the other crate can count.
    TooLarge,
    /// The call was made from inside another read of the same adapter.
    Busy,
}

impl<E: fmt::Debug> fmt::Display for DiskError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(error) => fmt::Display::fmt(error, f),
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
            Self::Device(error) => error.source(),
            _ => None,
        }
    }
}
