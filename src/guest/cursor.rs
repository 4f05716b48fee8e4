//! A position in a guest's disk.

use embedded_io::{ErrorType, Read, Seek, SeekFrom};

use crate::error::Error;
use crate::guest::{GuestDisk, GuestRead};
use crate::offset::{byte_count, saturating_usize};

/// A position in a guest's disk, which reads the disk as a stream.
///
/// It owns the disk; a `&mut` reference to a disk is a disk too. It implements
/// [`embedded_io::Read`] and [`embedded_io::Seek`] and, with the feature `std`, `std::io::Read` and
/// `std::io::Seek`. Over an asynchronous disk, with the feature `embedded-io-async`, it implements
/// the traits of that crate. [`ReadOnly`](crate::ReadOnly) adds a `Write` that returns an error.
///
/// ```
/// use embedded_io::{Read, Seek, SeekFrom};
/// use qcow1::{Cursor, Image};
///
/// let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// let mut cursor = Cursor::new(Image::open(file, [0; 4096])?);
/// cursor.seek(SeekFrom::Start(1000))?;
/// let mut bytes = [0; 24];
/// cursor.read_exact(&mut bytes).expect("the disk has 128 KiB");
/// assert_eq!(cursor.position(), 1024);
/// let image = cursor.into_inner();
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Cursor<G> {
    pub(crate) guest: G,
    position: u64,
}

impl<G: GuestDisk> Cursor<G> {
    /// Creates a cursor at byte 0 of `guest`, which may be a `&mut` reference to a disk.
    #[must_use]
    pub const fn new(guest: G) -> Self {
        Self { guest, position: 0 }
    }

    /// Returns the guest offset of the next byte. If it is past the end of the disk, reads return 0
    /// bytes.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// Returns the disk.
    #[must_use]
    pub fn into_inner(self) -> G {
        self.guest
    }

    /// Truncates `buf` to the rest of the disk.
    pub(crate) fn clip<'b>(&self, buf: &'b mut [u8]) -> &'b mut [u8] {
        let left = saturating_usize(self.guest.size().saturating_sub(self.position));
        let len = buf.len().min(left);
        buf.get_mut(..len).unwrap_or_default()
    }

    /// Advances the position by `bytes` bytes that have been read, and returns their number.
    pub(crate) fn advance(&mut self, bytes: usize) -> usize {
        self.position = self.position.saturating_add(byte_count(bytes));
        bytes
    }

    pub(crate) fn seek_to(&mut self, pos: SeekFrom) -> Result<u64, Error<G::Error>> {
        let target = match pos {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.guest.size().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = target.ok_or(Error::OutOfRange)?;
        Ok(self.position)
    }
}

impl<G: GuestRead> Cursor<G> {
    /// Fills `buf`, or its start if the disk ends first, and advances the position. Returns the
    /// number of bytes read.
    pub(crate) fn read_next(&mut self, buf: &mut [u8]) -> Result<usize, Error<G::Error>> {
        let buf = self.clip(buf);
        if !buf.is_empty() {
            self.guest.read_at(self.position, buf)?;
        }
        Ok(self.advance(buf.len()))
    }
}

impl<G> ErrorType for Cursor<G>
where
    G: GuestDisk,
    G::Error: embedded_io::Error + 'static,
{
    type Error = Error<G::Error>;
}

impl<G> Read for Cursor<G>
where
    G: GuestRead,
    G::Error: embedded_io::Error + 'static,
{
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
        self.read_next(buf)
    }
}

impl<G> Seek for Cursor<G>
where
    G: GuestRead,
    G::Error: embedded_io::Error + 'static,
{
    fn seek(&mut self, pos: SeekFrom) -> Result<u64, Self::Error> {
        self.seek_to(pos)
    }
}
