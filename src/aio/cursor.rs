//! embedded-io-async's traits for `Cursor`.

use embedded_io_async::{Read, Seek, SeekFrom};

use crate::aio::GuestRead;
use crate::guest::cursor::Cursor;

/// Dropping the future of a `read` leaves the position unchanged.
impl<G> Read for Cursor<G>
where
    G: GuestRead,
    G::Error: embedded_io::Error + 'static,
{
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
        let buf = self.clip(buf);
        if !buf.is_empty() {
            let position = self.position();
            self.guest.read_at(position, buf).await?;
        }
        Ok(self.advance(buf.len()))
    }
}

impl<G> Seek for Cursor<G>
where
    G: GuestRead,
    G::Error: embedded_io::Error + 'static,
{
    async fn seek(&mut self, pos: SeekFrom) -> Result<u64, Self::Error> {
        self.seek_to(pos)
    }
}
