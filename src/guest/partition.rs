//! A range of a guest's disk.

use crate::error::Error;
use crate::guest::{GuestDisk, GuestRead};
use crate::offset::byte_count;

/// A range of a guest's disk as a disk: for example, a partition for a file system crate
/// that reads from byte 0.
///
/// It implements [`GuestRead`] over a [`GuestRead`] and, with the feature `async`,
/// [`aio::GuestRead`](crate::aio::GuestRead) over a disk that implements that.
///
/// ```
/// use qcow1::{GuestRead, Image, Partition};
///
/// let disk: &[u8] = include_bytes!("../../tests/data/disk.qcow");
/// let mut memory = [0; 4096];
/// let mut image = Image::open(disk, &mut memory)?;
/// // The first entry of the MBR: bytes 8..12 are its first sector, bytes 12..16 the number of its sectors.
/// let mut entry = [0; 16];
/// image.read_at(446, &mut entry)?;
/// let [start, sectors] = [8, 12].map(|at| u64::from(u32::from_le_bytes(entry[at..at + 4].try_into().unwrap())));
/// let mut volume = Partition::new(&mut image, start * 512, sectors * 512);
/// let mut signature = [0; 2];
/// volume.read_at(510, &mut signature)?;
/// assert_eq!(signature, [0x55, 0xaa]);
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Partition<G> {
    pub(crate) guest: G,
    start: u64,
    len: u64,
}

impl<G> Partition<G> {
    /// Wraps the `len` bytes of `guest` that start at byte `start`. `guest` may be a `&mut`
    /// reference to a disk.
    ///
    /// The part of the range past the end of the disk is ignored.
    #[must_use]
    pub const fn new(guest: G, start: u64, len: u64) -> Self {
        Self { guest, start, len }
    }

    /// Returns the wrapped disk.
    #[must_use]
    pub fn into_inner(self) -> G {
        self.guest
    }
}

impl<G: GuestDisk> Partition<G> {
    /// Returns the offset on the whole disk of `len` bytes at `offset` in the range.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if they do not lie inside the range.
    pub(crate) fn translate(&self, offset: u64, len: usize) -> Result<u64, Error<G::Error>> {
        match offset.checked_add(byte_count(len)) {
            Some(end) if end <= self.size() => Ok(self.start.min(self.guest.size()).saturating_add(offset)),
            _ => Err(Error::OutOfRange),
        }
    }
}

impl<G: GuestDisk> GuestDisk for Partition<G> {
    type Error = G::Error;

    fn size(&self) -> u64 {
        self.len.min(self.guest.size().saturating_sub(self.start))
    }
}

impl<G: GuestRead> GuestRead for Partition<G> {
    fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<G::Error>> {
        let start = self.translate(offset, dst.len())?;
        self.guest.read_at(start, dst)
    }
}
