//! A device of which only the tables exist, since nobody here looks at the data.

use std::convert::Infallible;

use qcow1::{BlockRead, BlockSize};

pub struct Device {
    /// The start of the image: its header and tables.
    file: Vec<u8>,
    size: u64,
    driver: fn(&mut Self, u64, &mut [u8]),
    /// The number of reads so far.
    pub reads: u64,
}

impl Device {
    pub fn new(file: Vec<u8>, size: u64) -> Self {
        Self {
            file,
            size,
            driver: read,
            reads: 0,
        }
    }

    /// Counts from now on, and only while a counted function runs: Callgrind turns its counting off in the driver by
    /// turning it the other way, which anywhere else would turn it on.
    pub fn start(&mut self) {
        self.driver = uncounted_read;
        self.reads = 0;
    }
}

impl BlockRead for Device {
    type Error = Infallible;

    fn block_size(&self) -> BlockSize {
        BlockSize::B512
    }

    fn size(&mut self) -> Result<u64, Infallible> {
        Ok(self.size)
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Infallible> {
        (self.driver)(self, lba, buf);
        Ok(())
    }
}

/// Copies what there is of the tables, and leaves the rest of `buf` as it is.
fn read(device: &mut Device, lba: u64, buf: &mut [u8]) {
    device.reads += 1;
    let start = lba * u64::from(BlockSize::B512.bytes());
    if let Some(rest) = device.file.get(usize::try_from(start).unwrap()..) {
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
    }
}

#[inline(never)]
fn uncounted_read(device: &mut Device, lba: u64, buf: &mut [u8]) {
    read(device, lba, buf);
}
