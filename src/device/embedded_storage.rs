//! embedded-storage's `ReadStorage` as a device. Its offsets have 32 bits, so it has at most 4 GiB.

use core::fmt;

use embedded_storage::ReadStorage;

use crate::device::{BlockRead, BlockSize};

/// The first byte offset that does not fit in 32 bits.
const END: u64 = 1 << 32;

/// A byte-addressable device over embedded-storage's [`ReadStorage`].
///
/// It implements [`BlockRead`] over a [`ReadStorage`] and, with the feature `embedded-storage-async`,
/// [`aio::BlockRead`](crate::aio::BlockRead) over the `ReadStorage` of that crate.
///
/// ```
/// # use core::convert::Infallible;
/// # struct Flash<'a>(&'a [u8]);
/// # impl embedded_storage::ReadStorage for Flash<'_> {
/// #     type Error = Infallible;
/// #     fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Infallible> {
/// #         let start = offset as usize;
/// #         bytes.copy_from_slice(&self.0[start..start + bytes.len()]);
/// #         Ok(())
/// #     }
/// #     fn capacity(&self) -> usize { self.0.len() }
/// # }
/// # let flash = Flash(include_bytes!("../../tests/data/plain.qcow"));
/// use qcow1::{FromStorage, Image};
///
/// let mut memory = [0; 4096];
/// let mut image = Image::open(FromStorage(flash), &mut memory)?;
/// image.read_at(0, &mut [0; 512])?;
/// # Ok::<(), qcow1::Error<qcow1::StorageError<Infallible>>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FromStorage<S>(
    /// The storage.
    pub S,
);

/// The error of a [`FromStorage`] or [`FromNorFlash`](crate::FromNorFlash) device.
///
/// ```
/// # use core::convert::Infallible;
/// # struct Flash;
/// # impl embedded_storage::nor_flash::ErrorType for Flash { type Error = Infallible; }
/// # impl embedded_storage::nor_flash::ReadNorFlash for Flash {
/// #     const READ_SIZE: usize = 3;
/// #     fn read(&mut self, _: u32, _: &mut [u8]) -> Result<(), Infallible> { Ok(()) }
/// #     fn capacity(&self) -> usize { 3072 }
/// # }
/// # let flash_of_3_byte_units = Flash;
/// use qcow1::{Error, FromNorFlash, Image, StorageError};
///
/// let mut memory = [0; 512];
/// let error = Image::open(FromNorFlash(flash_of_3_byte_units), &mut memory).unwrap_err().into_error();
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
