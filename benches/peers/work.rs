//! Shared by readers and limits: the buffer, the offsets of random reads, and the report.

use std::io;
use std::time::Duration;

use qcow1::{BlockRead, BlockSize};

use crate::Places;
use crate::random::Random;

pub(crate) const MIB: usize = 1 << 20;

/// The size of a random read in bytes.
pub(crate) const BLOCK: usize = 4096;

/// A buffer that starts at a page boundary and is already mapped.
pub(crate) struct Aligned {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    pub(crate) fn new(len: usize) -> Self {
        // Filled with ones, because the system does not map zeros.
        let bytes = vec![1; len + BLOCK];
        let start = bytes.as_ptr().align_offset(BLOCK);
        Self { bytes, start, len }
    }

    pub(crate) fn get(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }
}

impl Places {
    /// Returns the offsets in a disk of `size` bytes, those of the warm-up first.
    pub(crate) fn offsets(&self, size: u64) -> Vec<u64> {
        let blocks = size / BLOCK as u64;
        let mut random = Random(self.seed);
        let mut place = 0;
        (0..self.warm_up + self.count)
            .map(|_| match self.stride {
                Some(stride) => {
                    let offset = place;
                    place = (place + stride) % size;
                    offset
                }
                None => random.below(blocks) * BLOCK as u64,
            })
            .collect()
    }
}

/// Adds a block's first word to `check`. It costs one load, and shows whether two readers read the same bytes.
pub(crate) fn add(check: &mut u64, block: &[u8]) {
    let word = block.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    *check = check.wrapping_add(word);
}

/// Prints the time of a run, and further figures.
pub(crate) fn report(time: Duration, more: &[(&str, u64)]) {
    let mut line = format!("{{\"seconds\": {:.9}", time.as_secs_f64());
    for (name, number) in more {
        line += &format!(", \"{name}\": {number}");
    }
    println!("{line}}}");
}

/// A device whose requests are counted.
pub(crate) struct Counted<D> {
    pub(crate) device: D,
    pub(crate) requests: u64,
}

impl<D> Counted<D> {
    pub(crate) const fn new(device: D) -> Self {
        Self { device, requests: 0 }
    }
}

impl<D: BlockRead<Error = io::Error>> BlockRead for Counted<D> {
    type Error = io::Error;

    fn block_size(&self) -> BlockSize {
        self.device.block_size()
    }

    fn size(&mut self) -> io::Result<u64> {
        self.device.size()
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> io::Result<()> {
        self.requests += 1;
        self.device.read_blocks(lba, buf)
    }
}
