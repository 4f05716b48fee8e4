//! The asynchronous `GuestRead`.

use crate::aio::{BlockRead, Image};
use crate::error::Error;
use crate::guest::partition::Partition;
use crate::guest::{GuestDisk, clip_sectors};
use crate::image::chain::Chain;
use crate::memory::Memory;

/// A guest's disk whose reads are futures: the counterpart of [`crate::GuestRead`].
///
/// ```
/// use qcow1::Error;
/// use qcow1::aio::GuestRead;
///
/// /// Takes an image, a chain or a partition.
/// async fn first_sector<G: GuestRead>(disk: &mut G) -> Result<[u8; 512], Error<G::Error>> {
///     let mut sector = [0; 512];
///     disk.read_at(0, &mut sector).await?;
///     Ok(sector)
/// }
/// # use qcow1::{BlockRead as _, BlockSize, aio};
/// # struct Driver(&'static [u8]);
/// # impl aio::BlockRead for Driver {
/// #     type Error = core::convert::Infallible;
/// #     fn block_size(&self) -> BlockSize { BlockSize::BYTE }
/// #     async fn size(&mut self) -> Result<u64, Self::Error> { self.0.size() }
/// #     async fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Self::Error> { self.0.read_blocks(lba, buf) }
/// # }
/// # pollster::block_on(async {
/// #     let device = Driver(include_bytes!("../../tests/data/plain.qcow"));
/// #     let mut image = aio::Image::open(device, [0; 4096]).await?;
/// #     first_sector(&mut image).await?;
/// #     Ok::<(), Error<core::convert::Infallible>>(())
/// # })?;
/// # Ok::<(), Error<core::convert::Infallible>>(())
/// ```
#[allow(
    async_fn_in_trait,
    reason = "the future of a call over a concrete device is Send if the device's futures are"
)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a guest's disk that is read asynchronously",
    note = "over a synchronous device, use `qcow1::GuestRead`"
)]
pub trait GuestRead: GuestDisk {
    /// Fills `dst` with the guest's bytes that start at `offset`. `offset`, in bytes, and the
    /// length of `dst` may have any alignment.
    ///
    /// # Errors
    /// As [`crate::GuestRead::read_at`].
    async fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<Self::Error>>;

    /// Fills `dst` with the guest's sectors of 512 bytes that start at sector `first`; see
    /// [`crate::GuestRead::read_sectors`].
    ///
    /// # Errors
    /// As [`crate::GuestRead::read_sectors`].
    async fn read_sectors(&mut self, first: u64, dst: &mut [u8]) -> Result<(), Error<Self::Error>> {
        let (offset, dst) = clip_sectors(self.size(), first, dst)?;
        self.read_at(offset, dst).await
    }
}

impl<G: GuestRead + ?Sized> GuestRead for &mut G {
    async fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<Self::Error>> {
        (**self).read_at(offset, dst).await
    }

    async fn read_sectors(&mut self, first: u64, dst: &mut [u8]) -> Result<(), Error<Self::Error>> {
        (**self).read_sectors(first, dst).await
    }
}

impl<D: BlockRead, M> GuestDisk for Image<D, M> {
    type Error = D::Error;

    fn size(&self) -> u64 {
        self.size()
    }
}

impl<D: BlockRead, M: Memory> GuestRead for Image<D, M> {
    async fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<D::Error>> {
        self.read_at(offset, dst).await
    }
}

impl<D: BlockRead, M, const DEPTH: usize> GuestDisk for Chain<Image<D, M>, DEPTH> {
    type Error = D::Error;

    fn size(&self) -> u64 {
        self.size()
    }
}

impl<D: BlockRead, M: Memory, const DEPTH: usize> GuestRead for Chain<Image<D, M>, DEPTH> {
    async fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<D::Error>> {
        self.read_at(offset, dst).await
    }
}

impl<G: GuestRead> GuestRead for Partition<G> {
    async fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<G::Error>> {
        let start = self.translate(offset, dst.len())?;
        self.guest.read_at(start, dst).await
    }
}
