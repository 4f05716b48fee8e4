//! Anything with a position: [`embedded_io::Read`] and [`embedded_io::Seek`].

use embedded_io::{Read, ReadExactError, Seek, SeekFrom};

use crate::device::{BlockRead, BlockSize};

/// A byte-addressable device over a reader that seeks.
///
/// Each read is two calls of the reader's; a device of its own that reads at an offset is better where there is one.
#[derive(Clone, Copy, Debug)]
pub struct Io<T>(
    /// The reader. Its position is of no account.
    pub T,
);

impl<T: Read + Seek> BlockRead for Io<T> {
    type Error = ReadExactError<T::Error>;

    fn block_size(&self) -> BlockSize {
        BlockSize::BYTE
    }

    fn len(&mut self) -> Result<u64, Self::Error> {
        Ok(self.0.seek(SeekFrom::End(0))?)
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Self::Error> {
        self.0.seek(SeekFrom::Start(lba))?;
        self.0.read_exact(buf)
    }
}
