//! A position in a guest's disk, for asynchronous code that reads streams.

use embedded_io_async::{ErrorType, Read, Seek, SeekFrom};

use crate::aio::AsyncGuestRead;
use crate::error::Error;
use crate::guest::{behind, stored, target};

/// A position in a guest's disk: [`embedded_io_async::Read`] and [`embedded_io_async::Seek`].
///
/// A future of its `read` that is dropped leaves the position where it was.
#[derive(Debug)]
pub struct Cursor<'a, G: ?Sized> {
    guest: &'a mut G,
    position: u64,
}

impl<'a, G: AsyncGuestRead + ?Sized> Cursor<'a, G> {
    pub(crate) fn new(guest: &'a mut G) -> Self {
        Self { guest, position: 0 }
    }

    /// The guest offset of the next byte. It may lie past the end, where reads give nothing.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }
}

impl<G> ErrorType for Cursor<'_, G>
where
    G: AsyncGuestRead + ?Sized,
    G::Error: embedded_io::Error + 'static,
{
    type Error = Error<G::Error>;
}

impl<G> Read for Cursor<'_, G>
where
    G: AsyncGuestRead + ?Sized,
    G::Error: embedded_io::Error + 'static,
{
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
        let buf = stored(buf, self.position, self.guest.size());
        if !buf.is_empty() {
            self.guest.read_at(self.position, buf).await?;
        }
        self.position = behind(self.position, buf.len());
        Ok(buf.len())
    }
}

impl<G> Seek for Cursor<'_, G>
where
    G: AsyncGuestRead + ?Sized,
    G::Error: embedded_io::Error + 'static,
{
    async fn seek(&mut self, pos: SeekFrom) -> Result<u64, Self::Error> {
        self.position = target(pos, self.position, self.guest.size()).ok_or(Error::OutOfRange)?;
        Ok(self.position)
    }
}
