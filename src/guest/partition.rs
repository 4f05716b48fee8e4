//! A range of a guest's disk.

use crate::error::Error;
use crate::guest::GuestRead;

/// A range of a guest's disk as a disk of its own: a partition, for a file system that starts at byte 0.
///
/// It is a [`GuestRead`] over a [`GuestRead`], and with the feature `async` an
/// [`aio::AsyncGuestRead`](crate::aio::AsyncGuestRead) over one of these.
///
/// ```
/// # let disk: &[u8] = include_bytes!("../../tests/data/disk.qcow");
/// use qcow1::{GuestRead, Image, Partition};
///
/// let mut memory = [0; 4096];
/// let mut image = Image::open(disk, &mut memory)?;
/// let mut volume = Partition::new(&mut image, 64 * 512, 16320 * 512);
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
    /// Shows the `len` bytes of `guest` from `start` on. `&mut` of a disk is a disk too.
    ///
    /// What of the range lies past the end of the disk is cut off.
    #[must_use]
    pub const fn new(guest: G, start: u64, len: u64) -> Self {
        Self { guest, start, len }
    }

    /// Gives the disk back.
    #[must_use]
    pub fn into_inner(self) -> G {
        self.guest
    }

    /// The size on a disk of `size` bytes.
    pub(crate) fn size_on(&self, size: u64) -> u64 {
        self.len.min(size.saturating_sub(self.start))
    }

    /// Where `len` bytes from `offset` on start on a disk of `size` bytes.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] where they do not all lie inside.
    pub(crate) fn place<E>(&self, size: u64, offset: u64, len: usize) -> Result<u64, Error<E>> {
        let len = u64::try_from(len).unwrap_or(u64::MAX);
        match offset.checked_add(len) {
            Some(end) if end <= self.size_on(size) => Ok(self.start.min(size).saturating_add(offset)),
            _ => Err(Error::OutOfRange),
        }
    }
}

impl<G: GuestRead> GuestRead for Partition<G> {
    type Error = G::Error;

    fn size(&self) -> u64 {
        self.size_on(self.guest.size())
    }

    fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<G::Error>> {
        let start = self.place(self.guest.size(), offset, dst.len())?;
        self.guest.read_at(start, dst)
    }
}
