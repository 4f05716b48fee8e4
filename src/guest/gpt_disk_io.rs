//! A disk as gpt_disk_io's `BlockIo`.

use core::fmt;

use gpt_disk_io::BlockIo;
use gpt_disk_io::gpt_disk_types::{BlockSize as GptBlockSize, Lba};

use crate::guest::GuestRead;
use crate::guest::error::DiskError;

/// A guest's disk as a [`BlockIo`], for gpt_disk_io's `Disk` and other crates that use this trait.
///
/// Writes return [`DiskError::ReadOnly`]. A partial last block is not accessible.
///
/// ```
/// use gpt_disk_io::{BlockIo, gpt_disk_types::{BlockSize, Lba}};
/// use qcow1::{Image, ToBlockIo};
///
/// let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// let mut memory = [0; 4096];
/// let image = Image::open(file, &mut memory)?;
/// let mut io = ToBlockIo::new(image, BlockSize::BS_512);
/// assert_eq!(io.num_blocks(), Ok(256));
/// io.read_blocks(Lba(0), &mut [0; 512]).expect("a disk of 256 blocks");
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ToBlockIo<G> {
    guest: G,
    block_size: GptBlockSize,
}

impl<G: GuestRead> ToBlockIo<G> {
    /// Wraps `guest`, which may be a `&mut` reference to a disk, in blocks of `block_size`: the
    /// block size with which the disk was partitioned, usually 512 bytes.
    #[must_use]
    pub const fn new(guest: G, block_size: GptBlockSize) -> Self {
        Self { guest, block_size }
    }

    /// Returns the wrapped disk.
    #[must_use]
    pub fn into_inner(self) -> G {
        self.guest
    }
}

impl<G> BlockIo for ToBlockIo<G>
where
    G: GuestRead,
    G::Error: fmt::Debug + Send + Sync + 'static,
{
    type Error = DiskError<G::Error>;

    fn block_size(&self) -> GptBlockSize {
        self.block_size
    }

    fn num_blocks(&mut self) -> Result<u64, Self::Error> {
        // gpt_disk_io's block size is never 0.
        let blocks = self.guest.size().checked_div(self.block_size.to_u64());
        Ok(blocks.unwrap_or(0))
    }

    fn read_blocks(&mut self, start_lba: Lba, dst: &mut [u8]) -> Result<(), Self::Error> {
        // An offset that saturates is past the end of any disk.
        let offset = start_lba.to_u64().saturating_mul(self.block_size.to_u64());
        self.guest.read_at(offset, dst).map_err(DiskError::Device)
    }

    /// Refuses to write.
    ///
    /// # Errors
    /// Always [`DiskError::ReadOnly`].
    fn write_blocks(&mut self, _: Lba, _: &[u8]) -> Result<(), Self::Error> {
        Err(DiskError::ReadOnly)
    }

    /// Does nothing, because there is nothing to flush.
    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}
