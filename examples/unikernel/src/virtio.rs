//! A virtio disk as a `BlockRead`.

use qcow1::{BlockRead, BlockSize};
use virtio_drivers::Error;
use virtio_drivers::device::blk::{SECTOR_SIZE, VirtIOBlk};
use virtio_drivers::transport::mmio::MmioTransport;

use crate::Failure;
use crate::machine::{Dma, transport};

pub struct Disk(VirtIOBlk<Dma, MmioTransport<'static>>);

/// The disk in a slot of the machine.
pub fn disk(slot: usize) -> Result<Disk, Failure> {
    let transport = transport(slot).ok_or(Failure::NoDisk(slot))?;
    VirtIOBlk::new(transport).map(Disk).map_err(Failure::Virtio)
}

impl BlockRead for Disk {
    type Error = Error;

    fn block_size(&self) -> BlockSize {
        BlockSize::B512
    }

    /// Returns the size of the disk: the image file's size, rounded up to whole sectors with zeros.
    fn size(&mut self) -> Result<u64, Error> {
        Ok(self.0.capacity() * SECTOR_SIZE as u64)
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Error> {
        let sector = usize::try_from(lba).map_err(|_| Error::InvalidParam)?;
        self.0.read_blocks(sector, buf)
    }
}
