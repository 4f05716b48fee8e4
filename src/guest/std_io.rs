//! The standard library's streams: `std::io::{Read, Seek}`, out.

use core::any::Any;
use std::io;

use crate::error::Error;
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

/// The kind is that of the device's error where that is an [`io::Error`], and the error itself is inside.
impl<E: core::error::Error + Send + Sync + 'static> From<Error<E>> for io::Error {
    fn from(error: Error<E>) -> Self {
        let kind = match &error {
            Error::Io(device) => {
                let device: &dyn Any = device;
                device
                    .downcast_ref::<Self>()
                    .map_or(io::ErrorKind::Other, io::Error::kind)
            }
            other => other.kind_unless_io().into(),
        };
        Self::new(kind, error)
    }
}
