//! Asynchronous images: the same API on devices whose reads are futures.
//!
//! [`Image`] does what [`crate::Image`] does, over a [`BlockRead`] of this module. Both drive the
//! same core, which makes all decisions and does no I/O. So they return the same bytes and the same
//! errors, and make the same device requests in the same sequence.
//!
//! ```
//! use core::convert::Infallible;
//! use qcow1::aio::{BlockRead, Image};
//! use qcow1::{BlockSize, Error};
//!
//! /// Your driver. This one reads an image in memory.
//! struct Disk(&'static [u8]);
//!
//! impl BlockRead for Disk {
//!     type Error = Infallible;
//!
//!     fn block_size(&self) -> BlockSize {
//!         BlockSize::B512
//!     }
//!
//!     async fn size(&mut self) -> Result<u64, Infallible> {
//!         Ok(self.0.len() as u64)
//!     }
//!
//!     async fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Infallible> {
//!         // Yours starts the transfer here, and awaits its interrupt.
//!         let start = lba as usize * 512;
//!         buf.copy_from_slice(&self.0[start..start + buf.len()]);
//!         Ok(())
//!     }
//! }
//!
//! async fn first_sector(disk: Disk) -> Result<[u8; 512], Error<Infallible>> {
//!     let mut image = Image::open(disk, [0; 4096]).await?;
//!     let mut sector = [0; 512];
//!     image.read_at(0, &mut sector).await?;
//!     Ok(sector)
//! }
//! # pollster::block_on(first_sector(Disk(include_bytes!("../../tests/data/plain.qcow"))))?;
//! # Ok::<(), Error<Infallible>>(())
//! ```
//!
//! # Names
//!
//! This module has a counterpart for each type and trait whose methods become futures: [`Image`],
//! [`BlockRead`] and [`GuestRead`]. All other types are those of the crate's root: [`Chain`],
//! [`Extents`], [`Cursor`], the wrappers of devices and the adapters. Over an asynchronous image or
//! device their methods return futures.
//!
//! [`Aligned`](crate::Aligned) and [`Bounced`](crate::Bounced) have a `new_async` for asynchronous
//! devices. The front page has [a table of the adapters](crate#which-adapter-for-which-trait), and
//! says [which wrapper a driver needs](crate#dma-and-transfer-limits).
//!
//! # Threads
//!
//! An image is `Send` and `Sync` if its device and memory are. The future of a call is `Send` if
//! the device is and its futures are, so tokio's multi-threaded runtime can spawn it:
//!
//! ```
//! use core::convert::Infallible;
//! use qcow1::aio::{BlockRead, Image};
//! use qcow1::{BlockSize, Error};
//!
//! struct Disk(&'static [u8]); // your driver
//!
//! impl BlockRead for Disk {
//!     type Error = Infallible;
//!
//!     fn block_size(&self) -> BlockSize {
//!         BlockSize::BYTE
//!     }
//!
//!     async fn size(&mut self) -> Result<u64, Infallible> {
//!         Ok(self.0.len() as u64)
//!     }
//!
//!     async fn read_blocks(&mut self, at: u64, buf: &mut [u8]) -> Result<(), Infallible> {
//!         buf.copy_from_slice(&self.0[at as usize..][..buf.len()]);
//!         Ok(())
//!     }
//! }
//!
//! let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
//! let disk = Disk(include_bytes!("../../tests/data/plain.qcow"));
//! let task = runtime.spawn(async move {
//!     let mut image = Image::open(disk, vec![0; 4096]).await?;
//!     let mut sector = [0; 512];
//!     image.read_at(0, &mut sector).await?;
//!     Ok::<_, Error<Infallible>>(sector)
//! });
//! let sector = runtime.block_on(task).unwrap()?;
//! # Ok::<(), Error<Infallible>>(())
//! ```
//!
//! This works for a concrete device. Code that is generic over any [`BlockRead`] cannot promise
//! that its futures are `Send`, because an `async fn` in a trait names no such bound.
//!
//! An image performs one read at a time. Tasks share one behind an asynchronous mutex, or each
//! opens its own image of the file, on its own device.
//!
//! # Cancellation
//!
//! A future may be dropped at any await point. The only await points are the device's calls, and
//! the image uses the bytes of a read only after the read has succeeded. So a dropped future cannot
//! change what a later call returns.
//!
//! | method | after a drop |
//! |---|---|
//! | [`Image::open`], [`Image::open_with`], [`Image::open_raw`] | the device is dropped too: lend it as `&mut D` to keep it. Lent memory has unspecified contents, and can be lent again |
//! | [`Image::read_at`], [`Chain::read_at`] | the image may have cached more tables; the contents of the buffer are unspecified |
//! | [`Image::extent_at`], [`Chain::extent_at`] | the image may have cached more tables |
//! | [`Extents::next`] | the next call returns the same run |
//! | [`Image::check`], [`Image::check_with`] | the image may have cached more tables; the last finding may not have been reported |
//! | [`Image::backing_name`] | the contents of the buffer are unspecified |
//! | `Cursor`'s `read` | the position is unchanged; the contents of the buffer are unspecified |
//! | `Cursor`'s `read_exact` (from `embedded-io-async`) | the position is after the last inner `read` that finished: seek before you retry |
//! | `Cursor`'s `seek` | never suspends |
//!
//! No cleanup call is needed after a drop. The driver determines whether the *device* can be read
//! again after one of its futures was dropped, and whether a pending transfer can still write to
//! the buffer. A driver with DMA must stop the transfer or wait for it in the `Drop` of its future,
//! because the caller may use the buffer again after that.
//!
//! `FromIo` requires a stream that can seek and read after such a drop.

