//! A position in a guest's disk, for code that reads streams.

use embedded_io::{ErrorType, Read, Seek, SeekFrom};

use crate::error::Error;
use crate::guest::GuestRead;

/// A position in a guest's disk: [`embedded_io::Read`] and [`embedded_io::Seek`].
///
/// Several can follow each other on one disk, since the position is all that they hold.
#[derive(Debug)]
pub struct Cursor<'a, G: ?Sized> {
    guest: &'a mut G,
    position: u64,
}

impl<'a, G: GuestRead + ?Sized> Cursor<'a, G> {
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
    G: GuestRead + ?Sized,
    G::Error: embedded_io::Error + 'static,
{
    type Error = Error<G::Error>;
}

impl<G> Read for Cursor<'_, G>
where
    G: GuestRead + ?Sized,
    G::Error: embedded_io::Error + 'static,
{
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
        let left = self.guest.len().saturating_sub(self.position);
        let len = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let buf = buf.get_mut(..len).unwrap_or_default();
        if buf.is_empty() {
            return Ok(0);
        }
        self.guest.read_at(self.position, buf)?;
        self.position = self.position.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
        Ok(len)
    }
}

impl<G> Seek for Cursor<'_, G>
where
    G: GuestRead + ?Sized,
    G::Error: embedded_io::Error + 'static,
{
    fn seek(&mut self, pos: SeekFrom) -> Result<u64, Self::Error> {
        let target = match pos {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.guest.len().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = target.ok_or(Error::OutOfRange)?;
        Ok(self.position)
    }
}
