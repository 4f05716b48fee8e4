//! Drivers that demand aligned buffers: UEFI's `IoAlign`, DMA.

use core::fmt;

use crate::device::{BlockRead, BlockSize};
use crate::error::{Error, OpenError};

/// A device whose driver takes only buffers that start at a multiple of some number of bytes.
///
/// Aligned buffers go to the driver as they are. Other bytes are read into a bounce buffer that the caller lends, and
/// copied from there: all of a misaligned buffer or, where one of its blocks starts at an aligned address, only what is
/// before that block.
///
/// ```
/// # let driver: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// use qcow1::{Aligned, Image};
///
/// // The driver demands addresses that are multiples of 64.
/// let mut bounce = [0; 63 + 512];
/// let device = Aligned::new(driver, 64, &mut bounce)?;
/// let mut memory = [0; 4096];
/// let mut image = Image::open(device, &mut memory)?;
/// image.read_at(1, &mut [0; 512])?;
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
pub struct Aligned<'b, D> {
    pub(crate) device: D,
    /// A power of two, less 1.
    mask: usize,
    /// Starts aligned, and is a whole number of blocks, at least one.
    pub(crate) bounce: &'b mut [u8],
}

impl<'b, D: BlockRead> Aligned<'b, D> {
    /// Wraps `device`, whose driver takes buffers that start at a multiple of `align` bytes.
    ///
    /// `align` is rounded up to a power of two. 0 and 1 stand for any address, as in UEFI's `IoAlign`. `bounce` may have
    /// any alignment; `align - 1` bytes and one block are enough, and with more a misaligned read makes fewer requests:
    /// about one for each `bounce.len()` bytes. For DMA, `bounce` has to be memory that the device reaches.
    ///
    /// # Errors
    /// [`Error::MemoryTooSmall`] where `bounce` has no room for an aligned block. The device and `bounce` come back.
    pub fn new(device: D, align: u32, bounce: &'b mut [u8]) -> Result<Self, OpenError<'b, D, D::Error>> {
        let block_size = device.block_size();
        Self::in_blocks(device, block_size, align, bounce)
    }
}

impl<'b, D> Aligned<'b, D> {
    pub(crate) fn in_blocks<E>(
        device: D,
        block_size: BlockSize,
        align: u32,
        bounce: &'b mut [u8],
    ) -> Result<Self, OpenError<'b, D, E>> {
        // Where the address space has no such power of two, no buffer can be aligned but one at address 0.
        let align = usize::try_from(align).ok().and_then(usize::checked_next_power_of_two);
        let mask = align.map_or(usize::MAX, |align| align.saturating_sub(1));
        let skipped = to_aligned(bounce, mask);
        let len = whole_blocks(bounce.len().saturating_sub(skipped), block_size);
        if len == 0 {
            let block = usize::try_from(block_size.bytes()).unwrap_or(usize::MAX);
            let needed = mask.saturating_add(block);
            return Err(OpenError::new(device, bounce, Error::MemoryTooSmall { needed }));
        }
        let bounce = bounce.get_mut(skipped..).unwrap_or_default();
        let bounce = bounce.get_mut(..len).unwrap_or_default();
        Ok(Self { device, mask, bounce })
    }

    /// Gives the device back.
    #[must_use]
    pub fn into_inner(self) -> D {
        self.device
    }

    /// Splits `buf` into the blocks that are bounced, which come first, and the blocks that the driver takes directly.
    pub(crate) fn split<'a>(&self, block_size: BlockSize, buf: &'a mut [u8]) -> (&'a mut [u8], &'a mut [u8]) {
        let misaligned = to_aligned(buf, self.mask);
        // An aligned address inside a block is of no use: the driver reads whole blocks.
        let bounced = if whole_blocks(misaligned, block_size) == misaligned {
            misaligned.min(buf.len())
        } else {
            buf.len()
        };
        buf.split_at_mut_checked(bounced).unwrap_or_default()
    }
}

impl<D: BlockRead> BlockRead for Aligned<'_, D> {
    type Error = D::Error;

    fn block_size(&self) -> BlockSize {
        self.device.block_size()
    }

    fn size(&mut self) -> Result<u64, D::Error> {
        self.device.size()
    }

    fn read_blocks(&mut self, mut lba: u64, buf: &mut [u8]) -> Result<(), D::Error> {
        let block_size = self.device.block_size();
        let (bounced, direct) = self.split(block_size, buf);
        // Each turn reads a block or more.
        for part in bounced.chunks_mut(self.bounce.len().max(1)) {
            // It is as long as the longest part.
            let Some(bounce) = self.bounce.get_mut(..part.len()) else {
                break;
            };
            self.device.read_blocks(lba, bounce)?;
            part.copy_from_slice(bounce);
            lba = lba.saturating_add(blocks(part.len(), block_size));
        }
        if direct.is_empty() {
            return Ok(());
        }
        self.device.read_blocks(lba, direct)
    }
}

/// The bytes from the start of `buf` to the first aligned address.
fn to_aligned(buf: &[u8], mask: usize) -> usize {
    buf.as_ptr().addr().wrapping_neg() & mask
}

/// `bytes` rounded down to whole blocks.
fn whole_blocks(bytes: usize, block_size: BlockSize) -> usize {
    bytes & usize::MAX.wrapping_shl(block_size.shift())
}

/// The blocks in `bytes` bytes.
pub(crate) fn blocks(bytes: usize, block_size: BlockSize) -> u64 {
    block_size.lba(u64::try_from(bytes).unwrap_or(u64::MAX))
}

impl<D> fmt::Debug for Aligned<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aligned")
            .field("align", &self.mask.saturating_add(1))
            .field("bounce", &self.bounce.len())
            .finish_non_exhaustive()
    }
}
