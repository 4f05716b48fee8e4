//! embedded-storage's `ReadStorage` as a device. Its offsets have 32 bits, so it has at most 4 GiB.

use core::fmt;

use embedded_storage::ReadStorage;

use crate::device::{BlockRead, BlockSize};

/// The first byte offset that does not fit in 32 bits.
const END: u64 = 1 << 32;

/// A byte-addressable device over embedded-storage's [`ReadStorage`].
///
/// It implements [`BlockRead`] over a [`ReadStorage`] and, with the feature
/// `embedded-storage-async`, [`aio::BlockRead`](crate::aio::BlockRead) over the `ReadStorage` of
/// that crate.
///
/// ```
/// use core::fmt::Debug;
/// use embedded_storage::ReadStorage;
/// use qcow1::{Error, FromStorage, Image, StorageError};
///
/// /// Reads the first sector of the disk in a storage, such as a chip of flash.
/// fn first_sector<S: ReadStorage<Error: Debug>>(storage: S) -> Result<[u8; 512], Error<StorageError<S::Error>>> {
///     let mut image = Image::open(FromStorage(storage), [0; 4096])?;
///     let mut sector = [0; 512];
///     image.read_at(0, &mut sector)?;
///     Ok(sector)
/// }
/// # // A disk is a storage too.
/// # let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// # first_sector(qcow1::ToStorage::new(qcow1::Image::open_raw(file, [])?).unwrap()).expect("an image");
/// # Ok::<(), Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FromStorage<S>(
    /// The storage.
    pub S,
);

/// The error of a [`FromStorage`] or [`FromNorFlash`](crate::FromNorFlash) device.
///
/// ```
/// use core::convert::Infallible;
/// use embedded_storage::nor_flash::{ErrorType, ReadNorFlash};
/// use qcow1::{Error, FromNorFlash, Image, StorageError};
///
/// /// A flash that reads units of 3 bytes.
/// struct Flash;
///
/// impl ErrorType for Flash {
///     type Error = Infallible;
/// }
///
/// impl ReadNorFlash for Flash {
///     const READ_SIZE: usize = 3;
///
///     fn read(&mut self, _: u32, _: &mut [u8]) -> Result<(), Infallible> {
///         Ok(())
///     }
///
///     fn capacity(&self) -> usize {
///         3072
///     }
/// }
///
/// let error = Image::open(FromNorFlash(Flash), [0; 512]).unwrap_err().into_error();
/// assert_eq!(error, Error::Io(StorageError::ReadSize(3)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StorageError<E> {
    /// The storage's own error.
    Device(E),
    /// The storage has more than 4 GiB, so its 32-bit offsets cannot address all of it.
    TooLarge,
    /// The flash reads units of this size in bytes, which is not a power of two in 1..=65536.
    ReadSize(usize),
}

impl<E> StorageError<E> {
    /// Returns the size of a storage of `capacity` bytes.
    ///
    /// # Errors
    /// [`StorageError::TooLarge`] for more than 4 GiB.
    pub(crate) fn size(capacity: usize) -> Result<u64, Self> {
        match u64::try_from(capacity) {
            Ok(size) if size <= END => Ok(size),
            _ => Err(Self::TooLarge),
        }
    }

    /// Converts a byte offset to the storage's type.
    ///
    /// # Errors
    /// [`StorageError::TooLarge`] for an offset that does not fit in 32 bits.
    pub(crate) fn offset(bytes: u64) -> Result<u32, Self> {
        u32::try_from(bytes).map_err(|_| Self::TooLarge)
    }
}

impl<S> BlockRead for FromStorage<S>
where
    S: ReadStorage,
    S::Error: fmt::Debug,
{
    type Error = StorageError<S::Error>;

    fn block_size(&self) -> BlockSize {
        BlockSize::BYTE
    }

    /// Returns the capacity in bytes.
    ///
    /// # Errors
    /// [`StorageError::TooLarge`] for a storage of more than 4 GiB.
    fn size(&mut self) -> Result<u64, Self::Error> {
        StorageError::size(self.0.capacity())
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Self::Error> {
        let offset = StorageError::offset(lba)?;
        self.0.read(offset, buf).map_err(StorageError::Device)
    }
}

impl<E: fmt::Debug> fmt::Display for StorageError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // embedded-storage's errors implement only `Debug`.
            Self::Device(error) => write!(f, "{error:?}"),
            Self::TooLarge => f.write_str("the storage is larger than 4 GiB, which its 32-bit offsets cannot address"),
            Self::ReadSize(bytes) => write!(
                f,
                "the flash reads units of {bytes} bytes: only powers of two up to 65536 are supported"
            ),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for StorageError<E> {}

impl<E: fmt::Debug> embedded_io::Error for StorageError<E> {
    fn kind(&self) -> embedded_io::ErrorKind {
        match self {
            Self::Device(_) => embedded_io::ErrorKind::Other,
            Self::TooLarge | Self::ReadSize(_) => embedded_io::ErrorKind::Unsupported,
        }
    }
}
