//! embedded-storage's `ReadNorFlash` as a device, in blocks of its `READ_SIZE`.

use embedded_storage::nor_flash::ReadNorFlash;

use crate::device::embedded_storage::StorageError;
use crate::device::{BlockRead, BlockSize};

/// A device over embedded-storage's [`ReadNorFlash`], with its `READ_SIZE` as block size.
///
/// It implements [`BlockRead`] over a [`ReadNorFlash`] and, with the feature
/// `embedded-storage-async`, [`aio::BlockRead`](crate::aio::BlockRead) over the `ReadNorFlash` of
/// that crate. Opening an image fails with [`StorageError::ReadSize`] if `READ_SIZE` is not a power
/// of two in 1..=65536. The size is the capacity rounded down to a multiple of `READ_SIZE`, because
/// the flash cannot read the rest.
///
/// ```
/// use embedded_storage::nor_flash::ReadNorFlash;
/// use qcow1::{Error, FromNorFlash, Image, StorageError};
///
/// /// Reads the first sector of the disk in a chip of flash.
/// fn first_sector<F: ReadNorFlash>(flash: F) -> Result<[u8; 512], Error<StorageError<F::Error>>> {
///     let mut image = Image::open(FromNorFlash(flash), [0; 4096])?;
///     let mut sector = [0; 512];
///     image.read_at(0, &mut sector)?;
///     Ok(sector)
/// }
/// # // A disk is a flash too.
/// # let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// # first_sector(qcow1::ToStorage::new(qcow1::Image::open_raw(file, [])?).unwrap()).expect("an image");
/// # Ok::<(), Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FromNorFlash<F>(
    /// The flash.
    pub F,
);

/// Returns a flash's `READ_SIZE` as a block size. [`size`] refuses a `READ_SIZE` that is not one.
pub(crate) fn block_size(read_size: usize) -> BlockSize {
    checked_block_size(read_size).unwrap_or(BlockSize::BYTE)
}

/// Returns the size of the whole blocks of a flash, in bytes.
///
/// # Errors
/// [`StorageError::ReadSize`] for a `READ_SIZE` that is not a block size;
/// [`StorageError::TooLarge`] for more than 4 GiB.
pub(crate) fn size<E>(read_size: usize, capacity: usize) -> Result<u64, StorageError<E>> {
    let block_size = checked_block_size(read_size).ok_or(StorageError::ReadSize(read_size))?;
    StorageError::size(capacity).map(|size| block_size.round_down(size))
}

/// Returns the offset of a block in the flash's type.
///
/// # Errors
/// [`StorageError::TooLarge`] for an offset that does not fit in 32 bits.
pub(crate) fn offset<E>(read_size: usize, lba: u64) -> Result<u32, StorageError<E>> {
    StorageError::offset(lba.saturating_mul(block_size(read_size).bytes().into()))
}

fn checked_block_size(read_size: usize) -> Option<BlockSize> {
    u32::try_from(read_size).ok().and_then(BlockSize::new)
}

impl<F: ReadNorFlash> BlockRead for FromNorFlash<F> {
    type Error = StorageError<F::Error>;

    fn block_size(&self) -> BlockSize {
        block_size(F::READ_SIZE)
    }

    /// Returns the capacity in bytes, rounded down to whole blocks.
    ///
    /// # Errors
    /// [`StorageError::TooLarge`] for a flash of more than 4 GiB; [`StorageError::ReadSize`] for a
    /// `READ_SIZE` that is not a block size.
    fn size(&mut self) -> Result<u64, Self::Error> {
        size(F::READ_SIZE, self.0.capacity())
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Self::Error> {
        let offset = offset(F::READ_SIZE, lba)?;
        self.0.read(offset, buf).map_err(StorageError::Device)
    }
}
