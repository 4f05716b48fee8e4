//! A disk as embedded-sdmmc's `BlockDevice`.

use core::cell::RefCell;
use core::fmt;

use embedded_sdmmc_types::{Block, BlockCount, BlockDevice, BlockIdx};

use crate::device::BlockSize;
use crate::guest::GuestRead;
use crate::guest::error::DiskError;

/// A guest's disk as embedded-sdmmc's [`BlockDevice`], in blocks of 512 bytes.
///
/// Writes return [`DiskError::ReadOnly`]. A partial last block is not accessible. Each block is one
/// read of the disk, because embedded-sdmmc's blocks are not contiguous in memory.
///
/// embedded-sdmmc finds volumes only by an MBR. The example `ls` of this crate generates one for a
/// FAT volume without one, or in a GPT.
///
/// ```
/// use embedded_sdmmc::{Mode, TimeSource, Timestamp, VolumeIdx, VolumeManager};
/// use qcow1::{Image, ToBlockDevice};
///
/// let disk: &[u8] = include_bytes!("../../tests/data/disk.qcow");
/// /// A clock that is never used, because nothing is written.
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
    /// `BlockDevice` reads through a shared reference, `GuestRead` through an exclusive one.
    guest: RefCell<G>,
}

impl<G: GuestRead> ToBlockDevice<G> {
    /// Wraps `guest`, which may be a `&mut` reference to a disk.
    #[must_use]
    pub const fn new(guest: G) -> Self {
        Self {
            guest: RefCell::new(guest),
        }
    }

    /// Returns the wrapped disk.
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
            guest.read_at(offset, &mut block.contents).map_err(DiskError::Device)?;
            offset = offset.saturating_add(u64::from(Block::LEN_U32));
        }
        Ok(())
    }

    /// Refuses to write.
    ///
    /// # Errors
    /// Always [`DiskError::ReadOnly`].
    fn write(&self, _: &[Block], _: BlockIdx) -> Result<(), Self::Error> {
        Err(DiskError::ReadOnly)
    }

    /// Returns the number of whole blocks.
    ///
    /// # Errors
    /// [`DiskError::TooLarge`] for a disk of 2 TiB or more; [`DiskError::Busy`] during a read.
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
