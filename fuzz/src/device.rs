//! A device over a file in memory. It asserts that requests are valid, counts them, and can fail one.

use std::cell::Cell;
use std::fmt;

use qcow1::{BlockRead, BlockSize, Blocks};

/// The requests of a device, and the failure that is set for one of them.
#[derive(Default)]
pub struct Log {
    requests: Cell<u64>,
    /// A digest of all requests in sequence.
    digest: Cell<u64>,
    fault: Cell<Option<Fault>>,
    failed: Cell<bool>,
}

/// A failure of one request.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// The number of requests before it that succeed.
    pub after: u8,
    /// Whether the first half of the buffer has the right bytes.
    pub half: bool,
    /// Selects the bytes in the rest of the buffer.
    pub garbage: u8,
}

/// The error of a request that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failed;

impl Log {
    pub fn requests(&self) -> u64 {
        self.requests.get()
    }

    pub fn digest(&self) -> u64 {
        self.digest.get()
    }

    /// Fails one request.
    pub fn fail(&self, fault: Fault) {
        self.fault.set(Some(fault));
    }

    /// Returns whether a request has failed since [`Log::settle`] was called last.
    pub fn has_failed(&self) -> bool {
        self.failed.get()
    }

    /// Cancels a failure that has not happened, and forgets one that has.
    pub fn settle(&self) {
        self.fault.set(None);
        self.failed.set(false);
    }

    /// Counts a request. Returns its failure, if it must fail.
    fn note(&self, lba: u64, len: usize) -> Option<Fault> {
        self.requests.set(self.requests.get() + 1);
        let mixed = (self.digest.get() ^ lba).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ len as u64;
        self.digest
            .set(mixed.rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9));
        let fault = self.fault.get()?;
        if fault.after == 0 {
            self.fault.set(None);
            self.failed.set(true);
            return Some(fault);
        }
        self.fault.set(Some(Fault {
            after: fault.after - 1,
            ..fault
        }));
        None
    }
}

pub struct Device<'a> {
    blocks: Blocks<&'a [u8]>,
    file: &'a [u8],
    log: &'a Log,
}

impl<'a> Device<'a> {
    pub fn new(file: &'a [u8], block_size: BlockSize, log: &'a Log) -> Self {
        Self {
            blocks: Blocks::new(file, block_size),
            file,
            log,
        }
    }

    /// Fills the buffer of a failed transfer with ones, zeros, or bytes from elsewhere in the file, which may be valid
    /// tables.
    fn spoil(&self, buf: &mut [u8], garbage: u8) {
        match garbage {
            0 => buf.fill(0xff),
            1 => buf.fill(0),
            _ if self.file.is_empty() => buf.fill(0xee),
            _ => {
                let from = usize::from(garbage) * 32 % self.file.len();
                for (to, &byte) in buf.iter_mut().zip(self.file[from..].iter().cycle()) {
                    *to = byte;
                }
            }
        }
    }
}

impl BlockRead for Device<'_> {
    type Error = Failed;

    fn block_size(&self) -> BlockSize {
        self.blocks.block_size()
    }

    fn size(&mut self) -> Result<u64, Failed> {
        Ok(self.file.len() as u64)
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Failed> {
        let block = u64::from(self.block_size().bytes());
        assert!(!buf.is_empty(), "an empty request");
        assert_eq!(buf.len() as u64 % block, 0, "a request of parts of blocks");
        let start = lba.checked_mul(block).expect("an address past 64 bits");
        let end = start.checked_add(buf.len() as u64).expect("an end past 64 bits");
        let size = self.file.len() as u64;
        assert!(
            end <= size.next_multiple_of(block),
            "a request past the last block: {start}..{end} of {size}"
        );
        let fault = self.log.note(lba, buf.len());
        let read = self.blocks.read_blocks(lba, buf);
        let Ok(()) = read;
        let Some(fault) = fault else {
            return Ok(());
        };
        let from = if fault.half { buf.len() / 2 } else { 0 };
        self.spoil(&mut buf[from..], fault.garbage);
        Err(Failed)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failed")
    }
}

impl std::error::Error for Failed {}

impl embedded_io::Error for Failed {
    fn kind(&self) -> embedded_io::ErrorKind {
        embedded_io::ErrorKind::Other
    }
}
