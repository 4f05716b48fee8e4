//! `Box` as an asynchronous device or disk.

use alloc::boxed::Box;

use crate::aio::{BlockRead, GuestRead};
use crate::device::BlockSize;
use crate::error::Error;

impl<D: BlockRead + ?Sized> BlockRead for Box<D> {
    type Error = D::Error;

    fn block_size(&self) -> BlockSize {
        (**self).block_size()
    }

    async fn size(&mut self) -> Result<u64, Self::Error> {
        (**self).size().await
    }

    async fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Self::Error> {
        (**self).read_blocks(lba, buf).await
    }
}

impl<G: GuestRead + ?Sized> GuestRead for Box<G> {
    async fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<Self::Error>> {
        (**self).read_at(offset, dst).await
    }

    async fn read_sectors(&mut self, first: u64, dst: &mut [u8]) -> Result<(), Error<Self::Error>> {
        (**self).read_sectors(first, dst).await
    }
}
