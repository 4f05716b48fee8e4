//! An asynchronous device with a larger block size than its own.

use crate::aio::AsyncBlockRead;
use crate::device::BlockSize;
use crate::device::blocks::Blocks;

impl<D: AsyncBlockRead> AsyncBlockRead for Blocks<D> {
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
        let (lba, buf) = self.stored(self.device.block_size(), size, lba, buf);
        if buf.is_empty() {
            return Ok(());
        }
        self.device.read_blocks(lba, buf).await
    }
}
