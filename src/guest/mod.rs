//! What can be read as a guest's disk.

#[cfg(feature = "embedded-sdmmc-types")]
pub(crate) mod embedded_sdmmc;
#[cfg(feature = "embedded-storage")]
pub(crate) mod embedded_storage;
#[cfg(any(feature = "embedded-sdmmc-types", feature = "gpt_disk_io"))]
pub(crate) mod error;
#[cfg(feature = "gpt_disk_io")]
pub(crate) mod gpt_disk_io;
#[cfg(feature = "std")]
mod std_io;

use core::fmt;

use embedded_io::{ErrorType, Read, Seek, SeekFrom};

use crate::error::Error;

/// A guest's disk: an [`Image`](crate::Image), a [`Chain`](crate::Chain), or what is built on them.
pub trait GuestRead {
    /// The device's error.
    type Error: fmt::Debug;

    /// The size of the disk in bytes.
    fn size(&self) -> u64;

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

    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<Self::Error>> {
        (**self).read_at(offset, dst)
    }
}

/// A position in a guest's disk: [`embedded_io::Read`] and [`embedded_io::Seek`], and with the feature `std` the
/// standard library's two traits of these names.
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

    /// Reads as much of `buf` as the disk has from here on, and goes on behind it.
    pub(crate) fn read_next(&mut self, buf: &mut [u8]) -> Result<usize, Error<G::Error>> {
        let buf = stored(buf, self.position, self.guest.size());
        if !buf.is_empty() {
            self.guest.read_at(self.position, buf)?;
        }
        self.position = behind(self.position, buf.len());
        Ok(buf.len())
    }

    pub(crate) fn seek_to(&mut self, pos: SeekFrom) -> Result<u64, Error<G::Error>> {
        self.position = target(pos, self.position, self.guest.size()).ok_or(Error::OutOfRange)?;
        Ok(self.position)
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
        self.read_next(buf)
    }
}

impl<G> Seek for Cursor<'_, G>
where
    G: GuestRead + ?Sized,
    G::Error: embedded_io::Error + 'static,
{
    fn seek(&mut self, pos: SeekFrom) -> Result<u64, Self::Error> {
        self.seek_to(pos)
    }
}

/// The start of `buf` that the bytes from `position` to the end of the disk fill.
pub(crate) fn stored(buf: &mut [u8], position: u64, len: u64) -> &mut [u8] {
    let left = usize::try_from(len.saturating_sub(position)).unwrap_or(usize::MAX);
    let len = buf.len().min(left);
    buf.get_mut(..len).unwrap_or_default()
}

/// The position behind `bytes` more bytes.
pub(crate) fn behind(position: u64, bytes: usize) -> u64 {
    position.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX))
}

/// Where a seek goes on a disk of `len` bytes; `None` where that is no position.
pub(crate) fn target(pos: SeekFrom, position: u64, len: u64) -> Option<u64> {
    match pos {
        SeekFrom::Start(offset) => Some(offset),
        SeekFrom::End(offset) => len.checked_add_signed(offset),
        SeekFrom::Current(offset) => position.checked_add_signed(offset),
    }
}
