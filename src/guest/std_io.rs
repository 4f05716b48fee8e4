//! The standard library's streams: `std::io::{Read, Seek}`, out.

use std::io;

use crate::guest::Cursor;
use crate::guest::GuestRead;

impl<G> io::Read for Cursor<'_, G>
where
    G: GuestRead + ?Sized,
    G::Error: core::error::Error + Send + Sync + 'static,
{
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.read_next(buf)?)
    }
}

impl<G> io::Seek for Cursor<'_, G>
where
    G: GuestRead + ?Sized,
    G::Error: core::error::Error + Send + Sync + 'static,
{
    fn seek(&mut self, pos: io::SeekFrom) -> io::Result<u64> {
        Ok(self.seek_to(pos.into())?)
    }
}
