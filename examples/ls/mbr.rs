//! A generated partition table for a volume that has none.

use qcow1::{Error, GuestDisk, GuestRead};

/// The size of a sector, and of the MBR, in bytes.
const SECTOR: u64 = 512;

/// A disk with a generated MBR whose only partition is a given FAT volume, for crates such as embedded-sdmmc that find
/// volumes only by an MBR.
///
/// The MBR has one entry, of type 0x0e (FAT), and the volume starts in sector 1. For a volume in a GPT, wrap a
/// `qcow1::Partition`. Nothing is detected: wrap a disk only if you know that it is a volume. Otherwise, what
/// embedded-sdmmc takes for the boot sector is another sector, and its version 0.10 panics on some of them. It mounts
/// neither FAT12 nor an MBR entry of type 0xef (an EFI system partition): wrap that entry's `Partition`.
#[derive(Clone, Copy, Debug)]
pub struct WithMbr<G> {
    volume: G,
}

impl<G> WithMbr<G> {
    /// Puts an MBR in front of `volume`.
    pub const fn new(volume: G) -> Self {
        Self { volume }
    }
}

impl<G: GuestDisk> WithMbr<G> {
    /// Returns the number of whole sectors of the volume, limited so that it and the whole disk's fit in 32 bits.
    fn sectors(&self) -> u32 {
        let sectors = self.volume.size() / SECTOR;
        sectors.min(u64::from(u32::MAX - 1)) as u32
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

impl<G: GuestDisk> GuestDisk for WithMbr<G> {
    type Error = G::Error;

    /// Returns the size of the MBR and the whole sectors of the volume, in bytes.
    fn size(&self) -> u64 {
        (u64::from(self.sectors()) + 1) * SECTOR
    }
}

impl<G: GuestRead> GuestRead for WithMbr<G> {
    fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<G::Error>> {
        let end = offset.checked_add(dst.len() as u64);
        if end.is_none_or(|end| end > self.size()) {
            return Err(Error::OutOfRange);
        }
        let in_mbr = SECTOR.saturating_sub(offset).min(dst.len() as u64) as usize;
        let (mbr, volume) = dst.split_at_mut(in_mbr);
        for (byte, at) in mbr.iter_mut().zip(offset..) {
            *byte = self.mbr(at);
        }
        if volume.is_empty() {
            return Ok(());
        }
        self.volume.read_at(offset.saturating_sub(SECTOR), volume)
    }
}
