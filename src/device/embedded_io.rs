//! embedded-io's streams as devices.

use core::fmt;

use embedded_io::{ErrorKind, Read, Seek, SeekFrom};

use crate::device::{BlockRead, BlockSize};

/// A byte-addressable device over a stream that can seek.
///
/// It implements [`BlockRead`] over [`embedded_io::Read`] and [`embedded_io::Seek`] and, with the
/// feature `embedded-io-async`, [`aio::BlockRead`](crate::aio::BlockRead) over the traits of that
/// crate. Each read takes at least two calls of the stream: a seek and a read. An interrupted read
/// ([`embedded_io::ErrorKind::Interrupted`]) is repeated, as in the standard library. If the driver
/// can read at an offset, implement [`BlockRead`] for it instead.
///
/// ```
/// use embedded_io::{Read, Seek};
/// use qcow1::{Error, FromIo, FromIoError, Image};
///
/// /// Reads the first sector of the disk in a stream, such as a file on an SD card.
/// fn first_sector<S: Read + Seek>(stream: S) -> Result<[u8; 512], Error<FromIoError<S::Error>>> {
///     let mut image = Image::open(FromIo(stream), [0; 4096])?;
///     let mut sector = [0; 512];
///     image.read_at(0, &mut sector)?;
///     Ok(sector)
/// }
/// # // A disk in a disk is a stream too.
/// # let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// # first_sector(qcow1::Cursor::new(qcow1::Image::open_raw(file, [])?)).expect("an image");
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FromIo<T>(
    /// The stream. Its position is ignored.
    pub T,
);

/// The error of a [`FromIo`] device.
///
/// ```
/// use embedded_io::{ErrorKind, ErrorType, Read, Seek, SeekFrom};
/// use qcow1::{FromIo, FromIoError, Image};
///
/// /// A stream that reports a size of 512 bytes, and holds none.
/// struct Stream;
///
/// impl ErrorType for Stream {
///     type Error = ErrorKind;
/// }
///
/// impl Read for Stream {
///     fn read(&mut self, _: &mut [u8]) -> Result<usize, ErrorKind> {
///         Ok(0)
///     }
/// }
///
/// impl Seek for Stream {
///     fn seek(&mut self, _: SeekFrom) -> Result<u64, ErrorKind> {
///         Ok(512)
///     }
/// }
///
/// let error = Image::open(FromIo(Stream), [0; 512]).unwrap_err().into_error();
/// assert_eq!(error, qcow1::Error::Io(FromIoError::UnexpectedEof));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FromIoError<E> {
    /// The stream's own error.
    Device(E),
    /// The stream ended before the size that it reported.
    UnexpectedEof,
    /// The stream reported that it read more bytes than the buffer holds.
    TooManyBytes,
}

impl<T: Read + Seek> BlockRead for FromIo<T> {
    type Error = FromIoError<T::Error>;

    fn block_size(&self) -> BlockSize {
        BlockSize::BYTE
    }

    fn size(&mut self) -> Result<u64, Self::Error> {
        self.0.seek(SeekFrom::End(0)).map_err(FromIoError::Device)
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Self::Error> {
        self.0.seek(SeekFrom::Start(lba)).map_err(FromIoError::Device)?;
        let mut rest = buf;
        // Bound: each turn reads at least one byte, or was interrupted.
        while !rest.is_empty() {
            let read = self.0.read(rest);
            rest = FromIoError::rest(rest, read)?;
        }
        Ok(())
    }
}

impl<E: embedded_io::Error> FromIoError<E> {
    /// Returns the part of `buf` that is still to be read after one call of the stream's `read`:
    /// all of it if the call was interrupted. `embedded_io`'s `read_exact` panics if `read` is too
    /// large, and ends at an interruption.
    ///
    /// # Errors
    /// [`FromIoError::UnexpectedEof`] if `read` is 0, [`FromIoError::TooManyBytes`] if it is larger
    /// than `buf.len()`, and the stream's own error.
    pub(crate) fn rest(buf: &mut [u8], read: Result<usize, E>) -> Result<&mut [u8], Self> {
        match read {
            Ok(0) => Err(Self::UnexpectedEof),
            Ok(read) => buf.get_mut(read..).ok_or(Self::TooManyBytes),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(buf),
            Err(error) => Err(Self::Device(error)),
        }
    }
}

impl<E: fmt::Display> fmt::Display for FromIoError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(error) => fmt::Display::fmt(error, f),
            Self::UnexpectedEof => f.write_str("the stream ended before the size that it reported"),
            Self::TooManyBytes => f.write_str("the stream reported that it read more bytes than were requested"),
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for FromIoError<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            // `Display` forwards to the inner error, so `source` skips it.
            Self::Device(error) => error.source(),
            Self::UnexpectedEof | Self::TooManyBytes => None,
        }
    }
}

impl<E: embedded_io::Error + 'static> embedded_io::Error for FromIoError<E> {
    fn kind(&self) -> embedded_io::ErrorKind {
        match self {
            Self::Device(error) => error.kind(),
            Self::UnexpectedEof | Self::TooManyBytes => embedded_io::ErrorKind::Other,
        }
    }
}
