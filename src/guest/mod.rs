//! The guest's disk: the trait `GuestRead`, `Cursor`, and adapters to other crates' traits.

#[cfg(feature = "embedded-sdmmc-types")]
pub(crate) mod embedded_sdmmc;
#[cfg(feature = "embedded-storage")]
pub(crate) mod embedded_storage;
#[cfg(any(feature = "embedded-sdmmc-types", feature = "gpt_disk_io"))]
pub(crate) mod error;
#[cfg(feature = "gpt_disk_io")]
pub(crate) mod gpt_disk_io;
pub(crate) mod partition;
pub(crate) mod read_only;
#[cfg(feature = "std")]
mod std_io;
#[cfg(feature = "embedded-sdmmc-types")]
pub(crate) mod with_mbr;

use core::fmt;

use embedded_io::{ErrorType, Read, Seek, SeekFrom};

use crate::error::Error;

/// A guest's disk: an [`Image`](crate::Image), a [`Chain`](crate::Chain), or a wrapper around one.
///
/// It is dyn-compatible, and implemented for `&mut G` and, with the feature `std`, for `Box<G>`.
///
/// ```
/// # let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// use qcow1::{Error, GuestRead, Image};
///
/// fn first_sector<E: std::fmt::Debug>(disk: &mut dyn GuestRead<Error = E>) -> Result<[u8; 512], Error<E>> {
///     let mut sector = [0; 512];
///     disk.read_at(0, &mut sector)?;
///     Ok(sector)
/// }
///
/// let mut memory = [0; 4096];
/// let mut image = Image::open(file, &mut memory)?;
/// first_sector(&mut image)?;
/// # Ok::<(), Error<core::convert::Infallible>>(())
/// ```
pub trait GuestRead {
    /// The error of the device below.
    type Error: fmt::Debug;

    /// Returns the size of the disk in bytes.
    fn size(&self) -> u64;

    /// Fills `dst` with the guest's bytes from `offset` on. `offset`, in bytes, and the length of `dst` may have any
    /// alignment.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if the range does not lie inside the disk, and the other errors of
    /// [`Image::read_at`](crate::Image::read_at). The contents of `dst` are then unspecified; the disk stays usable.
    fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<Self::Error>>;

    /// Returns a [`Cursor`] at byte 0, which implements [`embedded_io::Read`] and [`embedded_io::Seek`].
    ///
    /// For `&mut dyn GuestRead` use [`Cursor::new`].
    fn cursor(&mut self) -> Cursor<&mut Self>
    where
        Self: Sized,
    {
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

/// A position in a guest's disk, which reads the disk as a stream.
///
/// It implements [`embedded_io::Read`] and [`embedded_io::Seek`] and, with the feature `std`, `std::io::Read` and
/// `std::io::Seek`. [`ReadOnly`](crate::ReadOnly) adds a `Write` that returns an error.
///
/// ```
/// # let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// use embedded_io::{Read, Seek, SeekFrom};
/// use qcow1::Image;
///
/// let mut memory = [0; 4096];
/// let mut image = Image::open(file, &mut memory)?;
/// let mut cursor = image.cursor();
/// cursor.seek(SeekFrom::Start(1000))?;
/// let mut bytes = [0; 24];
/// cursor.read_exact(&mut bytes).expect("the disk has 128 KiB");
/// assert_eq!(cursor.position(), 1024);
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
#[derive(Debug)]
pub struct Cursor<G> {
    guest: G,
    position: u64,
}

impl<G: GuestRead> Cursor<G> {
    /// Creates a cursor at byte 0 of `guest`, which may be a `&mut G`.
    pub fn new(guest: G) -> Self {
        Self { guest, position: 0 }
    }

    /// Returns the guest offset of the next byte. It may be past the end of the disk, where reads return 0 bytes.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Returns the guest.
    #[must_use]
    pub fn into_inner(self) -> G {
        self.guest
    }

    /// Fills `buf`, or its start if the disk ends before, and moves the position after the bytes read. Returns their
    /// number.
    pub(crate) fn read_next(&mut self, buf: &mut [u8]) -> Result<usize, Error<G::Error>> {
        let buf = stored(buf, self.position, self.guest.size());
        if !buf.is_empty() {
            self.guest.read_at(self.position, buf)?;
        }
        self.position = after(self.position, buf.len());
        Ok(buf.len())
    }

    pub(crate) fn seek_to(&mut self, pos: SeekFrom) -> Result<u64, Error<G::Error>> {
        self.position = target(pos, self.position, self.guest.size()).ok_or(Error::OutOfRange)?;
        Ok(self.position)
    }
}

impl<G> ErrorType for Cursor<G>
where
    G: GuestRead,
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

/// Returns the start of `buf` that the bytes from `position` to the end of the disk can fill.
pub(crate) fn stored(buf: &mut [u8], position: u64, len: u64) -> &mut [u8] {
    let left = usize::try_from(len.saturating_sub(position)).unwrap_or(usize::MAX);
    let len = buf.len().min(left);
    buf.get_mut(..len).unwrap_or_default()
}

/// Returns the position after `bytes` more bytes.
pub(crate) fn after(position: u64, bytes: usize) -> u64 {
    position.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX))
}

/// Returns the position after a seek on a disk of `len` bytes, or `None` if it is negative or does not fit in 64 bits.
pub(crate) fn target(pos: SeekFrom, position: u64, len: u64) -> Option<u64> {
    match pos {
        SeekFrom::Start(offset) => Some(offset),
        SeekFrom::End(offset) => len.checked_add_signed(offset),
        SeekFrom::Current(offset) => position.checked_add_signed(offset),
    }
}
