//! Asynchronous drivers that require aligned buffers.

use core::fmt;

use crate::aio::AsyncBlockRead;
use crate::device::BlockSize;
use crate::device::aligned::blocks;
use crate::error::OpenError;

/// An asynchronous device whose driver requires buffers at aligned addresses: the counterpart of [`crate::Aligned`].
///
/// ```
/// # use qcow1::{BlockRead, BlockSize, aio::AsyncBlockRead};
/// # struct Driver(&'static [u8]);
/// # impl AsyncBlockRead for Driver {
/// #     type Error = core::convert::Infallible;
/// #     fn block_size(&self) -> BlockSize { BlockSize::BYTE }
/// #     async fn size(&mut self) -> Result<u64, Self::Error> { self.0.size() }
/// #     async fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Self::Error> { self.0.read_blocks(lba, buf) }
/// # }
/// # let driver = Driver(include_bytes!("../../tests/data/plain.qcow"));
/// use qcow1::aio::{Aligned, Image};
///
/// # pollster::block_on(async {
/// // The driver requires addresses that are multiples of 64.
/// let mut bounce = [0; 63 + 512];
/// let device = Aligned::new(driver, 64, &mut bounce)?;
/// let mut memory = [0; 4096];
/// let mut image = Image::open(device, &mut memory).await?;
/// image.read_at(1, &mut [0; 512]).await?;
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// # })?;
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
pub struct Aligned<'b, D>(crate::Aligned<'b, D>);

impl<'b, D: AsyncBlockRead> Aligned<'b, D> {
    /// Wraps `device`, whose driver requires buffers that start at a multiple of `align` bytes; see
    /// [`crate::Aligned::new`].
    ///
    /// # Errors
    /// As [`crate::Aligned::new`].
    pub fn new(device: D, align: u32, bounce: &'b mut [u8]) -> Result<Self, OpenError<D, &'b mut [u8], D::Error>> {
        let block_size = device.block_size();
        crate::Aligned::in_blocks(device, block_size, align, bounce).map(Self)
    }

    /// Returns the wrapped device.
    #[must_use]
    pub fn into_inner(self) -> D {
        self.0.into_inner()
    }
}

impl<D: AsyncBlockRead> AsyncBlockRead for Aligned<'_, D> {
    type Error = D::Error;

    fn block_size(&self) -> BlockSize {
        self.0.device.block_size()
    }

    async fn size(&mut self) -> Result<u64, D::Error> {
        self.0.device.size().await
    }

    async fn read_blocks(&mut self, mut lba: u64, buf: &mut [u8]) -> Result<(), D::Error> {
        let block_size = self.0.device.block_size();
        let (bounced, direct) = self.0.split(block_size, buf);
        // Bound: each turn reads at least one block.
        for part in bounced.chunks_mut(self.0.bounce.len().max(1)) {
            // Always present: no part is longer than `bounce`.
            let Some(bounce) = self.0.bounce.get_mut(..part.len()) else {
                break;
            };
            self.0.device.read_blocks(lba, bounce).await?;
            part.copy_from_slice(bounce);
            lba = lba.saturating_add(blocks(part.len(), block_size));
        }
        if direct.is_empty() {
            return Ok(());
        }
        self.0.device.read_blocks(lba, direct).await
    }
}

impl<D> fmt::Debug for Aligned<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
