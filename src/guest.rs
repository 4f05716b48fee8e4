//! What can be read as a guest's disk.

use core::fmt;

use crate::cursor::Cursor;
use crate::error::Error;

/// A guest's disk: an [`Image`](crate::Image), a [`Chain`](crate::Chain), or what is built on them.
#[allow(
    clippy::len_without_is_empty,
    reason = "the size of a disk in bytes, not of a collection"
)]
pub trait GuestRead {
    /// The device's error.
    type Error: fmt::Debug;

    /// The size of the disk in bytes.
    fn len(&self) -> u64;

    /// Fills `dst` with the guest's bytes from `offset` on, any offset and length in bytes.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] where they do not all lie inside the disk, and whatever else keeps one of them from being
    /// read. `dst` then holds anything; the disk is as usable as before.
    fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<Self::Error>>;

    /// A reader with a position, for [`embedded_io::Read`] and [`embedded_io::Seek`]; it starts at 0.
    fn cursor(&mut self) -> Cursor<'_, Self> {
        Cursor::new(self)
    }
}

impl<G: GuestRead + ?Sized> GuestRead for &mut G {
    type Error = G::Error;

    fn len(&self) -> u64 {
        (**self).len()
    }

    fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<Self::Error>> {
        (**self).read_at(offset, dst)
    }
}
