//! What can be read as a guest's disk, in time.

use core::fmt;

use crate::aio::{AsyncBlockRead, Chain, Image};
use crate::error::Error;

/// A guest's disk on asynchronous devices: [`GuestRead`](crate::GuestRead) with `async`.
#[allow(
    async_fn_in_trait,
    reason = "firmware runs its futures where they are; none has to be Send"
)]
pub trait AsyncGuestRead {
    /// The device's error.
    type Error: fmt::Debug;

    /// The size of the disk in bytes.
    fn size(&self) -> u64;

    /// Fills `dst` with the guest's bytes from `offset` on, any offset and length in bytes.
    ///
    /// # Errors
    /// As [`GuestRead::read_at`](crate::GuestRead::read_at).
    async fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<Self::Error>>;

    /// A reader with a position, for [`embedded_io_async::Read`] and [`embedded_io_async::Seek`]; it starts at 0.
    #[cfg(feature = "embedded-io-async")]
    fn cursor(&mut self) -> super::Cursor<'_, Self> {
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
