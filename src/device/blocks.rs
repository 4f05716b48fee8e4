//! A device with a larger block size than its own.

use crate::device::{BlockRead, BlockSize};
use crate::offset::{byte_count, saturating_usize};

/// A device with a larger block size than its own: for example, a file that is read in the blocks
/// of a disk.
///
/// It implements [`BlockRead`] over a [`BlockRead`] and, with the feature `async`,
/// [`aio::BlockRead`](crate::aio::BlockRead) over a device that implements that. In the last block,
/// bytes past the end of the device below read as zeros, and are not requested from it.
///
/// ```
/// use qcow1::{BlockSize, Blocks, Image};
///
/// let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// let mut memory = [0; 4096];
/// let mut image = Image::open(Blocks::new(file, BlockSize::B4096), &mut memory)?;
/// image.read_at(0, &mut [0; 512])?;
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Blocks<D> {
    pub(crate) device: D,
    min_block_size: BlockSize,
    /// The device's size in bytes, once it is known.
    pub(crate) size: Option<u64>,
}

impl<D> Blocks<D> {
    /// Wraps `device` in blocks of `block_size`, or of its own block size if that is larger.
    #[must_use]
    pub const fn new(device: D, block_size: BlockSize) -> Self {
        Self {
            device,
            min_block_size: block_size,
            size: None,
        }
    }

    /// Returns the wrapped device.
    #[must_use]
    pub fn into_inner(self) -> D {
        self.device
    }

    /// Returns the block size over a device with blocks of `below`.
    pub(crate) fn block_size_over(&self, below: BlockSize) -> BlockSize {
        self.min_block_size.max(below)
    }

    /// Splits a read of `buf` at `lba` on a device of `size` bytes in blocks of `below`: fills the
    /// bytes past the device's end with zeros, and returns the address of the others, in blocks of
    /// `below`, and their part of `buf`, which may be empty.
    pub(crate) fn clip_to_device<'b>(
        &self,
        below: BlockSize,
        size: u64,
        lba: u64,
        buf: &'b mut [u8],
    ) -> (u64, &'b mut [u8]) {
        let shift = self.block_size_over(below).shift().saturating_sub(below.shift());
        let start = lba.saturating_mul(1_u64.wrapping_shl(shift));
        // Counted in blocks, because the end of the last block in bytes may not fit in 64 bits.
        let stored = below.count(size).saturating_sub(start);
        let wanted = below.lba(byte_count(buf.len()));
        // At most `buf.len()`, so it does not saturate.
        let bytes = stored.min(wanted).wrapping_shl(below.shift());
        let bytes = saturating_usize(bytes);
        let (buf, tail) = buf.split_at_mut_checked(bytes).unwrap_or_default();
        tail.fill(0);
        (start, buf)
    }
}

impl<D: BlockRead> BlockRead for Blocks<D> {
    type Error = D::Error;

    fn block_size(&self) -> BlockSize {
        self.block_size_over(self.device.block_size())
    }

    fn size(&mut self) -> Result<u64, D::Error> {
        let size = self.device.size()?;
        self.size = Some(size);
        Ok(size)
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), D::Error> {
        let size = match self.size {
            Some(size) => size,
            None => self.size()?,
        };
        let (lba, buf) = self.clip_to_device(self.device.block_size(), size, lba, buf);
        if buf.is_empty() {
            return Ok(());
        }
        self.device.read_blocks(lba, buf)
    }
}
