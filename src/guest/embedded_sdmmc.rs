//! A disk as embedded-sdmmc's `BlockDevice`.

use core::cell::RefCell;
use core::fmt;

use embedded_sdmmc_types::{Block, BlockCount, BlockDevice, BlockIdx};

use crate::device::BlockSize;
use crate::guest::GuestRead;
use crate::guest::error::DiskError;

/// A guest's disk as embedded-sdmmc's [`BlockDevice`], in blocks of 512 bytes.
///
/// It refuses writes with [`DiskError::ReadOnly`]. Where the disk is not a whole number of blocks, its last bytes are not
/// shown. Each block takes one read of the disk, because embedded-sdmmc's blocks are not one slice of bytes.
///
/// embedded-sdmmc finds volumes in the partitions of an MBR; [`WithMbr`](crate::WithMbr) shows it a FAT volume that has
/// none around it, or one from a GPT.
///
/// ```
/// # let disk: &[u8] = include_bytes!("../../tests/data/disk.qcow");
/// use embedded_sdmmc::{Mode, TimeSource, Timestamp, VolumeIdx, VolumeManager};
/// use qcow1::{Image, ToBlockDevice};
///
/// /// Nothing is written, so nobody asks for the time.
/// struct NoClock;
///
/// impl TimeSource for NoClock {
///     fn get_timestamp(&self) -> Timestamp {
///         Timestamp::from_fat(0, 0)
///     }
/// }
///
/// let mut memory = [0; 16_384];
/// let image = Image::open(disk, &mut memory)?;
/// let volumes = VolumeManager::new(ToBlockDevice::new(image), NoClock);
/// let volume = volumes.open_volume(VolumeIdx(0)).unwrap();
/// let root = volume.open_root_dir().unwrap();
/// let file = root.open_file_in_dir("README.TXT", Mode::ReadOnly).unwrap();
/// let mut text = [0; 64];
/// let len = file.read(&mut text).unwrap();
/// assert!(len > 0);
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
pub struct ToBlockDevice<G> {
    /// The trait reads through a shared reference, and a disk needs its own.
    guest: RefCell<G>,
}

impl<G: GuestRead> ToBlockDevice<G> {
    /// Shows `guest` to embedded-sdmmc. `&mut` of a disk is a disk too.
    #[must_use]
    pub const fn new(guest: G) -> Self {
        Self {
            guest: RefCell::new(guest),
        }
    }

    /// Gives the disk back.
    #[must_use]
    pub fn into_inner(self) -> G {
        self.guest.into_inner()
    }
}

impl<G> BlockDevice for ToBlockDevice<G>
where
    G: GuestRead,
    G::Error: core::error::Error + 'static,
{
    type Error = DiskError<G::Error>;

    fn read(&self, blocks: &mut [Block], start_block_idx: BlockIdx) -> Result<(), Self::Error> {
        let mut guest = self.guest.try_borrow_mut().map_err(|_| DiskError::Busy)?;
        let mut offset = start_block_idx.into_bytes();
        for block in blocks {
            guest.read_at(offset, &mut block.contents).map_err(DiskError::Read)?;
            offset = offset.saturating_add(u64::from(Block::LEN_U32));
        }
        Ok(())
    }

    /// Refused with [`DiskError::ReadOnly`].
    fn write(&self, _: &[Block], _: BlockIdx) -> Result<(), Self::Error> {
        Err(DiskError::ReadOnly)
    }

    /// [`DiskError::TooLarge`] for a disk of 2 TiB and more.
    fn num_blocks(&self) -> Result<BlockCount, Self::Error> {
        let guest = self.guest.try_borrow().map_err(|_| DiskError::Busy)?;
        let blocks = u32::try_from(BlockSize::B512.lba(guest.size())).map_err(|_| DiskError::TooLarge)?;
        Ok(BlockCount(blocks))
    }
}

impl<G> fmt::Debug for ToBlockDevice<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToBlockDevice").finish_non_exhaustive()
    }
}
