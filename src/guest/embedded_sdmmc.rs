//! embedded-sdmmc's block devices: `BlockDevice`, out.

use core::cell::RefCell;
use core::fmt;

use embedded_sdmmc_types::{Block, BlockCount, BlockDevice, BlockIdx};

use crate::device::BlockSize;
use crate::guest::GuestRead;
use crate::guest::error::DiskError;

/// A guest's disk as embedded-sdmmc reads it: [`BlockDevice`], in blocks of 512 bytes.
///
/// Writes are refused, and the rest of a disk that is no whole number of blocks is not seen. The blocks that it lends
/// are not one slice of bytes, so each takes a read of its own; for an [`Image`](crate::Image) that is lent a few
/// clusters' worth of memory, the tables are cached in between.
pub struct ToBlockDevice<G> {
    /// The trait reads through a shared reference, and a disk needs its own.
    guest: RefCell<G>,
}

impl<G: GuestRead> ToBlockDevice<G> {
    /// Shows `guest` to embedded-sdmmc. `&mut` of it will do.
    #[must_use]
    pub const fn new(guest: G) -> Self {
        Self {
            guest: RefCell::new(guest),
        }
    }

    /// Gives the disk back.
    #[must_use]
    pub fn into_inner(self) -> G {
        self.guest.into_inner()
    }
}

impl<G> BlockDevice for ToBlockDevice<G>
where
    G: GuestRead,
    G::Error: core::error::Error + 'static,
{
    type Error = DiskError<G::Error>;

    fn read(&self, blocks: &mut [Block], start_block_idx: BlockIdx) -> Result<(), Self::Error> {
        let mut guest = self.guest.try_borrow_mut().map_err(|_| DiskError::Busy)?;
        let mut offset = start_block_idx.into_bytes();
        for block in blocks {
            guest.read_at(offset, &mut block.contents).map_err(DiskError::Read)?;
            offset = offset.saturating_add(u64::from(Block::LEN_U32));
        }
        Ok(())
    }

    /// Refused with [`DiskError::ReadOnly`].
    fn write(&self, _: &[Block], _: BlockIdx) -> Result<(), Self::Error> {
        Err(DiskError::ReadOnly)
    }

    /// [`DiskError::TooLarge`] for a disk of 2 TiB and more.
    fn num_blocks(&self) -> Result<BlockCount, Self::Error> {
        let guest = self.guest.try_borrow().map_err(|_| DiskError::Busy)?;
        let blocks = u32::try_from(BlockSize::B512.lba(guest.size())).map_err(|_| DiskError::TooLarge)?;
        Ok(BlockCount(blocks))
    }
}

impl<G> fmt::Debug for ToBlockDevice<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToBlockDevice").finish_non_exhaustive()
    }
}
