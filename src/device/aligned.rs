//! Drivers that require aligned buffers: UEFI's `IoAlign`, DMA.

use core::fmt;

use crate::device::{BlockRead, BlockSize};
use crate::error::{Error, OpenError};

/// A device whose driver requires buffers at aligned addresses.
///
/// The driver fills an aligned buffer directly. If a buffer is misaligned, the driver fills a bounce buffer that the
/// caller lends, and the bytes are copied from there. If a later block of the buffer starts at an aligned address, the
/// driver fills the buffer directly from that block on.
///
/// ```
/// # let driver: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// use qcow1::{Aligned, Image};
///
/// // The driver requires addresses that are multiples of 64.
/// let mut bounce = [0; 63 + 512];
/// let device = Aligned::new(driver, 64, &mut bounce)?;
/// let mut memory = [0; 4096];
/// let mut image = Image::open(device, &mut memory)?;
/// image.read_at(1, &mut [0; 512])?;
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
pub struct Aligned<'b, D> {
    pub(crate) device: D,
    /// A power of two minus 1.
    mask: usize,
    /// Starts at an aligned address, and is a whole number of blocks, at least one.
    pub(crate) bounce: &'b mut [u8],
}

impl<'b, D: BlockRead> Aligned<'b, D> {
    /// Wraps `device`, whose driver requires buffers that start at a multiple of `align` bytes.
    ///
    /// `align` is rounded up to a power of two. 0 and 1 allow any address, as in UEFI's `IoAlign`. `bounce` may have
    /// any alignment, and `align - 1` bytes plus one block are enough. With more, a misaligned read makes fewer
    /// requests: about one for each `bounce.len()` bytes. For DMA, `bounce` must be memory that the device can access.
    ///
    /// # Errors
    /// [`Error::MemoryTooSmall`] if `bounce` has no room for an aligned block. The error returns the device and
    /// `bounce`.
    pub fn new(device: D, align: u32, bounce: &'b mut [u8]) -> Result<Self, OpenError<D, &'b mut [u8], D::Error>> {
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
    ) -> Result<Self, OpenError<D, &'b mut [u8], E>> {
        // If the power of two does not fit in the address space, only address 0 is aligned.
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

    /// Returns the wrapped device.
    #[must_use]
    pub fn into_inner(self) -> D {
        self.device
    }

    /// Splits `buf` into the blocks that are bounced and the blocks after them that the driver fills directly.
    pub(crate) fn split<'a>(&self, block_size: BlockSize, buf: &'a mut [u8]) -> (&'a mut [u8], &'a mut [u8]) {
        let misaligned = to_aligned(buf, self.mask);
        // An aligned address inside a block does not help: the driver reads whole blocks.
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
        // Bound: each turn reads at least one block.
        for part in bounced.chunks_mut(self.bounce.len().max(1)) {
            // Always present: no part is longer than `bounce`.
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

/// Returns the number of bytes from the start of `buf` to the first aligned address.
fn to_aligned(buf: &[u8], mask: usize) -> usize {
    buf.as_ptr().addr().wrapping_neg() & mask
}

/// Rounds `bytes` down to whole blocks.
fn whole_blocks(bytes: usize, block_size: BlockSize) -> usize {
    bytes & usize::MAX.wrapping_shl(block_size.shift())
}

/// Returns the number of whole blocks in `bytes` bytes.
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
