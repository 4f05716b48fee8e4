//! embedded-storage's `ReadStorage` as a device. Its offsets have 32 bits, so it ends at 4 GiB.

use core::fmt;

use embedded_storage::ReadStorage;

use crate::device::{BlockRead, BlockSize};

/// The first byte that 32 bits do not reach.
const END: u64 = 1 << 32;

/// A [`ReadStorage`] as a device: byte-addressable.
#[derive(Clone, Copy, Debug)]
pub struct FromStorage<S>(
    /// The storage.
    pub S,
);

/// What a [`FromStorage`] device says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StorageError<E> {
    /// The storage's own error.
    Storage(E),
    /// The storage says that it has more than 4 GiB, which its 32-bit offsets do not reach.
    TooLarge,
}

impl<S> BlockRead for FromStorage<S>
where
    S: ReadStorage,
    S::Error: fmt::Debug,
{
    type Error = StorageError<S::Error>;

    fn block_size(&self) -> BlockSize {
        BlockSize::BYTE
    }

    /// [`StorageError::TooLarge`] for a storage of more than 4 GiB.
    fn size(&mut self) -> Result<u64, Self::Error> {
        match u64::try_from(self.0.capacity()) {
            Ok(len) if len <= END => Ok(len),
            _ => Err(StorageError::TooLarge),
        }
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Self::Error> {
        let offset = u32::try_from(lba).map_err(|_| StorageError::TooLarge)?;
        self.0.read(offset, buf).map_err(StorageError::Storage)
    }
}

impl<E: fmt::Debug> fmt::Display for StorageError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The crate asks for no text of its errors.
            Self::Storage(error) => write!(f, "{error:?}"),
            Self::TooLarge => f.write_str("the storage is larger than the 4 GiB that its offsets reach"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for StorageError<E> {}

impl<E: fmt::Debug> embedded_io::Error for StorageError<E> {
    fn kind(&self) -> embedded_io::ErrorKind {
        match self {
            Self::Storage(_) => embedded_io::ErrorKind::Other,
            Self::TooLarge => embedded_io::ErrorKind::Unsupported,
        }
    }
}
