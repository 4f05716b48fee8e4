//! gpt_disk_io's `BlockIo` as a device.

use gpt_disk_io::BlockIo;
use gpt_disk_io::gpt_disk_types::Lba;

use crate::device::{BlockRead, BlockSize};

/// A device over gpt_disk_io's [`BlockIo`]. It only reads.
///
/// ```
/// use gpt_disk_io::{BlockIoAdapter, gpt_disk_types::BlockSize};
/// use qcow1::{FromBlockIo, Image};
///
/// let mut file = include_bytes!("../../tests/data/plain.qcow").to_vec();
/// let io = BlockIoAdapter::new(&file[..], BlockSize::BS_512);
/// let device = FromBlockIo::new(io).expect("512 is a power of two");
/// let mut memory = [0; 4096];
/// let mut image = Image::open(device, &mut memory).unwrap();
/// image.read_at(0, &mut [0; 512]).unwrap();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FromBlockIo<B> {
    io: B,
    block_size: BlockSize,
}

impl<B: BlockIo> FromBlockIo<B> {
    /// Wraps `io`.
    ///
    /// # Errors
    /// Returns `io` in `Err` if its block size is not a power of two in 1..=65536.
    pub fn new(io: B) -> Result<Self, B> {
        match BlockSize::new(io.block_size().to_u32()) {
            Some(block_size) => Ok(Self { io, block_size }),
            None => Err(io),
        }
    }

    /// Returns the wrapped `BlockIo`.
    #[must_use]
    pub fn into_inner(self) -> B {
        self.io
    }
}

impl<B: BlockIo> BlockRead for FromBlockIo<B> {
    type Error = B::Error;

    fn block_size(&self) -> BlockSize {
        self.block_size
    }

    fn size(&mut self) -> Result<u64, B::Error> {
        // A size that saturates is refused when an image is opened.
        Ok(self.io.num_blocks()?.saturating_mul(self.block_size.bytes().into()))
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), B::Error> {
        self.io.read_blocks(Lba(lba), buf)
    }
}
