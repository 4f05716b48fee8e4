//! Which blocks of the device hold some bytes of the image file.

use crate::device::BlockSize;
use crate::error::{Error, Unsupported};
use crate::offset::{HostOffset, saturating_usize};

/// The device as the core sees it: the size of its blocks, and where the file on it ends.
#[derive(Clone, Copy)]
pub(crate) struct DeviceShape {
    pub(crate) block_size: BlockSize,
    /// The length of the file, or where that is not known, of the device: at most 2^63.
    pub(crate) end: HostOffset,
    /// Whether what lies past the end reads as zeros; otherwise it is an error.
    pub(crate) salvage: bool,
}

impl DeviceShape {
    /// The shape of a device of `size` bytes.
    ///
    /// # Errors
    /// [`Unsupported::DeviceSize`] above 2^63 bytes, beyond which no table word reaches. It is what keeps rounding up to
    /// blocks from wrapping.
    pub(crate) const fn new<E>(size: u64, block_size: BlockSize) -> Result<Self, Error<E>> {
        if size > 1 << 63 {
            return Err(Error::Unsupported(Unsupported::DeviceSize(size)));
        }
        Ok(Self {
            block_size,
            end: HostOffset(size),
            salvage: false,
        })
    }

    /// Whether the file has the `len` bytes from `start` on, which is below 2^63.
    pub(crate) const fn has(&self, start: HostOffset, len: u64) -> bool {
        start.0.wrapping_add(len) <= self.end.0
    }

    /// The number of the block that holds the byte at `host`.
    #[inline(never)]
    pub(crate) const fn lba(&self, host: HostOffset) -> u64 {
        self.block_size.lba(host.0)
    }

    /// The bytes of the blocks that hold the `len` bytes from `start` on, the first byte of a block, as far as the file goes.
    #[inline(never)]
    pub(crate) fn readable(&self, start: HostOffset, len: usize) -> usize {
        let in_file = saturating_usize(self.end.since(start));
        self.block_size.round_up_len(len.min(in_file))
    }
}
