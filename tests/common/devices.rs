//! Devices that count requests and that fail.

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;

use qcow1::{BlockRead, BlockSize, Blocks, Error, GuestDisk, GuestRead};

/// A device that panics at an invalid request: of no bytes, of parts of blocks, or of blocks past
/// its last block.
#[derive(Clone, Copy)]
pub struct Strict<D> {
    pub inner: D,
}

impl<D: BlockRead> Strict<D> {
    pub fn new(inner: D) -> Self {
        Self { inner }
    }
}

impl<D: BlockRead> BlockRead for Strict<D> {
    type Error = D::Error;

    fn block_size(&self) -> BlockSize {
        self.inner.block_size()
    }

    fn size(&mut self) -> Result<u64, D::Error> {
        self.inner.size()
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), D::Error> {
        let size = self.inner.size()?;
        // With 128 bits, so that no sum overflows here.
        let block = u128::from(self.block_size().bytes());
        let len = buf.len() as u128;
        assert!(len != 0, "an empty request");
        assert_eq!(len % block, 0, "a request of broken blocks");
        let end = u128::from(lba) * block + len;
        assert!(
            end <= u128::from(size).next_multiple_of(block),
            "a request past the last block: {len} bytes up to {end} of {size}"
        );
        self.inner.read_blocks(lba, buf)
    }
}

/// A device over bytes, with any block size. It counts requests, can fail one, and panics at an
/// invalid one.
pub struct TestDevice<'a> {
    device: Strict<Blocks<&'a [u8]>>,
    pub log: Log,
}

/// The requests of a device: a handle that can be used while the device is lent.
#[derive(Clone, Default)]
pub struct Log(Rc<Inner>);

#[derive(Default)]
struct Inner {
    requests: Cell<u64>,
    bytes: Cell<u64>,
    fail_at: Cell<Option<u64>>,
}

impl Log {
    pub fn requests(&self) -> u64 {
        self.0.requests.get()
    }

    pub fn bytes(&self) -> u64 {
        self.0.bytes.get()
    }

    /// Fails one request, after `count` others.
    pub fn fail_after(&self, count: u64) {
        self.0.fail_at.set(Some(self.requests() + count));
    }

    /// Cancels the failure. Returns `true` if it had not happened yet.
    pub fn cancel_failure(&self) -> bool {
        self.0.fail_at.take().is_some()
    }

    /// Counts a request. Returns `true` if it must fail.
    fn note(&self, bytes: usize) -> bool {
        let number = self.requests();
        self.0.requests.set(number + 1);
        self.0.bytes.set(self.bytes() + bytes as u64);
        let fails = self.0.fail_at.get() == Some(number);
        if fails {
            self.0.fail_at.set(None);
        }
        fails
    }
}

/// The error of a failing device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("broken")
    }
}

impl std::error::Error for Broken {}

impl embedded_io::Error for Broken {
    fn kind(&self) -> embedded_io::ErrorKind {
        embedded_io::ErrorKind::BrokenPipe
    }
}

impl<'a> TestDevice<'a> {
    pub fn new(bytes: &'a [u8], block_size: u32) -> Self {
        Self {
            device: Strict::new(Blocks::new(bytes, BlockSize::new(block_size).unwrap())),
            log: Log::default(),
        }
    }
}

fn never(error: Infallible) -> Broken {
    match error {}
}

impl BlockRead for TestDevice<'_> {
    type Error = Broken;

    fn block_size(&self) -> BlockSize {
        self.device.block_size()
    }

    fn size(&mut self) -> Result<u64, Broken> {
        self.device.size().map_err(never)
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Broken> {
        if self.log.note(buf.len()) {
            // A failed transfer may leave any bytes in the buffer.
            buf.fill(0xee);
            return Err(Broken);
        }
        self.device.read_blocks(lba, buf).map_err(never)
    }
}

/// A disk of any size, each byte of which is 7.
#[derive(Debug)]
pub struct FilledDisk(pub u64);

impl GuestDisk for FilledDisk {
    type Error = Broken;

    fn size(&self) -> u64 {
        self.0
    }
}

impl GuestRead for FilledDisk {
    fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<Broken>> {
        if offset.checked_add(dst.len() as u64).is_none_or(|end| end > self.0) {
            return Err(Error::OutOfRange);
        }
        dst.fill(7);
        Ok(())
    }
}
