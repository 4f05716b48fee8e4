//! embedded-storage's `ReadStorage`, both ways. Its offsets have 32 bits, so it ends at 4 GiB.

use core::fmt;

use embedded_storage::ReadStorage;

use crate::device::{BlockRead, BlockSize};
use crate::error::Error;
use crate::guest::GuestRead;

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
    fn len(&mut self) -> Result<u64, Self::Error> {
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

/// A guest's disk as a [`ReadStorage`], for the crates that read those.
#[derive(Clone, Copy, Debug)]
pub struct ToStorage<G> {
    guest: G,
    capacity: usize,
}

/// A disk is larger than a [`ReadStorage`] can be: than 4 GiB, or than the address space. It comes back.
#[derive(Clone, Copy)]
pub struct TooLarge<G>(
    /// The disk.
    pub G,
);

impl<G: GuestRead> ToStorage<G> {
    /// Shows `guest` as a storage. `&mut` of it will do.
    ///
    /// # Errors
    /// [`TooLarge`] for a disk of more than 4 GiB, and on machines of 32 bits for one of 4 GiB.
    pub fn new(guest: G) -> Result<Self, TooLarge<G>> {
        let len = guest.len();
        match usize::try_from(len) {
            Ok(capacity) if len <= END => Ok(Self { guest, capacity }),
            _ => Err(TooLarge(guest)),
        }
    }

    /// Gives the disk back.
    #[must_use]
    pub fn into_inner(self) -> G {
        self.guest
    }
}

impl<G: GuestRead> ReadStorage for ToStorage<G> {
    type Error = Error<G::Error>;

    /// [`Error::OutOfRange`] where the bytes do not all lie inside the disk.
    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.guest.read_at(offset.into(), bytes)
    }

    fn capacity(&self) -> usize {
        self.capacity
    }
}

impl<G> fmt::Display for TooLarge<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the disk is larger than the 4 GiB that 32-bit offsets reach")
    }
}

impl<G> fmt::Debug for TooLarge<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TooLarge").finish_non_exhaustive()
    }
}

impl<G> core::error::Error for TooLarge<G> {}
