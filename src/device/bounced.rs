//! Drivers whose DMA reaches only some memory.

use core::fmt;

use crate::device::{BlockRead, BlockSize};
use crate::error::{Error, OpenError};
use crate::memory::Memory;
use crate::offset::byte_count;

/// A device that is read through a bounce buffer only: for a driver whose DMA does not reach the
/// caller's memory.
///
/// The driver fills the bounce buffer, at an aligned address, and the bytes are copied from there.
/// [`Aligned`](crate::Aligned) bounces only buffers that are misaligned. It implements
/// [`BlockRead`] over a [`BlockRead`] and, with the feature `async`,
/// [`aio::BlockRead`](crate::aio::BlockRead) over a device that implements that.
///
/// Each request reads the whole blocks that fit in `buffer` after its first aligned address, or the
/// rest of the read.
///
/// ```
/// use qcow1::{Bounced, Image};
///
/// let driver: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// // The DMA engine reaches only this memory, and requires addresses that are multiples of 16.
/// let mut low_memory = [0; 32_768];
/// let device = Bounced::new(driver, 16, &mut low_memory)?;
/// let mut image = Image::open(device, [0; 4096])?;
/// image.read_at(1, &mut [0; 512])?;
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
pub struct Bounced<D, B> {
    pub(crate) device: D,
    buffer: B,
    align: Alignment,
}

/// The multiples of which addresses are aligned: a power of two minus 1.
#[derive(Clone, Copy)]
pub(crate) struct Alignment(usize);

impl Alignment {
    /// Rounds `align` up to a power of two.
    fn new(align: u32) -> Self {
        // If the power of two does not fit in the address space, only address 0 is aligned.
        let align = usize::try_from(align).ok().and_then(usize::checked_next_power_of_two);
        Self(align.map_or(usize::MAX, |align| align.saturating_sub(1)))
    }

    /// Returns the number of bytes from the start of `buf` to the first aligned address.
    pub(crate) fn bytes_to_aligned(self, buf: &[u8]) -> usize {
        buf.as_ptr().addr().wrapping_neg() & self.0
    }
}

impl<D: BlockRead, B: Memory> Bounced<D, B> {
    /// Wraps `device`, whose driver fills only `buffer`, at a multiple of `align` bytes.
    ///
    /// `align` is rounded up to a power of two; 0 and 1 allow any address. `align - 1` bytes plus
    /// one block are enough for `buffer`, and an aligned block is enough if `buffer` is lent or on
    /// the heap. Each request is for at most as many whole blocks as fit in it.
    ///
    /// # Errors
    /// [`Error::MemoryTooSmall`] if `buffer` has no room for an aligned block. The error returns
    /// the device and `buffer`.
    pub fn new(device: D, align: u32, buffer: B) -> Result<Self, OpenError<D, B, D::Error>> {
        let block_size = device.block_size();
        Self::in_blocks(device, block_size, align, buffer)
    }
}

impl<D, B: Memory> Bounced<D, B> {
    pub(crate) fn in_blocks<E>(
        device: D,
        block_size: BlockSize,
        align: u32,
        mut buffer: B,
    ) -> Result<Self, OpenError<D, B, E>> {
        let align = Alignment::new(align);
        let bytes = buffer.bytes();
        // An array moves with this value, and then starts at an address with another alignment.
        let skipped = if B::MOVES {
            align.0
        } else {
            align.bytes_to_aligned(bytes)
        };
        if block_size.round_down_len(bytes.len().saturating_sub(skipped)) == 0 {
            let needed = align.0.saturating_add(block_size.len());
            return Err(OpenError::new(device, buffer, Error::MemoryTooSmall { needed }));
        }
        Ok(Self { device, buffer, align })
    }

    /// Returns the device, and the whole blocks of the buffer that start at an aligned address: at
    /// least one.
    pub(crate) fn parts(&mut self, block_size: BlockSize) -> (&mut D, &mut [u8]) {
        let bytes = self.buffer.bytes();
        let skipped = self.align.bytes_to_aligned(bytes);
        let bytes = bytes.get_mut(skipped..).unwrap_or_default();
        let len = block_size.round_down_len(bytes.len());
        (&mut self.device, bytes.get_mut(..len).unwrap_or_default())
    }
}

impl<D, B> Bounced<D, B> {
    pub(crate) const fn align(&self) -> Alignment {
        self.align
    }

    /// Returns the wrapped device and the buffer.
    #[must_use]
    pub fn into_parts(self) -> (D, B) {
        (self.device, self.buffer)
    }
}

impl<D: BlockRead, B: Memory> BlockRead for Bounced<D, B> {
    type Error = D::Error;

    fn block_size(&self) -> BlockSize {
        self.device.block_size()
    }

    fn size(&mut self) -> Result<u64, D::Error> {
        self.device.size()
    }

    fn read_blocks(&mut self, mut lba: u64, buf: &mut [u8]) -> Result<(), D::Error> {
        let block_size = self.device.block_size();
        let (device, bounce) = self.parts(block_size);
        // Bound: each turn reads at least one block.
        for part in buf.chunks_mut(bounce.len().max(1)) {
            // Always present: no part is longer than `bounce`.
            let Some(bounce) = bounce.get_mut(..part.len()) else {
                break;
            };
            device.read_blocks(lba, bounce)?;
            part.copy_from_slice(bounce);
            lba = after(lba, part, block_size);
        }
        Ok(())
    }
}

/// Returns the address of the block after the blocks of `buf`, which start at `lba`.
pub(crate) fn after(lba: u64, buf: &[u8], block_size: BlockSize) -> u64 {
    lba.saturating_add(block_size.lba(byte_count(buf.len())))
}

impl<D, B> fmt::Debug for Bounced<D, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bounced")
            .field("align", &self.align.0.saturating_add(1))
            .finish_non_exhaustive()
    }
}
