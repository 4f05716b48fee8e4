//! A disk as gpt_disk_io's `BlockIo`.

use core::fmt;

use gpt_disk_io::BlockIo;
use gpt_disk_io::gpt_disk_types::{BlockSize as GptBlockSize, Lba};

use crate::guest::GuestRead;
use crate::guest::error::DiskError;

/// A guest's disk as a [`BlockIo`], for gpt_disk_io's `Disk` and what else reads those.
///
/// Writes are refused, and the rest of a disk that is no whole number of blocks is not seen.
#[derive(Clone, Copy, Debug)]
pub struct ToBlockIo<G> {
    guest: G,
    block_size: GptBlockSize,
}

impl<G: GuestRead> ToBlockIo<G> {
    /// Shows `guest` in blocks of `block_size`, which should be the one that it was partitioned with: 512 bytes, most
    /// often. `&mut` of a disk will do.
    #[must_use]
    pub const fn new(guest: G, block_size: GptBlockSize) -> Self {
        Self { guest, block_size }
    }

    /// Gives the disk back.
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
        // A block size is never 0.
        let blocks = self.guest.size().checked_div(self.block_size.to_u64());
        Ok(blocks.unwrap_or(0))
    }

    fn read_blocks(&mut self, start_lba: Lba, dst: &mut [u8]) -> Result<(), Self::Error> {
        // An offset past 64 bits is out of range as its largest value is.
        let offset = start_lba.to_u64().saturating_mul(self.block_size.to_u64());
        self.guest.read_at(offset, dst).map_err(DiskError::Read)
    }

    /// Refused with [`DiskError::ReadOnly`].
    fn write_blocks(&mut self, _: Lba, _: &[u8]) -> Result<(), Self::Error> {
        Err(DiskError::ReadOnly)
    }

    /// Nothing is ever written, so there is nothing to do.
    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}
