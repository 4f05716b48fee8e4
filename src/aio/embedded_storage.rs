//! Adapters to embedded-storage-async: storages as devices, and a disk as a storage.

use core::fmt;

use embedded_storage_async::ReadStorage;
use embedded_storage_async::nor_flash::ReadNorFlash;

use crate::aio::{BlockRead, GuestRead};
use crate::device::BlockSize;
use crate::device::embedded_storage::{FromStorage, StorageError};
use crate::device::nor_flash::{self, FromNorFlash};
use crate::error::Error;
use crate::guest::embedded_storage::ToStorage;

impl<S> BlockRead for FromStorage<S>
where
    S: ReadStorage,
    S::Error: fmt::Debug,
{
    type Error = StorageError<S::Error>;

    fn block_size(&self) -> BlockSize {
        BlockSize::BYTE
    }

    /// Returns the capacity in bytes.
    ///
    /// # Errors
    /// [`StorageError::TooLarge`] for a storage of more than 4 GiB.
    async fn size(&mut self) -> Result<u64, Self::Error> {
        StorageError::size(self.0.capacity())
    }

    async fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Self::Error> {
        let offset = StorageError::offset(lba)?;
        self.0.read(offset, buf).await.map_err(StorageError::Device)
    }
}

impl<F: ReadNorFlash> BlockRead for FromNorFlash<F> {
    type Error = StorageError<F::Error>;

    fn block_size(&self) -> BlockSize {
        nor_flash::block_size(F::READ_SIZE)
    }

    /// Returns the capacity in bytes, rounded down to whole blocks.
    ///
    /// # Errors
    /// [`StorageError::TooLarge`] for a flash of more than 4 GiB; [`StorageError::ReadSize`] for a
    /// `READ_SIZE` that is not a block size.
    async fn size(&mut self) -> Result<u64, Self::Error> {
        nor_flash::size(F::READ_SIZE, self.0.capacity())
    }

    async fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Self::Error> {
        let offset = nor_flash::offset(F::READ_SIZE, lba)?;
        self.0.read(offset, buf).await.map_err(StorageError::Device)
    }
}

impl<G: GuestRead> ReadStorage for ToStorage<G> {
    type Error = Error<G::Error>;

    /// Fills `bytes` with the guest's bytes that start at `offset`.
    ///
    /// # Errors
    /// As [`GuestRead::read_at`].
    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.guest.read_at(offset.into(), bytes).await
    }

    fn capacity(&self) -> usize {
        self.capacity
    }
}

impl<G: GuestRead> ReadNorFlash for ToStorage<G> {
    const READ_SIZE: usize = 1;

    /// Fills `bytes` with the guest's bytes that start at `offset`.
    ///
    /// # Errors
    /// As [`GuestRead::read_at`].
    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.guest.read_at(offset.into(), bytes).await
    }

    fn capacity(&self) -> usize {
        self.capacity
    }
}
