//! Reads the FAT volume of the guest's disk with embedded-sdmmc.

use core::cell::RefCell;

use embedded_sdmmc::{
    Block, BlockCount, BlockDevice, BlockIdx, Error, Mode, TimeSource, Timestamp, VolumeIdx, VolumeManager,
};
use qcow1::{BlockRead, Chain, Image};

use crate::machine::print;

const SECTOR: u64 = Block::LEN_U32 as u64;

/// embedded-sdmmc reads through a shared reference, so the disk is in a cell.
struct Guest<'m, D, const DEPTH: usize>(RefCell<Chain<Image<D, &'m mut [u8]>, DEPTH>>);

impl<D: BlockRead<Error: core::error::Error + 'static>, const DEPTH: usize> BlockDevice for Guest<'_, D, DEPTH> {
    type Error = qcow1::Error<D::Error>;

    fn read(&self, blocks: &mut [Block], start: BlockIdx) -> Result<(), Self::Error> {
        let mut offset = u64::from(start.0) * SECTOR;
        for block in blocks {
            self.0.borrow_mut().read_at(offset, &mut block.contents)?;
            offset += SECTOR;
        }
        Ok(())
    }

    /// Refuses to write.
    fn write(&self, _: &[Block], _: BlockIdx) -> Result<(), Self::Error> {
        Err(qcow1::Error::OutOfRange)
    }

    fn num_blocks(&self) -> Result<BlockCount, Self::Error> {
        let blocks = self.0.borrow().size() / SECTOR;
        Ok(BlockCount(u32::try_from(blocks).unwrap_or(u32::MAX)))
    }
}

/// A clock that is never used, because nothing is written.
struct NoClock;

impl TimeSource for NoClock {
    fn get_timestamp(&self) -> Timestamp {
        Timestamp::from_fat(0, 0)
    }
}

/// Prints a text file from the root directory of the first partition.
pub fn print_file<D: BlockRead<Error: core::error::Error + 'static>, const DEPTH: usize>(
    disk: Chain<Image<D, &mut [u8]>, DEPTH>,
    name: &str,
) -> Result<(), Error<qcow1::Error<D::Error>>> {
    let volumes: VolumeManager<_, _> = VolumeManager::new(Guest(RefCell::new(disk)), NoClock);
    let volume = volumes.open_volume(VolumeIdx(0))?;
    let root = volume.open_root_dir()?;
    let file = root.open_file_in_dir(name, Mode::ReadOnly)?;
    let mut buf = [0; 512];
    while !file.is_eof() {
        let read = file.read(&mut buf)?;
        for chunk in buf[..read].utf8_chunks() {
            print!("{}", chunk.valid());
        }
    }
    Ok(())
}