#[cfg(feature = "alloc")]
mod boxed;
#[cfg(feature = "check")]
mod check;
#[cfg(feature = "embedded-io-async")]
mod cursor;
#[cfg(feature = "embedded-io-async")]
mod embedded_io;
#[cfg(feature = "embedded-storage-async")]
mod embedded_storage;
mod guest;
mod wrappers;

use core::fmt;

use crate::device::BlockSize;
use crate::error::{Error, OpenError};
use crate::format::extent::Extent;
use crate::format::header::Header;
use crate::guest::cursor::Cursor;
use crate::image::chain::Chain;
use crate::image::chain::sealed::Layer;
use crate::image::extents::Extents;
use crate::image::options::OpenOptions;
use crate::memory::Memory;
#[cfg(feature = "aes")]
use crate::reader::cipher::Key;
use crate::reader::cipher::SectorCipher;
use crate::reader::device_shape::DeviceShape;
use crate::reader::extent_walk::ExtentWalk;
use crate::reader::open::{FIRST_BLOCK, ProbedDevice};
use crate::reader::read::{ChainRead, Step};
use crate::reader::stop::Stop;
use crate::reader::storing_image::StoringImageSearch;

pub use guest::GuestRead;

/// A device whose reads are futures: the counterpart of [`crate::BlockRead`].
///
/// ```
/// use qcow1::{BlockSize, aio::BlockRead};
///
/// struct Disk(&'static [u8]);
///
/// impl BlockRead for Disk {
///     type Error = core::convert::Infallible; // or your driver's own
///
///     fn block_size(&self) -> BlockSize {
///         BlockSize::B512
///     }
///
///     async fn size(&mut self) -> Result<u64, Self::Error> {
///         Ok(self.0.len() as u64)
///     }
///
///     async fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Self::Error> {
///         // Yours starts the transfer here, and awaits its interrupt.
///         let start = lba as usize * 512;
///         buf.copy_from_slice(&self.0[start..start + buf.len()]);
///         Ok(())
///     }
/// }
/// ```
#[allow(
    async_fn_in_trait,
    reason = "the future of a call over a concrete device is Send if the device's futures are"
)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a device that is read asynchronously",
    note = "`FromIo` adapts streams with the feature `embedded-io-async`, `FromStorage` and `FromNorFlash` with `embedded-storage-async`",
    note = "a synchronous device implements `qcow1::BlockRead`, and `qcow1::Image` opens it"
)]
pub trait BlockRead {
    /// The error of a failed read.
    type Error: fmt::Debug;

    /// Returns the size of a block; see [`BlockRead::block_size`](crate::BlockRead::block_size).
    fn block_size(&self) -> BlockSize;

    /// Returns the size in bytes; see [`BlockRead::size`](crate::BlockRead::size).
    ///
    /// # Errors
    /// The device's own error if the size cannot be determined.
    async fn size(&mut self) -> Result<u64, Self::Error>;

    /// Fills `buf`, a whole number of blocks, from the blocks that start at `lba`; see
    /// [`BlockRead::read_blocks`](crate::BlockRead::read_blocks).
    ///
    /// # Errors
    /// The device's own error. The image stays usable, and the read can be retried.
    async fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Self::Error>;
}

