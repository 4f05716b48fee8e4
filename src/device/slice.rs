//! Bytes in memory: an image that is linked into the program, loaded whole, or in memory-mapped flash.

use core::convert::Infallible;

use crate::device::{BlockRead, BlockSize};

/// A byte-addressable device. [`Blocks`](crate::Blocks) gives it larger blocks.
impl BlockRead for &[u8] {
    type Error = Infallible;

    fn block_size(&self) -> BlockSize {
        BlockSize::BYTE
    }

    fn size(&mut self) -> Result<u64, Infallible> {
        Ok(u64::try_from(<[u8]>::len(self)).unwrap_or(u64::MAX))
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Infallible> {
        let start = usize::try_from(lba).unwrap_or(usize::MAX);
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

/// The same device as a slice of its bytes. `include_bytes!` returns this type.
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

/// The same device as a slice of its bytes.
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
