//! Drivers with a limit on the length of a request.

use crate::device::bounced::after;
use crate::device::{BlockRead, BlockSize};

/// A device whose driver limits the length of a request: 127 sectors for a BIOS, 240 for much of
/// USB, `seg_max` for virtio.
///
/// Longer reads are split into requests of the maximum length and one for the rest. Without it, a
/// request may be as long as the buffer of the caller's read. It implements [`BlockRead`] over a
/// [`BlockRead`] and, with the feature `async`, [`aio::BlockRead`](crate::aio::BlockRead) over a
/// device that implements that.
///
/// Wrappers stack: the outer one splits a request, and the inner one copies each part. For a BIOS,
/// whose requests are short and whose buffers lie below 1 MiB:
///
/// ```
/// use qcow1::{Bounced, Image, Limited};
///
/// let bios: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// let mut low_memory = [0; 127 * 512];
/// let device = Limited::new(Bounced::new(bios, 1, &mut low_memory)?, 127 * 512);
/// let mut image = Image::open(device, [0; 4096])?;
/// image.read_at(0, &mut [0; 100_000])?;
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Limited<D> {
    pub(crate) device: D,
    max_bytes: usize,
}

impl<D> Limited<D> {
    /// Wraps `device`, and limits its requests to `max_bytes`, rounded down to whole blocks, but at
    /// least one block.
    #[must_use]
    pub const fn new(device: D, max_bytes: usize) -> Self {
        Self { device, max_bytes }
    }

    /// Returns the wrapped device.
    #[must_use]
    pub fn into_inner(self) -> D {
        self.device
    }

    /// Returns the maximum length of a request in bytes, at least one block.
    pub(crate) fn max_len(&self, block_size: BlockSize) -> usize {
        block_size.round_down_len(self.max_bytes).max(block_size.len())
    }
}

impl<D: BlockRead> BlockRead for Limited<D> {
    type Error = D::Error;

    fn block_size(&self) -> BlockSize {
        self.device.block_size()
    }

    fn size(&mut self) -> Result<u64, D::Error> {
        self.device.size()
    }

    fn read_blocks(&mut self, mut lba: u64, buf: &mut [u8]) -> Result<(), D::Error> {
        let block_size = self.device.block_size();
        // Bound: each turn reads at least one block.
        for part in buf.chunks_mut(self.max_len(block_size)) {
            self.device.read_blocks(lba, part)?;
            lba = after(lba, part, block_size);
        }
        Ok(())
    }
}
