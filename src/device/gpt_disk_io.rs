//! gpt_disk_io's `BlockIo` as a device.

use gpt_disk_io::BlockIo;
use gpt_disk_io::gpt_disk_types::Lba;

use crate::device::{BlockRead, BlockSize};

/// A [`BlockIo`] as a device. It is never written.
#[derive(Clone, Copy, Debug)]
pub struct FromBlockIo<B> {
    io: B,
    block_size: BlockSize,
}

impl<B: BlockIo> FromBlockIo<B> {
    /// `io` as a device.
    ///
    /// # Errors
    /// `io` comes back where its block size is no [`BlockSize`]: no power of two, or more than 65,536 bytes.
    pub fn new(io: B) -> Result<Self, B> {
        match BlockSize::new(io.block_size().to_u32()) {
            Some(block_size) => Ok(Self { io, block_size }),
            None => Err(io),
        }
    }

    /// Gives the `BlockIo` back.
    #[must_use]
    pub fn into_inner(self) -> B {
        self.io
    }
}

impl<B: BlockIo> BlockRead for FromBlockIo<B> {
    type Error = B::Error;

    fn block_size(&self) -> BlockSize {
        self.block_size
    }

    fn size(&mut self) -> Result<u64, B::Error> {
        Ok(self.io.num_blocks()?.saturating_mul(self.block_size.bytes().into()))
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), B::Error> {
        self.io.read_blocks(Lba(lba), buf)
    }
}
