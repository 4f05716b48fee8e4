//! Drivers that require aligned buffers: UEFI's `IoAlign`, DMA.

use core::fmt;

use crate::device::bounced::{Bounced, after};
use crate::device::{BlockRead, BlockSize};
use crate::error::OpenError;
use crate::memory::Memory;

/// A device whose driver requires buffers at aligned addresses.
///
/// The driver fills an aligned buffer directly. If a buffer is misaligned, the driver fills a
/// bounce buffer, and the bytes are copied from there. If a later block of the buffer starts at an
/// aligned address, the driver fills the buffer directly starting at that block. So the driver must
/// reach the caller's memory: if its DMA does not, use [`Bounced`](crate::Bounced). It does not
/// limit the length of a request. Wrap it in a [`Limited`](crate::Limited) for that, which must be
/// outside if its limit is not a multiple of the alignment.
///
/// It implements [`BlockRead`] over a [`BlockRead`] and, with the feature `async`,
/// [`aio::BlockRead`](crate::aio::BlockRead) over a device that implements that. An aligned read
/// makes one request. A misaligned read makes at most one more than [`Bounced`] makes.
///
/// ```
/// use qcow1::{Aligned, Image};
///
/// let driver: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// // The driver requires addresses that are multiples of 64.
/// let device = Aligned::new(driver, 64, [0; 63 + 512])?;
/// let mut image = Image::open(device, [0; 4096])?;
/// image.read_at(1, &mut [0; 512])?;
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
pub struct Aligned<D, B>(pub(crate) Bounced<D, B>);

impl<D: BlockRead, B: Memory> Aligned<D, B> {
    /// Wraps `device`, whose driver requires buffers that start at a multiple of `align` bytes,
    /// with a bounce buffer.
    ///
    /// `align` is rounded up to a power of two. 0 and 1 allow any address, as in UEFI's `IoAlign`.
    /// `align - 1` bytes plus one block are enough for `buffer`. With more, a misaligned read makes
    /// fewer requests.
    ///
    /// # Errors
    /// [`Error::MemoryTooSmall`](crate::Error::MemoryTooSmall) if `buffer` has no room for an
    /// aligned block. The error returns the device and `buffer`.
    pub fn new(device: D, align: u32, buffer: B) -> Result<Self, OpenError<D, B, D::Error>> {
        Bounced::new(device, align, buffer).map(Self)
    }
}

impl<D, B> Aligned<D, B> {
    /// Returns the wrapped device and the buffer.
    #[must_use]
    pub fn into_parts(self) -> (D, B) {
        self.0.into_parts()
    }

    /// Splits `buf` into the blocks that are bounced and the blocks after them that the driver
    /// fills directly.
    pub(crate) fn split<'a>(&self, block_size: BlockSize, buf: &'a mut [u8]) -> (&'a mut [u8], &'a mut [u8]) {
        let misaligned = self.0.align().bytes_to_aligned(buf);
        // An aligned address inside a block does not help: the driver reads whole blocks.
        let bounced = if block_size.round_down_len(misaligned) == misaligned {
            misaligned.min(buf.len())
        } else {
            buf.len()
        };
        buf.split_at_mut_checked(bounced).unwrap_or_default()
    }
}

impl<D: BlockRead, B: Memory> BlockRead for Aligned<D, B> {
    type Error = D::Error;

    fn block_size(&self) -> BlockSize {
        self.0.block_size()
    }

    fn size(&mut self) -> Result<u64, D::Error> {
        self.0.size()
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), D::Error> {
        let block_size = self.block_size();
        let (bounced, direct) = self.split(block_size, buf);
        self.0.read_blocks(lba, bounced)?;
        if direct.is_empty() {
            return Ok(());
        }
        self.0.device.read_blocks(after(lba, bounced, block_size), direct)
    }
}

impl<D, B> fmt::Debug for Aligned<D, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Aligned").field(&self.0).finish()
    }
}
