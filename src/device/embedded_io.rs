//! Anything with a position: [`embedded_io::Read`] and [`embedded_io::Seek`].

use core::fmt;

use embedded_io::{Read, Seek, SeekFrom};

use crate::device::{BlockRead, BlockSize};

/// A byte-addressable device over a reader that seeks.
///
/// Each read is two calls of the reader's; a device of its own that reads at an offset is better where there is one.
#[derive(Clone, Copy, Debug)]
pub struct FromIo<T>(
    /// The reader. Its position is of no account.
    pub T,
);

/// What an [`FromIo`] device says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FromIoError<E> {
    /// The reader's own error.
    Reader(E),
    /// The reader ended before the length that it has given.
    UnexpectedEof,
    /// The reader reported more bytes than the buffer has.
    TooManyBytes,
}

impl<T: Read + Seek> BlockRead for FromIo<T> {
    type Error = FromIoError<T::Error>;

    fn block_size(&self) -> BlockSize {
        BlockSize::BYTE
    }

    fn size(&mut self) -> Result<u64, Self::Error> {
        self.0.seek(SeekFrom::End(0)).map_err(FromIoError::Reader)
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Self::Error> {
        self.0.seek(SeekFrom::Start(lba)).map_err(FromIoError::Reader)?;
        let mut rest = buf;
        // Each turn reads a byte or more.
        while !rest.is_empty() {
            let read = self.0.read(rest).map_err(FromIoError::Reader)?;
            rest = FromIoError::rest(rest, read)?;
        }
        Ok(())
    }
}

impl<E> FromIoError<E> {
    /// Returns what `read` bytes leave of `buf`. The reader's own `read_exact` panics where that is more than `buf` has.
    pub(crate) fn rest(buf: &mut [u8], read: usize) -> Result<&mut [u8], Self> {
        match read {
            0 => Err(Self::UnexpectedEof),
            _ => buf.get_mut(read..).ok_or(Self::TooManyBytes),
        }
    }
}

impl<E: fmt::Display> fmt::Display for FromIoError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reader(error) => fmt::Display::fmt(error, f),
            Self::UnexpectedEof => f.write_str("the reader ended before its length"),
            Self::TooManyBytes => f.write_str("the reader reported more bytes than it was asked for"),
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for FromIoError<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            // Its text is this one's, so what comes next is what it was caused by.
            Self::Reader(error) => error.source(),
            Self::UnexpectedEof | Self::TooManyBytes => None,
        }
    }
}

impl<E: embedded_io::Error + 'static> embedded_io::Error for FromIoError<E> {
    fn kind(&self) -> embedded_io::ErrorKind {
        match self {
            Self::Reader(error) => error.kind(),
            Self::UnexpectedEof | Self::TooManyBytes => embedded_io::ErrorKind::Other,
        }
    }
}
