//! The wrappers of devices, over asynchronous devices.

use core::fmt;

use crate::aio::BlockRead;
use crate::device::BlockSize;
use crate::device::aligned::Aligned;
use crate::device::blocks::Blocks;
use crate::device::bounced::{Bounced, after};
use crate::device::limited::Limited;
use crate::device::map_err::MapErr;
use crate::device::tracer::{ReadRequest, Tracer};
use crate::error::OpenError;
use crate::memory::Memory;

impl<D: BlockRead> BlockRead for Blocks<D> {
    type Error = D::Error;

    fn block_size(&self) -> BlockSize {
        self.block_size_over(self.device.block_size())
    }

    async fn size(&mut self) -> Result<u64, D::Error> {
        let size = self.device.size().await?;
        self.size = Some(size);
        Ok(size)
    }

    async fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), D::Error> {
        let size = match self.size {
            Some(size) => size,
            None => self.size().await?,
        };
        let (lba, buf) = self.clip_to_device(self.device.block_size(), size, lba, buf);
        if buf.is_empty() {
            return Ok(());
        }
        self.device.read_blocks(lba, buf).await
    }
}

impl<D: BlockRead> BlockRead for Limited<D> {
    type Error = D::Error;

    fn block_size(&self) -> BlockSize {
        self.device.block_size()
    }

    async fn size(&mut self) -> Result<u64, D::Error> {
        self.device.size().await
    }

    async fn read_blocks(&mut self, mut lba: u64, buf: &mut [u8]) -> Result<(), D::Error> {
        let block_size = self.device.block_size();
        // Bound: each turn reads at least one block.
        for part in buf.chunks_mut(self.max_len(block_size)) {
            self.device.read_blocks(lba, part).await?;
            lba = after(lba, part, block_size);
        }
        Ok(())
    }
}

impl<D: BlockRead, B: Memory> Bounced<D, B> {
    /// Wraps an asynchronous `device`; see [`Bounced::new`].
    ///
    /// # Errors
    /// As [`Bounced::new`].
    pub fn new_async(device: D, align: u32, buffer: B) -> Result<Self, OpenError<D, B, D::Error>> {
        let block_size = device.block_size();
        Self::in_blocks(device, block_size, align, buffer)
    }
}

impl<D: BlockRead, B: Memory> BlockRead for Bounced<D, B> {
    type Error = D::Error;

    fn block_size(&self) -> BlockSize {
        self.device.block_size()
    }

    async fn size(&mut self) -> Result<u64, D::Error> {
        self.device.size().await
    }

    async fn read_blocks(&mut self, mut lba: u64, buf: &mut [u8]) -> Result<(), D::Error> {
        let block_size = self.device.block_size();
        let (device, bounce) = self.parts(block_size);
        // Bound: each turn reads at least one block.
        for part in buf.chunks_mut(bounce.len().max(1)) {
            // Always present: no part is longer than `bounce`.
            let Some(bounce) = bounce.get_mut(..part.len()) else {
                break;
            };
            device.read_blocks(lba, bounce).await?;
            part.copy_from_slice(bounce);
            lba = after(lba, part, block_size);
        }
        Ok(())
    }
}

impl<D: BlockRead, B: Memory> Aligned<D, B> {
    /// Wraps an asynchronous `device`; see [`Aligned::new`].
    ///
    /// # Errors
    /// As [`Aligned::new`].
    pub fn new_async(device: D, align: u32, buffer: B) -> Result<Self, OpenError<D, B, D::Error>> {
        Bounced::new_async(device, align, buffer).map(Self)
    }
}

impl<D: BlockRead, B: Memory> BlockRead for Aligned<D, B> {
    type Error = D::Error;

    fn block_size(&self) -> BlockSize {
        self.0.block_size()
    }

    async fn size(&mut self) -> Result<u64, D::Error> {
        self.0.size().await
    }

    async fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), D::Error> {
        let block_size = self.block_size();
        let (bounced, direct) = self.split(block_size, buf);
        self.0.read_blocks(lba, bounced).await?;
        if direct.is_empty() {
            return Ok(());
        }
        self.0.device.read_blocks(after(lba, bounced, block_size), direct).await
    }
}

impl<D: BlockRead, E: fmt::Debug, F: FnMut(D::Error) -> E> BlockRead for MapErr<D, F> {
    type Error = E;

    fn block_size(&self) -> BlockSize {
        self.device.block_size()
    }

    async fn size(&mut self) -> Result<u64, E> {
        self.device.size().await.map_err(&mut self.map)
    }

    async fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), E> {
        self.device.read_blocks(lba, buf).await.map_err(&mut self.map)
    }
}

impl<D: BlockRead, T: FnMut(ReadRequest)> BlockRead for Tracer<D, T> {
    type Error = D::Error;

    fn block_size(&self) -> BlockSize {
        self.device.block_size()
    }

    async fn size(&mut self) -> Result<u64, D::Error> {
        self.device.size().await
    }

    async fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), D::Error> {
        let result = self.device.read_blocks(lba, buf).await;
        self.record(lba, buf, result.is_ok());
        result
    }
}
