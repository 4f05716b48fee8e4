//! A disk as embedded-storage's `ReadStorage`. Its offsets have 32 bits, so it ends at 4 GiB.

use core::fmt;

use embedded_storage::ReadStorage;

use crate::error::Error;
use crate::guest::GuestRead;

/// The first byte that 32 bits do not reach.
const END: u64 = 1 << 32;

/// A guest's disk as a [`ReadStorage`], for the crates that read those.
#[derive(Clone, Copy, Debug)]
pub struct ToStorage<G> {
    guest: G,
    capacity: usize,
}

/// A disk is larger than a [`ReadStorage`] can be: than 4 GiB, or than the address space. It comes back.
#[derive(Clone, Copy)]
pub struct TooLarge<G>(
    /// The disk.
    pub G,
);

impl<G: GuestRead> ToStorage<G> {
    /// Shows `guest` as a storage. `&mut` of it will do.
    ///
    /// # Errors
    /// [`TooLarge`] for a disk of more than 4 GiB, and on machines of 32 bits for one of 4 GiB.
    pub fn new(guest: G) -> Result<Self, TooLarge<G>> {
        let len = guest.size();
        match usize::try_from(len) {
            Ok(capacity) if len <= END => Ok(Self { guest, capacity }),
            _ => Err(TooLarge(guest)),
        }
    }

    /// Gives the disk back.
    #[must_use]
    pub fn into_inner(self) -> G {
        self.guest
    }
}

impl<G: GuestRead> ReadStorage for ToStorage<G> {
    type Error = Error<G::Error>;

    /// [`Error::OutOfRange`] where the bytes do not all lie inside the disk.
    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.guest.read_at(offset.into(), bytes)
    }

    fn capacity(&self) -> usize {
        self.capacity
    }
}

impl<G> fmt::Display for TooLarge<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the disk is larger than the 4 GiB that 32-bit offsets reach")
    }
}

impl<G> fmt::Debug for TooLarge<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TooLarge").finish_non_exhaustive()
    }
}

impl<G> core::error::Error for TooLarge<G> {}
