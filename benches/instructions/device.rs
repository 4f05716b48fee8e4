//! A device that has only the tables of an image, because these calls do not look at data.

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

    /// Starts counting. Callgrind toggles its counting at the driver's function, so the driver must
    /// be called only while a counted function runs.
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

/// Copies the bytes of the tables, and leaves the rest of `buf` unchanged.
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
