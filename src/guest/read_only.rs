//! A read-only stream for crates that require `Write`.

use core::fmt;

use embedded_io::{ErrorType, Read, Seek, SeekFrom, Write};

/// A stream whose `Write` always fails, for file system crates that require `Read + Write + Seek`.
///
/// `Read` and `Seek` are passed to the inner stream. Writes return [`ReadOnlyError::ReadOnly`];
/// flushing succeeds, because there is nothing to flush. It implements the traits that the inner
/// stream implements: those of [`embedded_io`], those of `embedded-io-async` with that feature, and
/// those of the standard library with `std`. For example, with the feature `std` and
/// [`fatfs`](https://docs.rs/fatfs) 0.3:
///
#[cfg_attr(feature = "std", doc = "```")]
#[cfg_attr(not(feature = "std"), doc = "```ignore")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use qcow1::{Cursor, Image, Partition, ReadOnly};
///
/// let disk: &[u8] = include_bytes!("../../tests/data/disk.qcow");
/// let mut memory = [0; 16_384];
/// let image = Image::open(disk, &mut memory)?;
/// // The FAT volume is the disk's first partition. A disk that is a volume needs no `Partition`.
/// let mut volume = Partition::new(image, 64 * 512, 16320 * 512);
/// let fat = fatfs::FileSystem::new(ReadOnly(Cursor::new(&mut volume)), fatfs::FsOptions::new())?;
/// let mut names = Vec::new();
/// for entry in fat.root_dir().iter() {
///     names.push(entry?.file_name());
/// }
/// assert!(names.contains(&"README.TXT".into()), "{names:?}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ReadOnly<C>(
    /// The stream, such as a [`Cursor`](crate::Cursor).
    pub C,
);

/// The error of a [`ReadOnly`] stream.
///
/// ```
/// use embedded_io::{Read, Write};
/// use qcow1::{Image, ReadOnly, ReadOnlyError};
///
/// let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// let mut memory = [0; 4096];
/// let mut image = Image::open(file, &mut memory)?;
/// let mut stream = ReadOnly(image.cursor());
/// assert_eq!(Read::read(&mut stream, &mut [0; 100]), Ok(100));
/// assert_eq!(Write::write(&mut stream, &[0; 100]), Err(ReadOnlyError::ReadOnly));
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ReadOnlyError<E> {
    /// The stream's own error.
    Device(E),
    /// A write was requested, and the stream is read-only.
    ReadOnly,
}

impl<C: ErrorType> ErrorType for ReadOnly<C> {
    type Error = ReadOnlyError<C::Error>;
}

impl<C: Read> Read for ReadOnly<C> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
        self.0.read(buf).map_err(ReadOnlyError::Device)
    }
}

impl<C: Seek> Seek for ReadOnly<C> {
    fn seek(&mut self, pos: SeekFrom) -> Result<u64, Self::Error> {
        self.0.seek(pos).map_err(ReadOnlyError::Device)
    }
}

impl<C: ErrorType> Write for ReadOnly<C> {
    /// Refuses to write.
    ///
    /// # Errors
    /// [`ReadOnlyError::ReadOnly`] unless `buf` is empty.
    fn write(&mut self, buf: &[u8]) -> Result<usize, Self::Error> {
        refuse(buf)
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// Refuses to write `buf`, unless it is empty.
pub(crate) fn refuse<E>(buf: &[u8]) -> Result<usize, ReadOnlyError<E>> {
    if buf.is_empty() {
        Ok(0)
    } else {
        Err(ReadOnlyError::ReadOnly)
    }
}

impl<E: fmt::Display> fmt::Display for ReadOnlyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(error) => fmt::Display::fmt(error, f),
            Self::ReadOnly => f.write_str("the disk is read-only"),
        }
    }
}

impl<E: core::error::Error> core::error::Error for ReadOnlyError<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            // `Display` forwards to the inner error, so `source` skips it.
            Self::Device(error) => error.source(),
            Self::ReadOnly => None,
        }
    }
}

impl<E: embedded_io::Error> embedded_io::Error for ReadOnlyError<E> {
    fn kind(&self) -> embedded_io::ErrorKind {
        match self {
            Self::Device(error) => error.kind(),
            Self::ReadOnly => embedded_io::ErrorKind::PermissionDenied,
        }
    }
}
