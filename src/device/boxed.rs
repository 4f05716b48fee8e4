//! `Box<D>` as a device.

use alloc::boxed::Box;

use crate::device::{BlockRead, BlockSize};

impl<D: BlockRead + ?Sized> BlockRead for Box<D> {
    type Error = D::Error;

    fn block_size(&self) -> BlockSize {
        (**self).block_size()
    }

    fn size(&mut self) -> Result<u64, Self::Error> {
        (**self).size()
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Self::Error> {
        (**self).read_blocks(lba, buf)
    }
}
