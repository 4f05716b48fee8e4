//! Adapters to embedded-storage-async: storages as devices, and a disk as a storage.

use core::fmt;

use embedded_storage_async::ReadStorage;
use embedded_storage_async::nor_flash::{ErrorType, ReadNorFlash};

use crate::aio::{AsyncBlockRead, AsyncGuestRead};
use crate::device::BlockSize;
use crate::device::embedded_storage::{FromStorage, StorageError};
use crate::device::nor_flash::{self, FromNorFlash};
use crate::error::Error;
use crate::guest::embedded_storage::{TooLarge, capacity};

impl<S> AsyncBlockRead for FromStorage<S>
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
        self.0.read(offset, buf).await.map_err(StorageError::Storage)
    }
}

impl<F: ReadNorFlash> AsyncBlockRead for FromNorFlash<F> {
    type Error = StorageError<F::Error>;

    fn block_size(&self) -> BlockSize {
        nor_flash::block_size(F::READ_SIZE)
    }

    /// Returns the capacity in bytes, rounded down to whole blocks.
    ///
    /// # Errors
    /// [`StorageError::TooLarge`] for a flash of more than 4 GiB; [`StorageError::ReadSize`] for a `READ_SIZE` that is
    /// not a block size.
    async fn size(&mut self) -> Result<u64, Self::Error> {
        nor_flash::size(F::READ_SIZE, self.0.capacity())
    }

    async fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Self::Error> {
        let offset = nor_flash::offset(F::READ_SIZE, lba)?;
        self.0.read(offset, buf).await.map_err(StorageError::Storage)
    }
}

/// A guest's disk as embedded-storage-async's [`ReadStorage`] and [`ReadNorFlash`]: the counterpart of
/// [`crate::ToStorage`].
///
/// ```
/// # use qcow1::{BlockRead, BlockSize, aio::AsyncBlockRead};
/// # struct Driver(&'static [u8]);
/// # impl AsyncBlockRead for Driver {
/// #     type Error = core::convert::Infallible;
/// #     fn block_size(&self) -> BlockSize { BlockSize::BYTE }
/// #     async fn size(&mut self) -> Result<u64, Self::Error> { self.0.size() }
/// #     async fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Self::Error> { self.0.read_blocks(lba, buf) }
/// # }
/// # let device = Driver(include_bytes!("../../tests/data/plain.qcow"));
/// use embedded_storage_async::ReadStorage;
/// use qcow1::aio::{Image, ToStorage};
///
/// # pollster::block_on(async {
/// let mut memory = [0; 4096];
/// let image = Image::open(device, &mut memory).await?;
/// let mut storage = ToStorage::new(image).expect("the disk has 128 KiB");
/// storage.read(0, &mut [0; 512]).await?;
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// # })?;
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ToStorage<G> {
    guest: G,
    capacity: usize,
}

impl<G: AsyncGuestRead> ToStorage<G> {
    /// Wraps `guest`, which may be a `&mut` reference to a disk.
    ///
    /// # Errors
    /// [`TooLarge`] for a disk of more than 4 GiB, and on 32-bit machines for one of exactly 4 GiB.
    pub fn new(guest: G) -> Result<Self, TooLarge<G>> {
        match capacity(guest.size()) {
            Some(capacity) => Ok(Self { guest, capacity }),
            None => Err(TooLarge(guest)),
        }
    }

    /// Returns the wrapped disk.
    #[must_use]
    pub fn into_inner(self) -> G {
        self.guest
    }
}

impl<G: AsyncGuestRead> ReadStorage for ToStorage<G> {
    type Error = Error<G::Error>;

    /// Fills `bytes` with the guest's bytes from `offset` on.
    ///
    /// # Errors
    /// As [`AsyncGuestRead::read_at`].
    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.guest.read_at(offset.into(), bytes).await
    }

    fn capacity(&self) -> usize {
        self.capacity
    }
}

impl<G: AsyncGuestRead> ErrorType for ToStorage<G> {
    type Error = Error<G::Error>;
}

impl<G: AsyncGuestRead> ReadNorFlash for ToStorage<G> {
    const READ_SIZE: usize = 1;

    /// Fills `bytes` with the guest's bytes from `offset` on.
    ///
    /// # Errors
    /// As [`AsyncGuestRead::read_at`].
    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.guest.read_at(offset.into(), bytes).await
    }

    fn capacity(&self) -> usize {
        self.capacity
    }
}