impl<D: BlockRead + ?Sized> BlockRead for &mut D {
    type Error = D::Error;

    fn block_size(&self) -> BlockSize {
        (**self).block_size()
    }

    async fn size(&mut self) -> Result<u64, Self::Error> {
        (**self).size().await
    }

    async fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Self::Error> {
        (**self).read_blocks(lba, buf).await
    }
}

/// A QCOW1 image, or a raw disk, on an asynchronous device: the counterpart of [`crate::Image`].
///
/// ```
/// use qcow1::Error;
/// use qcow1::aio::{BlockRead, Image};
///
/// /// Prints how the disk is stored.
/// async fn print_map<D: BlockRead>(device: D) -> Result<(), Error<D::Error>> {
///     let mut image = Image::open(device, [0; 4096]).await?;
///     let mut extents = image.extents();
///     while let Some(extent) = extents.next().await {
///         let extent = extent?;
///         println!("{} bytes at {}: {:?}", extent.len, extent.start, extent.kind);
///     }
///     Ok(())
/// }
/// # struct Disk(&'static [u8]);
/// # impl BlockRead for Disk {
/// #     type Error = core::convert::Infallible;
/// #     fn block_size(&self) -> qcow1::BlockSize { qcow1::BlockSize::BYTE }
/// #     async fn size(&mut self) -> Result<u64, Self::Error> { Ok(self.0.len() as u64) }
/// #     async fn read_blocks(&mut self, at: u64, buf: &mut [u8]) -> Result<(), Self::Error> {
/// #         buf.copy_from_slice(&self.0[at as usize..][..buf.len()]);
/// #         Ok(())
/// #     }
/// # }
/// # pollster::block_on(print_map(Disk(include_bytes!("../../tests/data/plain.qcow"))))?;
/// # Ok::<(), Error<core::convert::Infallible>>(())
/// ```
pub struct Image<D, M>(crate::Image<D, M>);

impl<D, M> Image<D, M> {
    /// Returns the header, or `None` for a raw disk.
    #[must_use]
    pub fn header(&self) -> Option<&Header> {
        self.0.header()
    }

    /// Returns the size of the guest's disk in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.0.size()
    }

    /// Sets the key with which later reads decrypt the image's encrypted clusters; see
    /// [`crate::Image::set_key`].
    #[cfg(feature = "aes")]
    pub fn set_key(&mut self, key: &Key) {
        self.0.set_key(key);
    }

    /// Sets the cipher with which later reads decrypt the image's encrypted clusters; see
    /// [`crate::Image::set_cipher`].
    pub fn set_cipher(&mut self, cipher: &'static (dyn SectorCipher + Sync)) {
        self.0.set_cipher(cipher);
    }

    /// Returns a mutable reference to the device; see [`crate::Image::device_mut`].
    pub fn device_mut(&mut self) -> &mut D {
        self.0.device_mut()
    }

    /// Returns the device and the memory; see [`crate::Image::into_parts`].
    #[must_use]
    pub fn into_parts(self) -> (D, M) {
        self.0.into_parts()
    }
}

impl<D: BlockRead, M: Memory> Image<D, M> {
    /// Opens a QCOW1 image; see [`crate::Image::open`].
    ///
    /// # Errors
    /// As [`crate::Image::open`].
    pub async fn open(device: D, memory: M) -> Result<Self, OpenError<D, M, D::Error>> {
        Self::open_with(OpenOptions::new(), device, memory).await
    }

    /// Opens an image with `options`; see [`OpenOptions`].
    ///
    /// # Errors
    /// As [`crate::Image::open`].
    pub async fn open_with(
        options: OpenOptions,
        mut device: D,
        mut memory: M,
    ) -> Result<Self, OpenError<D, M, D::Error>> {
        let probed = probe(options, &mut device, memory.bytes()).await;
        crate::Image::from_probed(device, memory, probed).map(Self)
    }

    /// Opens a device as a raw disk; see [`crate::Image::open_raw`].
    ///
    /// # Errors
    /// As [`crate::Image::open_raw`].
    pub async fn open_raw(mut device: D, mut memory: M) -> Result<Self, OpenError<D, M, D::Error>> {
        let shape = probe_shape(&mut device).await;
        let probed = shape.and_then(|shape| shape.probe_raw(memory.bytes()));
        crate::Image::from_probed(device, memory, probed).map(Self)
    }

