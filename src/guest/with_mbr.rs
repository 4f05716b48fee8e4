//! A partition table for a volume that has none.

use crate::error::Error;
use crate::guest::GuestRead;

/// The bytes of a sector, and of the MBR.
const SECTOR: u64 = 512;

/// A FAT volume as the only partition of a disk: for crates that find volumes by an MBR alone, as embedded-sdmmc does.
///
/// The MBR is made up, with one entry of the type FAT (0x0e), and the volume follows in sector 1. With a
/// [`Partition`](crate::Partition) below it, it shows a volume from a GPT.
///
/// ```
/// # let disk: &[u8] = include_bytes!("../../tests/data/disk.qcow");
/// # let (start, len) = (64 * 512, 16320 * 512);
/// use embedded_sdmmc::{LfnBuffer, TimeSource, Timestamp, VolumeIdx, VolumeManager};
/// use qcow1::{Image, Partition, ToBlockDevice, WithMbr};
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
/// // Without a partition table the volume is the image itself.
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
    /// Puts an MBR in front of `volume`. `&mut` of a disk is a disk too.
    #[must_use]
    pub const fn new(volume: G) -> Self {
        Self { volume }
    }

    /// Gives the volume back.
    #[must_use]
    pub fn into_inner(self) -> G {
        self.volume
    }
}

impl<G: GuestRead> WithMbr<G> {
    /// The whole sectors of the volume, as many as the MBR and what counts it in have room for.
    fn sectors(&self) -> u32 {
        let sectors = self.volume.size().wrapping_shr(9);
        u32::try_from(sectors).unwrap_or(u32::MAX).min(u32::MAX.wrapping_sub(1))
    }

    /// The byte of the MBR at `at`.
    fn mbr(&self, at: u64) -> u8 {
        let [a, b, c, d] = self.sectors().to_le_bytes();
        match at {
            // The first entry: its type, then its first sector and the number of them as little-endian `u32`.
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

    /// The MBR and the whole sectors of the volume.
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
