//! Maps bytes of the image file to blocks of the device.

use crate::device::BlockSize;
use crate::error::{Error, Unsupported};
use crate::offset::{HostOffset, saturating_usize};

/// The device as the core sees it: the size of its blocks, and the end of the file on it.
#[derive(Clone, Copy)]
#[cfg_attr(qcow1_proofs, derive(PartialEq, Eq, Hash))]
pub(crate) struct DeviceShape {
    pub(crate) block_size: BlockSize,
    /// The end of the file, or of the device if that is not known: at most 2^63.
    pub(crate) end: HostOffset,
    /// Whether bytes past the end read as zeros. Otherwise they are an error.
    pub(crate) salvage: bool,
}

impl DeviceShape {
    /// Creates the shape of a device of `size` bytes, without salvage.
    ///
    /// # Errors
    /// [`Unsupported::DeviceSize`] above 2^63 bytes: no table word addresses a byte beyond that,
    /// and no rounding up to blocks wraps below it.
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

    /// Returns `true` if the file has all `len` bytes that start at `start`, which is below 2^63.
    pub(crate) const fn contains(&self, start: HostOffset, len: u64) -> bool {
        start.0.wrapping_add(len) <= self.end.0
    }

    /// Returns the number of the block that holds the byte at `host`.
    pub(crate) const fn lba(&self, host: HostOffset) -> u64 {
        self.block_size.lba(host.0)
    }

    /// Returns the length in bytes of the blocks that hold the `len` bytes that start at `start`,
    /// up to the end of the file. `start` is block-aligned.
    pub(crate) fn readable_len(&self, start: HostOffset, len: usize) -> usize {
        let in_file = saturating_usize(self.end.since(start));
        self.block_size.round_up_len(len.min(in_file))
    }

    /// Returns the request that fills `buffer` with the bytes that start at `start`, up to the end
    /// of the file: the number of the first block, and the part of the buffer for it and the blocks
    /// after it. `start` is block-aligned.
    // Not inlined: four calls would cost a hundred bytes.
    #[inline(never)]
    pub(crate) fn request<'m>(&self, start: HostOffset, buffer: &'m mut [u8]) -> (u64, &'m mut [u8]) {
        let len = self.readable_len(start, buffer.len());
        (self.lba(start), buffer.get_mut(..len).unwrap_or_default())
    }
}