    /// Fills `dst` with the guest's bytes that start at `offset`; see [`crate::Image::read_at`].
    ///
    /// # Errors
    /// As [`crate::Image::read_at`].
    pub async fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<D::Error>> {
        read_at(core::slice::from_mut(self), offset, dst).await
    }

    /// Returns how the guest's bytes that start at `offset` are stored; see
    /// [`crate::Image::extent_at`].
    ///
    /// # Errors
    /// As [`crate::Image::extent_at`].
    pub async fn extent_at(&mut self, offset: u64, max_len: u64) -> Result<Extent, Error<D::Error>> {
        let mut walk = ExtentWalk::over_range(&self.0.state, offset, max_len)?;
        self.next_extent(&mut walk).await
    }

    /// Returns the runs of the whole disk in sequence; see [`crate::Image::extents`].
    pub fn extents(&mut self) -> Extents<'_, Self> {
        Extents {
            walk: Some(ExtentWalk::over_disk(&self.0.state)),
            image: self,
        }
    }

    /// Reads the backing file's name into `buf` and returns it; see [`crate::Image::backing_name`].
    ///
    /// # Errors
    /// As [`crate::Image::backing_name`].
    pub async fn backing_name<'b>(&mut self, buf: &'b mut [u8]) -> Result<Option<&'b [u8]>, Error<D::Error>> {
        let Some(name) = self.0.state.backing_name_buffer(buf)? else {
            return Ok(None);
        };
        let read = ChainRead::of_backing_name(&self.0.state, name);
        perform(core::slice::from_mut(self), read).await?;
        Ok(Some(name))
    }

    /// Returns a [`Cursor`] at byte 0, which implements `embedded_io_async::{Read, Seek}` with the
    /// feature `embedded-io-async`.
    pub fn cursor(&mut self) -> Cursor<&mut Self> {
        Cursor::new(self)
    }

    /// Returns the walk's next run, and performs the device reads for it. After an error, the image
    /// forgets all tables.
    async fn next_extent(&mut self, walk: &mut ExtentWalk) -> Result<Extent, Error<D::Error>> {
        self.0.state.begin_call(self.0.memory.bytes());
        // Bound: at most two misses for each table word that the walk looks at, and two more for
        // each failed read.
        loop {
            let memory = self.0.memory.bytes();
            match walk.find(&mut self.0.state, memory) {
                Ok(()) => return Ok(walk.take_extent()),
                Err(Stop::Miss) => {
                    if let Err(error) = self.read_piece().await {
                        self.forget();
                        return walk.take_partial_extent(error);
                    }
                }
                Err(stop) => {
                    let error = walk.error(stop, &self.0.state);
                    self.forget();
                    return Err(error);
                }
            }
        }
    }

    /// Forgets everything that was read, after an error.
    fn forget(&mut self) {
        self.0.forget();
    }

    /// Reads the piece of a table that a look-up missed.
    async fn read_piece(&mut self) -> Result<(), Error<D::Error>> {
        let crate::Image { device, memory, state } = &mut self.0;
        let memory = memory.bytes();
        let (lba, buffer) = state.pending_request(memory);
        match device.read_blocks(lba, buffer).await {
            Ok(()) => state.publish(memory),
            Err(_) if state.narrow(memory) => {}
            Err(error) => return Err(Error::Io(error)),
        }
        Ok(())
    }
}

async fn probe<D: BlockRead>(
    options: OpenOptions,
    device: &mut D,
    memory: &mut [u8],
) -> Result<ProbedDevice, Error<D::Error>> {
    let shape = probe_shape(device).await?;
    let buffer = shape.header_buffer(memory)?;
    if !buffer.is_empty() {
        device.read_blocks(0, buffer).await.map_err(Error::Io)?;
    }
    shape.probe_image(memory, options.salvage, options.or_raw)
}

async fn probe_shape<D: BlockRead>(device: &mut D) -> Result<DeviceShape, Error<D::Error>> {
    let size = device.size().await.map_err(Error::Io)?;
    DeviceShape::new(size, device.block_size())
}

