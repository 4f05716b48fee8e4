//! Adapters to embedded-io-async: streams as devices, and read-only streams.

use embedded_io_async::{ErrorType, Read, Seek, SeekFrom, Write};

use crate::aio::BlockRead;
use crate::device::BlockSize;
use crate::device::embedded_io::{FromIo, FromIoError};
use crate::guest::read_only::{ReadOnly, ReadOnlyError, refuse};

/// Each read seeks first, so a read whose future was dropped does not affect the next one.
impl<T: Read + Seek> BlockRead for FromIo<T> {
    type Error = FromIoError<T::Error>;

    fn block_size(&self) -> BlockSize {
        BlockSize::BYTE
    }

    async fn size(&mut self) -> Result<u64, Self::Error> {
        self.0.seek(SeekFrom::End(0)).await.map_err(FromIoError::Device)
    }

    async fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Self::Error> {
        self.0.seek(SeekFrom::Start(lba)).await.map_err(FromIoError::Device)?;
        let mut rest = buf;
        // Bound: each turn reads at least one byte, or was interrupted.
        while !rest.is_empty() {
            let read = self.0.read(rest).await;
            rest = FromIoError::rest(rest, read)?;
        }
        Ok(())
    }
}

impl<C: Read> Read for ReadOnly<C> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
        self.0.read(buf).await.map_err(ReadOnlyError::Device)
    }
}

impl<C: Seek> Seek for ReadOnly<C> {
    async fn seek(&mut self, pos: SeekFrom) -> Result<u64, Self::Error> {
        self.0.seek(pos).await.map_err(ReadOnlyError::Device)
    }
}

impl<C: ErrorType> Write for ReadOnly<C> {
    /// Refuses to write.
    ///
    /// # Errors
    /// [`ReadOnlyError::ReadOnly`] unless `buf` is empty.
    async fn write(&mut self, buf: &[u8]) -> Result<usize, Self::Error> {
        refuse(buf)
    }

    async fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}
