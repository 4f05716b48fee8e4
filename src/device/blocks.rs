//! A byte-addressable device, read in blocks.

use crate::device::{BlockRead, BlockSize};

/// A device with another, larger block size: a file that stands for a disk, say.
///
/// A tail shorter than a block reads as zeros, and is not asked of the device below.
#[derive(Clone, Copy, Debug)]
pub struct Blocks<D> {
    device: D,
    block_size: BlockSize,
    /// The device's length, once it has been asked.
    len: Option<u64>,
}

impl<D: BlockRead> Blocks<D> {
    /// `device` in blocks of `block_size`, or of its own block size where that is larger.
    #[must_use]
    pub fn new(device: D, block_size: BlockSize) -> Self {
        let block_size = block_size.max(device.block_size());
        Self {
            device,
            block_size,
            len: None,
        }
    }

    /// Gives the device back.
    #[must_use]
    pub fn into_inner(self) -> D {
        self.device
    }
}

impl<D: BlockRead> BlockRead for Blocks<D> {
    type Error = D::Error;

    fn block_size(&self) -> BlockSize {
        self.block_size
    }

    fn size(&mut self) -> Result<u64, D::Error> {
        let len = self.device.size()?;
        self.len = Some(len);
        Ok(len)
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), D::Error> {
        let below = self.device.block_size();
        let start = lba.saturating_mul(self.block_size.bytes().into());
        let len = match self.len {
            Some(len) => len,
            None => self.size()?,
        };
        let stored = below.round_up(len).saturating_sub(start);
        let stored = usize::try_from(stored).unwrap_or(usize::MAX).min(buf.len());
        if let Some((buf, tail)) = buf.split_at_mut_checked(stored) {
            tail.fill(0);
            if !buf.is_empty() {
                self.device.read_blocks(below.lba(start), buf)?;
            }
        }
        Ok(())
    }
}