impl OpenOptions {
    /// Returns the number of bytes of memory for the image on an asynchronous `device`; see
    /// [`OpenOptions::memory_needed`].
    ///
    /// # Errors
    /// As [`OpenOptions::memory_needed`].
    pub async fn memory_needed_async<D: BlockRead>(
        self,
        device: &mut D,
        cache: usize,
    ) -> Result<usize, Error<D::Error>> {
        let mut first_block = [0; FIRST_BLOCK];
        if device.block_size().len() > first_block.len() {
            return Ok(probe_shape(device).await?.memory_for_any_image(cache));
        }
        Ok(probe(self, device, &mut first_block).await?.memory_needed(cache))
    }
}

/// Reads from a chain of images, top first.
async fn read_at<D: BlockRead, M: Memory>(
    images: &mut [Image<D, M>],
    offset: u64,
    dst: &mut [u8],
) -> Result<(), Error<D::Error>> {
    let Image(top) = images.first_mut().ok_or(Error::OutOfRange)?;
    let start = top.state.check_range(offset, dst.len())?;
    if let Some(lba) = top.state.direct_lba(top.memory.bytes(), start, dst.len()) {
        return top.device.read_blocks(lba, dst).await.map_err(Error::Io);
    }
    perform(images, ChainRead::new(start, dst)).await
}

async fn perform<D: BlockRead, M: Memory>(
    images: &mut [Image<D, M>],
    mut read: ChainRead<'_>,
) -> Result<(), Error<D::Error>> {
    // Bound: each turn reads at least one byte, reads one of the two parts of a table word, or
    // changes the image for at least one byte.
    let error = loop {
        let Some(Image(image)) = images.get_mut(read.level()) else {
            break read.backing_required();
        };
        match read.step(&mut image.state, image.memory.bytes()) {
            Ok(Step::Request(lba, buffer)) => match image.device.read_blocks(lba, buffer).await {
                Ok(()) => {}
                Err(_) if read.narrow(&mut image.state, image.memory.bytes()) => {}
                Err(error) => break Error::Io(error),
            },
            Ok(Step::ChangeImage) => {}
            Ok(Step::Done) => return Ok(()),
            Err(stop) => break read.error(stop, &image.state),
        }
    };
    images.iter_mut().for_each(Image::forget);
    Err(error)
}

impl<D, M> fmt::Debug for Image<D, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<D, M> Layer for Image<D, M> {
    fn header(&self) -> Option<&Header> {
        self.header()
    }

    fn size(&self) -> u64 {
        self.size()
    }
}

impl<D: BlockRead, M: Memory> Extents<'_, Image<D, M>> {
    /// Returns the next run, or `None` after the last one or an error.
    ///
    /// # Errors
    /// As [`crate::Image::extent_at`].
    pub async fn next(&mut self) -> Option<Result<Extent, Error<D::Error>>> {
        let walk = self.walk.as_mut().filter(|walk| !walk.is_done())?;
        let item = self.image.next_extent(walk).await;
        if item.is_err() {
            self.walk = None;
        }
        Some(item)
    }
}

impl<D: BlockRead, M: Memory, const DEPTH: usize> Chain<Image<D, M>, DEPTH> {
    /// Fills `dst` with the guest's bytes that start at `offset`; see
    /// [`Chain::read_at`](crate::Chain#method.read_at) for the number of device reads.
    ///
    /// # Errors
    /// As [`crate::Image::read_at`]. [`Error::BackingRequired`] is returned only if the lowest
    /// image names a backing file.
    pub async fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<D::Error>> {
        read_at(self.layers(), offset, dst).await
    }

    /// Returns how the guest's bytes that start at `offset` are stored, and the index of the image
    /// that stores them (0 is the top); see [`crate::Image::extent_at`].
    ///
    /// # Errors
    /// As [`crate::Image::extent_at`].
    pub async fn extent_at(&mut self, offset: u64, max_len: u64) -> Result<(usize, Extent), Error<D::Error>> {
        let mut search = StoringImageSearch::new(offset, max_len);
        // Bound: one turn for each image.
        for image in self.layers() {
            if let Some(mut walk) = search.next_walk(&image.0.state)? {
                match image.next_extent(&mut walk).await {
                    Ok(extent) => search.record(extent),
                    Err(error) => {
                        self.layers().iter_mut().for_each(Image::forget);
                        return Err(error);
                    }
                }
            }
        }
        search.answer.ok_or(Error::OutOfRange)
    }

    /// Returns a [`Cursor`] at byte 0, which implements `embedded_io_async::{Read, Seek}` with the
    /// feature `embedded-io-async`.
    pub fn cursor(&mut self) -> Cursor<&mut Self> {
        Cursor::new(self)
    }
}
