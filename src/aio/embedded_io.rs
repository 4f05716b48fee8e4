//! Anything with a position: [`embedded_io_async::Read`] and [`embedded_io_async::Seek`].

use embedded_io_async::{Read, Seek, SeekFrom};

use crate::aio::AsyncBlockRead;
use crate::device::BlockSize;
use crate::device::embedded_io::FromIoError;

/// A byte-addressable device over an asynchronous reader that seeks.
///
/// Each read is two calls of the reader's. The first sets the position, so it makes no difference where a read whose
/// future was dropped has left it.
#[derive(Clone, Copy, Debug)]
pub struct FromIo<T>(
    /// The reader. Its position is of no account.
    pub T,
);

impl<T: Read + Seek> AsyncBlockRead for FromIo<T> {
    type Error = FromIoError<T::Error>;

    fn block_size(&self) -> BlockSize {
        BlockSize::BYTE
    }

    async fn size(&mut self) -> Result<u64, Self::Error> {
        self.0.seek(SeekFrom::End(0)).await.map_err(FromIoError::Reader)
    }

    async fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Self::Error> {
        self.0.seek(SeekFrom::Start(lba)).await.map_err(FromIoError::Reader)?;
        let mut rest = buf;
        // Each turn reads a byte or more.
        while !rest.is_empty() {
            let read = self.0.read(rest).await.map_err(FromIoError::Reader)?;
            rest = FromIoError::rest(rest, read)?;
        }
        Ok(())
    }
}
