//! A disk as embedded-storage's `ReadStorage` and `ReadNorFlash`. Their offsets have 32 bits, so it ends at 4 GiB.

use core::fmt;

use embedded_storage::ReadStorage;
use embedded_storage::nor_flash::{ErrorType, NorFlashError, NorFlashErrorKind, ReadNorFlash};

use crate::error::Error;
use crate::guest::GuestRead;

/// The first byte that 32 bits do not reach.
const END: u64 = 1 << 32;

/// A guest's disk as a [`ReadStorage`] and a [`ReadNorFlash`] that reads any byte, for the crates that read these.
///
/// ```
/// # let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// use embedded_storage::ReadStorage;
/// use qcow1::{Image, ToStorage};
///
/// let mut memory = [0; 4096];
/// let image = Image::open(file, &mut memory)?;
/// let mut storage = ToStorage::new(image).expect("the disk has 128 KiB");
/// storage.read(0, &mut [0; 512])?;
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ToStorage<G> {
    guest: G,
    capacity: usize,
}

/// The error of showing a disk as a storage that cannot be so large: more than 4 GiB, or than the address space. It holds
/// the disk.
#[derive(Clone, Copy)]
pub struct TooLarge<G>(
    /// The disk.
    pub G,
);

/// The capacity of a disk of `size` bytes; `None` where no storage is so large.
pub(crate) fn capacity(size: u64) -> Option<usize> {
    usize::try_from(size).ok().filter(|_| size <= END)
}

impl<G: GuestRead> ToStorage<G> {
    /// Shows `guest` as a storage. `&mut` of a disk is a disk too.
    ///
    /// # Errors
    /// [`TooLarge`] for a disk of more than 4 GiB, and on machines of 32 bits for one of 4 GiB.
    pub fn new(guest: G) -> Result<Self, TooLarge<G>> {
        match capacity(guest.size()) {
            Some(capacity) => Ok(Self { guest, capacity }),
            None => Err(TooLarge(guest)),
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

impl<G: GuestRead> ErrorType for ToStorage<G> {
    type Error = Error<G::Error>;
}

impl<G: GuestRead> ReadNorFlash for ToStorage<G> {
    const READ_SIZE: usize = 1;

    /// [`Error::OutOfRange`] where the bytes do not all lie inside the disk.
    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.guest.read_at(offset.into(), bytes)
    }

    fn capacity(&self) -> usize {
        self.capacity
    }
}

impl<E: fmt::Debug> NorFlashError for Error<E> {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::OutOfRange => NorFlashErrorKind::OutOfBounds,
            _ => NorFlashErrorKind::Other,
        }
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
