//! `AsyncGuestRead`: the guest's disk on asynchronous devices.

use core::fmt;

use crate::aio::{AsyncBlockRead, Chain, Image};
use crate::error::Error;
use crate::guest::partition::Partition;
use crate::memory::Memory;

/// Asynchronous counterpart of [`GuestRead`](crate::GuestRead): a guest's disk whose reads are futures.
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
/// # let device = Driver(include_bytes!("../../tests/data/plain.qcow"));
/// use qcow1::Error;
/// use qcow1::aio::{AsyncGuestRead, Image};
///
/// /// Takes an image, a chain or a partition.
/// async fn first_sector<G: AsyncGuestRead>(disk: &mut G) -> Result<[u8; 512], Error<G::Error>> {
///     let mut sector = [0; 512];
///     disk.read_at(0, &mut sector).await?;
///     Ok(sector)
/// }
///
/// # pollster::block_on(async {
/// let mut memory = [0; 4096];
/// let mut image = Image::open(device, &mut memory).await?;
/// first_sector(&mut image).await?;
/// # Ok::<(), Error<core::convert::Infallible>>(())
/// # })?;
/// # Ok::<(), Error<core::convert::Infallible>>(())
/// ```
#[allow(
    async_fn_in_trait,
    reason = "firmware runs its futures on one core, so they need not be Send"
)]
pub trait AsyncGuestRead {
    /// The error of the device below.
    type Error: fmt::Debug;

    /// Returns the size of the disk in bytes.
    fn size(&self) -> u64;

    /// Fills `dst` with the guest's bytes from `offset` on. `offset`, in bytes, and the length of `dst` may have any
    /// alignment.
    ///
    /// # Errors
    /// As [`GuestRead::read_at`](crate::GuestRead::read_at).
    async fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<Self::Error>>;

    /// Returns a `Cursor` at byte 0, which implements [`embedded_io_async::Read`] and [`embedded_io_async::Seek`].
    #[cfg(feature = "embedded-io-async")]
    fn cursor(&mut self) -> super::Cursor<&mut Self>
    where
        Self: Sized,
    {
        super::Cursor::new(self)
    }
}

impl<G: AsyncGuestRead + ?Sized> AsyncGuestRead for &mut G {
    type Error = G::Error;

    fn size(&self) -> u64 {
        (**self).size()
    }

    async fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<Self::Error>> {
        (**self).read_at(offset, dst).await
    }
}

impl<D: AsyncBlockRead, M: Memory> AsyncGuestRead for Image<D, M> {
    type Error = D::Error;

    fn size(&self) -> u64 {
        self.size()
    }

    async fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<D::Error>> {
        self.read_at(offset, dst).await
    }
}

impl<D: AsyncBlockRead, M: Memory, const DEPTH: usize> AsyncGuestRead for Chain<Image<D, M>, DEPTH> {
    type Error = D::Error;

    fn size(&self) -> u64 {
        self.size()
    }

    async fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<D::Error>> {
        self.read_at(offset, dst).await
    }
}

impl<G: AsyncGuestRead> AsyncGuestRead for Partition<G> {
    type Error = G::Error;

    fn size(&self) -> u64 {
        self.size_on(self.guest.size())
    }

    async fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<G::Error>> {
        let start = self.place(self.guest.size(), offset, dst.len())?;
        self.guest.read_at(start, dst).await
    }
}
