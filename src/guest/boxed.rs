//! `Box<G>` as a guest's disk.

use alloc::boxed::Box;

use crate::error::Error;
use crate::guest::{GuestDisk, GuestRead};

impl<G: GuestDisk + ?Sized> GuestDisk for Box<G> {
    type Error = G::Error;

    fn size(&self) -> u64 {
        (**self).size()
    }
}

impl<G: GuestRead + ?Sized> GuestRead for Box<G> {
    fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<Self::Error>> {
        (**self).read_at(offset, dst)
    }

    fn read_sectors(&mut self, first: u64, dst: &mut [u8]) -> Result<(), Error<Self::Error>> {
        (**self).read_sectors(first, dst)
    }
}
