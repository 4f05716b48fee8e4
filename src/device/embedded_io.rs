//! Anything with a position: [`embedded_io::Read`] and [`embedded_io::Seek`].

use core::fmt;

use embedded_io::{Read, ReadExactError, Seek, SeekFrom};

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
        self.0.read_exact(buf).map_err(FromIoError::from)
    }
}

impl<E> From<ReadExactError<E>> for FromIoError<E> {
    fn from(error: ReadExactError<E>) -> Self {
        match error {
            ReadExactError::Other(error) => Self::Reader(error),
            ReadExactError::UnexpectedEof => Self::UnexpectedEof,
        }
    }
}

impl<E: fmt::Display> fmt::Display for FromIoError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reader(error) => fmt::Display::fmt(error, f),
            Self::UnexpectedEof => f.write_str("the reader ended before its length"),
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for FromIoError<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            // Its text is this one's, so what comes next is what it was caused by.
            Self::Reader(error) => error.source(),
            Self::UnexpectedEof => None,
        }
    }
}

impl<E: embedded_io::Error + 'static> embedded_io::Error for FromIoError<E> {
    fn kind(&self) -> embedded_io::ErrorKind {
        match self {
            Self::Reader(error) => error.kind(),
            Self::UnexpectedEof => embedded_io::ErrorKind::Other,
        }
    }
}
