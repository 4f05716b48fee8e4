//! A generated partition table for a volume that has none.

use crate::error::Error;
use crate::guest::GuestRead;

/// The size of a sector, and of the MBR, in bytes.
const SECTOR: u64 = 512;

/// A disk with a generated MBR whose only partition is a given FAT volume, for crates such as embedded-sdmmc that find
/// volumes only by an MBR.
///
/// The MBR has one entry, of type 0x0e (FAT), and the volume starts in sector 1. For a volume in a GPT, wrap a
/// [`Partition`](crate::Partition). Nothing is detected: wrap a disk only if you know that it is a volume. Otherwise, what
/// embedded-sdmmc takes for the boot sector is another sector, and its version 0.10 panics on some of them. It mounts
/// neither FAT12 nor an MBR entry of type 0xef (an EFI system partition): wrap that entry's `Partition`.
///
/// ```
/// # let disk: &[u8] = include_bytes!("../../tests/data/disk.qcow");
/// # let (start, len) = (64 * 512, 16320 * 512);
/// use embedded_sdmmc::{LfnBuffer, TimeSource, Timestamp, VolumeIdx, VolumeManager};
/// use qcow1::{Image, Partition, ToBlockDevice, WithMbr};
///
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
/// // If the disk has no partition table, wrap the image itself.
/// let volume = Partition::new(image, start, len);
/// let volumes = VolumeManager::new(ToBlockDevice::new(WithMbr::new(volume)), NoClock);
/// let root = volumes.open_volume(VolumeIdx(0)).unwrap();
/// let root = root.open_root_dir().unwrap();
/// let mut names = Vec::new();
/// root.iterate_dir(|entry| {
///     names.push(entry.name.to_string());
///     std::ops::ControlFlow::Continue(())
/// }).unwrap();
/// assert!(names.contains(&"README.TXT".into()), "{names:?}");
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct WithMbr<G> {
    volume: G,
}

impl<G> WithMbr<G> {
    /// Puts an MBR in front of `volume`, which may be a `&mut` reference to a disk.
    #[must_use]
    pub const fn new(volume: G) -> Self {
        Self { volume }
    }

    /// Returns the wrapped volume.
    #[must_use]
    pub fn into_inner(self) -> G {
        self.volume
    }
}

impl<G: GuestRead> WithMbr<G> {
    /// Returns the number of whole sectors of the volume, limited so that it and the whole disk's fit in 32 bits.
    fn sectors(&self) -> u32 {
        let sectors = self.volume.size().wrapping_shr(9);
        u32::try_from(sectors).unwrap_or(u32::MAX).min(u32::MAX.wrapping_sub(1))
    }

    /// Returns the byte of the MBR at `at`.
    fn mbr(&self, at: u64) -> u8 {
        let [a, b, c, d] = self.sectors().to_le_bytes();
        match at {
            // The first entry: its type, then its first sector and its number of sectors as little-endian `u32`s.
            450 => 0x0e,
            454 => 1,
            458 => a,
            459 => b,
            460 => c,
            461 => d,
            510 => 0x55,
            511 => 0xaa,
            _ => 0,
        }
    }
}

impl<G: GuestRead> GuestRead for WithMbr<G> {
    type Error = G::Error;

    /// Returns the size of the MBR and the whole sectors of the volume, in bytes.
    fn size(&self) -> u64 {
        u64::from(self.sectors()).wrapping_add(1).wrapping_mul(SECTOR)
    }

    fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<G::Error>> {
        let len = u64::try_from(dst.len()).unwrap_or(u64::MAX);
        if offset.checked_add(len).is_none_or(|end| end > self.size()) {
            return Err(Error::OutOfRange);
        }
        let made = usize::try_from(SECTOR.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (made, stored) = dst.split_at_mut_checked(made.min(dst.len())).unwrap_or_default();
        for (byte, at) in made.iter_mut().zip(offset..) {
            *byte = self.mbr(at);
        }
        if stored.is_empty() {
            return Ok(());
        }
        self.volume.read_at(offset.saturating_sub(SECTOR), stored)
    }
}
