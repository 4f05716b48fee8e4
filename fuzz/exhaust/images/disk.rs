//! A device over a file in memory that asserts that requests are valid, counts them, and can fail
//! them.

use std::cell::Cell;
use std::ops::Range;

use qcow1::{BlockRead, BlockSize};

/// The error of a request that failed.
#[derive(Debug)]
pub struct Failed;

/// What happens to the requests of a device.
#[derive(Default)]
pub struct Log {
    pub requests: Cell<u64>,
    /// The number of the request that fails. The first is 0.
    pub fails_at: Option<u64>,
    /// Whether that one leaves the bytes of another place, rather than ones.
    pub misleads: bool,
    /// The bytes of the file that can never be read.
    pub bad: Range<u64>,
}

pub struct Disk<'a> {
    pub file: &'a [u8],
    pub block_size: BlockSize,
    pub log: &'a Log,
}

impl BlockRead for Disk<'_> {
    type Error = Failed;

    fn block_size(&self) -> BlockSize {
        self.block_size
    }

    fn size(&mut self) -> Result<u64, Failed> {
        Ok(self.file.len() as u64)
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Failed> {
        let Self { file, log, .. } = self;
        let block = u64::from(self.block_size.bytes());
        let (len, size) = (buf.len() as u64, file.len() as u64);
        assert!(
            len != 0 && len.is_multiple_of(block),
            "a request of {len} bytes, of blocks of {block}"
        );
        let start = lba.checked_mul(block).expect("an address past 64 bits");
        let end = start.checked_add(len).expect("an end past 64 bits");
        assert!(
            end <= size.next_multiple_of(block),
            "a request past the last block: {start}..{end} of {size}"
        );
        let number = log.requests.replace(log.requests.get() + 1);
        // Bytes past the end of the file may have any value.
        buf.fill(0xff);
        if log.fails_at == Some(number) {
            if log.misleads {
                fill(buf, &file[file.len() / 2..]);
            }
            return Err(Failed);
        }
        if start < log.bad.end && log.bad.start < end {
            return Err(Failed);
        }
        fill(buf, &file[start as usize..]);
        Ok(())
    }
}

fn fill(buf: &mut [u8], bytes: &[u8]) {
    let len = buf.len().min(bytes.len());
    buf[..len].copy_from_slice(&bytes[..len]);
}
