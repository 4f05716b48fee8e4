//! The guest's disk: the traits `GuestDisk` and `GuestRead`, `Cursor`, and adapters to other
//! crates' traits.

#[cfg(feature = "alloc")]
mod boxed;
pub(crate) mod cursor;
#[cfg(feature = "embedded-sdmmc-types")]
pub(crate) mod embedded_sdmmc;
#[cfg(feature = "embedded-storage")]
pub(crate) mod embedded_storage;
#[cfg(any(feature = "embedded-sdmmc-types", feature = "gpt_disk_io"))]
pub(crate) mod error;
#[cfg(feature = "gpt_disk_io")]
pub(crate) mod gpt_disk_io;
pub(crate) mod partition;
pub(crate) mod read_only;
#[cfg(feature = "std")]
mod std_io;

use core::fmt;

use crate::device::BlockSize;
use crate::error::Error;
use crate::offset::{byte_count, saturating_usize};

/// A guest's disk: the half that [`GuestRead`] and, with the feature `async`,
/// [`aio::GuestRead`](crate::aio::GuestRead) share.
///
/// ```
/// use qcow1::{GuestDisk, Image};
///
/// fn sectors(disk: &impl GuestDisk) -> u64 {
///     disk.size().div_ceil(512)
/// }
///
/// let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// let image = Image::open(file, [0; 512])?;
/// assert_eq!(sectors(&image), 256);
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
pub trait GuestDisk {
    /// The error of the device below.
    type Error: fmt::Debug;

    /// Returns the size of the disk in bytes.
    fn size(&self) -> u64;
}

/// A guest's disk that is read synchronously: an [`Image`](crate::Image), a
/// [`Chain`](crate::Chain), or a wrapper around one.
///
/// It is dyn-compatible, and implemented for `&mut G` and, with the feature `alloc`, for `Box<G>`.
///
/// ```
/// use qcow1::{Error, GuestRead, Image};
///
/// fn first_sector<E: std::fmt::Debug>(disk: &mut dyn GuestRead<Error = E>) -> Result<[u8; 512], Error<E>> {
///     let mut sector = [0; 512];
///     disk.read_sectors(0, &mut sector)?;
///     Ok(sector)
/// }
///
/// let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// let mut image = Image::open(file, [0; 4096])?;
/// first_sector(&mut image)?;
/// # Ok::<(), Error<core::convert::Infallible>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a guest's disk that is read synchronously",
    note = "over an asynchronous device, use `qcow1::aio::GuestRead` and its `.await`",
    note = "`Box<G>` needs the feature `alloc`"
)]
pub trait GuestRead: GuestDisk {
    /// Fills `dst` with the guest's bytes that start at `offset`. `offset`, in bytes, and the
    /// length of `dst` may have any alignment.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if the range does not lie inside the disk, and the other errors of
    /// [`Image::read_at`](crate::Image::read_at). The contents of `dst` are then unspecified; the
    /// disk stays usable.
    fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<Self::Error>>;

    /// Fills `dst` with the guest's sectors of 512 bytes that start at sector `first`. Disk drivers
    /// make this call.
    ///
    /// If the size of the disk is not a multiple of 512 bytes, the rest of its last sector reads as
    /// zeros. `dst` may have any length; if that is not a multiple of 512, a part of the last
    /// sector is read.
    ///
    /// ```
    /// use qcow1::{GuestRead, Image};
    ///
    /// let mut disk = Image::open_raw([7; 700], [])?;
    /// let mut sectors = [1; 1024];
    /// disk.read_sectors(0, &mut sectors)?;
    /// assert!(sectors[..700] == [7; 700] && sectors[700..] == [0; 324]);
    /// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if `dst` reaches past the last sector, and the other errors of
    /// [`GuestRead::read_at`].
    fn read_sectors(&mut self, first: u64, dst: &mut [u8]) -> Result<(), Error<Self::Error>> {
        let (offset, dst) = clip_sectors(self.size(), first, dst)?;
        self.read_at(offset, dst)
    }
}

impl<G: GuestDisk + ?Sized> GuestDisk for &mut G {
    type Error = G::Error;

    fn size(&self) -> u64 {
        (**self).size()
    }
}

impl<G: GuestRead + ?Sized> GuestRead for &mut G {
    fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<Self::Error>> {
        (**self).read_at(offset, dst)
    }

    fn read_sectors(&mut self, first: u64, dst: &mut [u8]) -> Result<(), Error<Self::Error>> {
        (**self).read_sectors(first, dst)
    }
}

/// Returns the byte offset of sector `first` and the part of `dst` that the disk fills. The rest of
/// `dst`, which lies past the end of the disk in its last sector, becomes zeros.
///
/// # Errors
/// [`Error::OutOfRange`] if `dst` reaches past the last sector of a disk of `size` bytes.
pub(crate) fn clip_sectors<E>(size: u64, first: u64, dst: &mut [u8]) -> Result<(u64, &mut [u8]), Error<E>> {
    // Compared in sectors, because a product with 512 may wrap.
    let sectors = first.checked_add(BlockSize::B512.count(byte_count(dst.len())));
    if sectors.is_none_or(|end| end > BlockSize::B512.count(size)) {
        return Err(Error::OutOfRange);
    }
    // Sector `first` is inside the disk, or `dst` is empty and `first` is the number of sectors: at
    // most 511 bytes past the end.
    let offset = first.saturating_mul(BlockSize::B512.bytes().into()).min(size);
    let len = dst.len().min(saturating_usize(size.saturating_sub(offset)));
    let (dst, past_end) = dst.split_at_mut_checked(len).unwrap_or_default();
    past_end.fill(0);
    Ok((offset, dst))
}
