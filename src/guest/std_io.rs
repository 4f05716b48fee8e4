//! The standard library's streams: `std::io::{Read, Seek, Write}`.

use std::io;

use crate::guest::GuestRead;
use crate::guest::cursor::Cursor;
use crate::guest::read_only::ReadOnly;

impl<G> io::Read for Cursor<G>
where
    G: GuestRead,
    G::Error: core::error::Error + Send + Sync + 'static,
{
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.read_next(buf)?)
    }
}

impl<G> io::Seek for Cursor<G>
where
    G: GuestRead,
    G::Error: core::error::Error + Send + Sync + 'static,
{
    fn seek(&mut self, pos: io::SeekFrom) -> io::Result<u64> {
        Ok(self.seek_to(pos.into())?)
    }
}

impl<C: io::Read> io::Read for ReadOnly<C> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl<C: io::Seek> io::Seek for ReadOnly<C> {
    fn seek(&mut self, pos: io::SeekFrom) -> io::Result<u64> {
        self.0.seek(pos)
    }
}

impl<C> io::Write for ReadOnly<C> {
    /// Refuses to write.
    ///
    /// # Errors
    /// [`io::ErrorKind::ReadOnlyFilesystem`] unless `buf` is empty.
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
