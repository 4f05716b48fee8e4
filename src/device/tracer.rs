//! A device that counts its reads and passes each one to a callback.

use core::fmt;

use crate::device::{BlockRead, BlockSize};
use crate::offset::byte_count;

/// A read of a device; see [`Tracer`].
///
/// ```
/// use qcow1::{BlockSize, Blocks, Image, ReadRequest, Tracer};
///
/// let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// let mut longest = 0;
/// let disk = Blocks::new(file, BlockSize::B512);
/// let device = Tracer::new(disk, |request: ReadRequest| longest = longest.max(request.len));
/// let mut memory = [0; 4096];
/// let mut image = Image::open(device, &mut memory)?;
/// image.read_at(0, &mut [0; 8192])?;
/// println!("the longest request was for {longest} bytes");
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct ReadRequest {
    /// The address of the first block, in blocks.
    pub lba: u64,
    /// The length in bytes: a whole number of blocks, at least one.
    pub len: usize,
    /// Whether the device has filled the buffer. Otherwise it returned an error.
    pub is_ok: bool,
}

/// The number and the size of a device's reads; see [`Tracer::counts`]. Each count saturates.
///
/// ```
/// use qcow1::{Counts, Image, Tracer};
///
/// let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// let mut memory = [0; 4096];
/// let mut image = Image::open(Tracer::counting(file), &mut memory)?;
/// image.device_mut().reset(); // does not count opening the image
/// image.read_at(0, &mut [0; 512])?;
/// let Counts { requests, bytes, failures, .. } = image.device_mut().counts();
/// println!("{requests} requests for {bytes} bytes, {failures} of them failed");
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Counts {
    /// The number of reads, including failed ones.
    pub requests: u64,
    /// The number of bytes that these reads requested.
    pub bytes: u64,
    /// The number of reads that failed.
    pub failures: u64,
}

/// A device that counts its reads and passes each one to a callback, for debugging.
///
/// It implements [`BlockRead`] over a [`BlockRead`] and, with the feature `async`,
/// [`aio::BlockRead`](crate::aio::BlockRead) over a device that implements that.
///
/// ```
/// # fn main() -> Result<(), qcow1::Error<core::convert::Infallible>> {
/// use qcow1::{Image, Tracer};
///
/// let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// let device = Tracer::new(file, |request| println!("{request:?}"));
/// let mut memory = [0; 4096];
/// let mut image = Image::open(device, &mut memory)?;
/// image.read_at(0, &mut [0; 512])?;
/// assert!(image.device_mut().counts().requests <= 4);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct Tracer<D, T> {
    pub(crate) device: D,
    trace: T,
    counts: Counts,
}

impl<D, T: FnMut(ReadRequest)> Tracer<D, T> {
    /// Wraps `device`, and calls `trace` after each read.
    #[must_use]
    pub const fn new(device: D, trace: T) -> Self {
        Self {
            device,
            trace,
            counts: Counts {
                requests: 0,
                bytes: 0,
                failures: 0,
            },
        }
    }
}

impl<D> Tracer<D, fn(ReadRequest)> {
    /// Wraps `device` without a callback: reads are only counted.
    #[must_use]
    pub fn counting(device: D) -> Self {
        Self::new(device, |_| ())
    }
}

impl<D, T> Tracer<D, T> {
    /// Returns the counts since the device was wrapped, or since the last [`reset`](Self::reset).
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Sets the counts to 0.
    pub fn reset(&mut self) {
        self.counts = Counts::default();
    }

    /// Returns a mutable reference to the wrapped device.
    pub const fn get_mut(&mut self) -> &mut D {
        &mut self.device
    }

    /// Returns the wrapped device.
    #[must_use]
    pub fn into_inner(self) -> D {
        self.device
    }
}

impl<D: BlockRead, T: FnMut(ReadRequest)> BlockRead for Tracer<D, T> {
    type Error = D::Error;

    fn block_size(&self) -> BlockSize {
        self.device.block_size()
    }

    fn size(&mut self) -> Result<u64, D::Error> {
        self.device.size()
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), D::Error> {
        let result = self.device.read_blocks(lba, buf);
        self.record(lba, buf, result.is_ok());
        result
    }
}

impl<D, T: FnMut(ReadRequest)> Tracer<D, T> {
    /// Counts a read and passes it to the callback.
    pub(crate) fn record(&mut self, lba: u64, buf: &[u8], is_ok: bool) {
        let Counts {
            requests,
            bytes,
            failures,
        } = self.counts;
        self.counts = Counts {
            requests: requests.saturating_add(1),
            bytes: bytes.saturating_add(byte_count(buf.len())),
            failures: failures.saturating_add(u64::from(!is_ok)),
        };
        let len = buf.len();
        (self.trace)(ReadRequest { lba, len, is_ok });
    }
}

impl<D, T> fmt::Debug for Tracer<D, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer")
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}
