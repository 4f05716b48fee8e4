//! A disk as embedded-storage's `ReadStorage` and `ReadNorFlash`. Their offsets have 32 bits, so it
//! has at most 4 GiB.

use core::fmt;

use embedded_storage::ReadStorage;
use embedded_storage::nor_flash::{ErrorType, NorFlashError, NorFlashErrorKind, ReadNorFlash};

use crate::error::Error;
use crate::guest::{GuestDisk, GuestRead};

/// The first byte offset that does not fit in 32 bits.
const END: u64 = 1 << 32;

/// A guest's disk as a [`ReadStorage`] and as a [`ReadNorFlash`] with a `READ_SIZE` of 1, for
/// crates that use these traits. Over an asynchronous disk, with the feature
/// `embedded-storage-async`, it implements the traits of that crate.
///
/// ```
/// use embedded_storage::ReadStorage;
/// use qcow1::{Image, ToStorage};
///
/// let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// let mut memory = [0; 4096];
/// let image = Image::open(file, &mut memory)?;
/// let mut storage = ToStorage::new(image).expect("the disk has 128 KiB");
/// storage.read(0, &mut [0; 512])?;
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ToStorage<G> {
    pub(crate) guest: G,
    pub(crate) capacity: usize,
}

/// The error of [`ToStorage::new`] for a disk that is too large. It returns the disk.
///
/// ```
/// use qcow1::{GuestDisk, Image, ToStorage, TooLarge};
///
/// let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// let mut memory = [0; 4096];
/// let image = Image::open(file, &mut memory)?;
/// match ToStorage::new(image) {
///     Ok(storage) => println!("{storage:?}"),
///     Err(TooLarge(disk)) => println!("a disk of {} bytes cannot be a storage", disk.size()),
/// }
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy)]
pub struct TooLarge<G>(
    /// The disk.
    pub G,
);

impl<G: GuestDisk> ToStorage<G> {
    /// Wraps `guest`, which may be a `&mut` reference to a disk.
    ///
    /// # Errors
    /// [`TooLarge`] for a disk of more than 4 GiB, and on 32-bit machines for one of exactly 4 GiB.
    pub fn new(guest: G) -> Result<Self, TooLarge<G>> {
        let size = guest.size();
        match usize::try_from(size) {
            Ok(capacity) if size <= END => Ok(Self { guest, capacity }),
            _ => Err(TooLarge(guest)),
        }
    }

    /// Returns the wrapped disk.
    #[must_use]
    pub fn into_inner(self) -> G {
        self.guest
    }
}

impl<G: GuestRead> ReadStorage for ToStorage<G> {
    type Error = Error<G::Error>;

    /// Fills `bytes` with the guest's bytes that start at `offset`.
    ///
    /// # Errors
    /// As [`GuestRead::read_at`].
    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.guest.read_at(offset.into(), bytes)
    }

    fn capacity(&self) -> usize {
        self.capacity
    }
}

impl<G: GuestDisk> ErrorType for ToStorage<G> {
    type Error = Error<G::Error>;
}

impl<G: GuestRead> ReadNorFlash for ToStorage<G> {
    const READ_SIZE: usize = 1;

    /// Fills `bytes` with the guest's bytes that start at `offset`.
    ///
    /// # Errors
    /// As [`GuestRead::read_at`].
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
        f.write_str("the disk is larger than 4 GiB, which 32-bit offsets cannot address")
    }
}

impl<G> fmt::Debug for TooLarge<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TooLarge").finish_non_exhaustive()
    }
}

impl<G> core::error::Error for TooLarge<G> {}
