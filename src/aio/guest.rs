//! The guest's disk on asynchronous devices.

use core::fmt;

use crate::aio::{AsyncBlockRead, Chain, Image};
use crate::error::Error;
use crate::guest::partition::Partition;

/// Asynchronous counterpart of [`GuestRead`](crate::GuestRead).
#[allow(
    async_fn_in_trait,
    reason = "firmware runs its futures where they are; none has to be Send"
)]
pub trait AsyncGuestRead {
    /// The error of the device below.
    type Error: fmt::Debug;

    /// Returns the size of the disk in bytes.
    fn size(&self) -> u64;

    /// Fills `dst` with the guest's bytes from `offset` on, both in bytes and of any alignment.
    ///
    /// # Errors
    /// As [`GuestRead::read_at`](crate::GuestRead::read_at).
    async fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<Self::Error>>;

    /// Returns a reader with a position, for [`embedded_io_async::Read`] and [`embedded_io_async::Seek`]. It starts at 0.
    #[cfg(feature = "embedded-io-async")]
    fn cursor(&mut self) -> super::Cursor<'_, Self>
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

impl<D: AsyncBlockRead> AsyncGuestRead for Image<'_, D> {
    type Error = D::Error;

    fn size(&self) -> u64 {
        self.size()
    }

    async fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<D::Error>> {
        self.read_at(offset, dst).await
    }
}

impl<D: AsyncBlockRead, const DEPTH: usize> AsyncGuestRead for Chain<Image<'_, D>, DEPTH> {
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
