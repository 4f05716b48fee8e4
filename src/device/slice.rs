//! Bytes in memory: an image that is linked into the program, loaded whole, or in memory-mapped
//! flash.

use core::convert::Infallible;

use crate::device::{BlockRead, BlockSize};
use crate::offset::{byte_count, saturating_usize};

/// A byte-addressable device. [`Blocks`](crate::Blocks) gives it larger blocks.
impl BlockRead for &[u8] {
    type Error = Infallible;

    fn block_size(&self) -> BlockSize {
        BlockSize::BYTE
    }

    fn size(&mut self) -> Result<u64, Infallible> {
        Ok(byte_count(<[u8]>::len(self)))
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Infallible> {
        let start = saturating_usize(lba);
        let stored = self.get(start..).unwrap_or_default();
        // No read reaches past the end. Zeros there keep this path free of panics.
        let len = stored.len().min(buf.len());
        if let (Some(stored), Some((to, tail))) = (stored.get(..len), buf.split_at_mut_checked(len)) {
            to.copy_from_slice(stored);
            tail.fill(0);
        }
        Ok(())
    }
}

/// The same device as a slice of these bytes. `include_bytes!` returns this type.
impl<const N: usize> BlockRead for &[u8; N] {
    type Error = Infallible;

    fn block_size(&self) -> BlockSize {
        BlockSize::BYTE
    }

    fn size(&mut self) -> Result<u64, Infallible> {
        self.as_slice().size()
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Infallible> {
        self.as_slice().read_blocks(lba, buf)
    }
}

/// The same device as a slice of these bytes.
impl<const N: usize> BlockRead for [u8; N] {
    type Error = Infallible;

    fn block_size(&self) -> BlockSize {
        BlockSize::BYTE
    }

    fn size(&mut self) -> Result<u64, Infallible> {
        self.as_slice().size()
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Infallible> {
        self.as_slice().read_blocks(lba, buf)
    }
}
