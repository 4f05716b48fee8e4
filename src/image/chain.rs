//! An image with its backing images.

use core::fmt;

use heapless::Vec;

use crate::device::BlockRead;
use crate::error::{Error, PushError};
use crate::format::extent::Extent;
use crate::format::header::Header;
use crate::guest::cursor::Cursor;
use crate::guest::{GuestDisk, GuestRead};
use crate::image::chain::sealed::Layer;
use crate::image::{Image, forget, read_at};
use crate::memory::Memory;
use crate::reader::storing_image::StoringImageSearch;

pub(crate) mod sealed {
    use crate::format::header::Header;

    /// An image that a chain can hold. No other type implements it.
    pub trait Layer {
        fn header(&self) -> Option<&Header>;

        fn size(&self) -> u64;
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

/// An image with its backing images, top first, at most `DEPTH` images in all.
///
/// A hole of an image reads from the next image at the same guest offset, and as zeros past that
/// image's end. `I` is [`Image`] or, with the feature `async`, `aio::Image`; the chain then has the
/// same methods as the image. All images have one type, of device and of memory.
///
/// ```
/// use qcow1::{Chain, Image};
///
/// let top: &[u8] = include_bytes!("../../tests/data/chain-top.qcow");
/// let middle: &[u8] = include_bytes!("../../tests/data/chain-middle.qcow");
/// let base: &[u8] = &[0; 99_840];
/// let mut chain = Chain::<_, 3>::new();
/// chain.push(Image::open(top, [0; 4096])?).expect("room for three images");
/// chain.push(Image::open(middle, [0; 4096])?).expect("the image above has a backing file");
/// // QCOW1 does not store the format of a backing file, so the caller declares that this one is raw.
/// chain.push(Image::open_raw(base, [0; 4096])?).expect("the image above has a backing file");
/// let mut sector = [0; 512];
/// chain.read_at(0, &mut sector)?;
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
///
/// Use `&mut dyn BlockRead` for devices of different types that have the same error;
/// [`MapErr`](crate::MapErr) makes it the same. For memories of different sizes, lend slices:
/// `&mut array[..]`.
///
/// ```
/// use core::convert::Infallible;
/// use qcow1::{BlockRead, BlockSize, Blocks, Chain, Image};
///
/// type Device<'a> = &'a mut dyn BlockRead<Error = Infallible>;
///
/// let (top, base): (&[u8], &[u8]) = (include_bytes!("../../tests/data/overlay.qcow"), &[7; 4096]);
/// let (mut top, mut base) = (top, Blocks::new(base, BlockSize::B512));
/// let (mut upper, mut lower) = ([0; 4096], [0; 512]);
/// let mut chain = Chain::<Image<Device, &mut [u8]>, 2>::new();
/// chain.push(Image::open(&mut top as Device, &mut upper[..])?).expect("room for two images");
/// chain.push(Image::open_raw(&mut base as Device, &mut lower[..])?).expect("the image above has a backing file");
/// # Ok::<(), qcow1::Error<Infallible>>(())
/// ```
pub struct Chain<I, const DEPTH: usize> {
    images: Vec<I, DEPTH>,
}

impl<I: Layer, const DEPTH: usize> Chain<I, DEPTH> {
    /// Creates an empty chain. Its size is 0, and every read of it returns [`Error::OutOfRange`].
    #[must_use]
    pub const fn new() -> Self {
        Self { images: Vec::new() }
    }

    /// Adds `image` below the other images. The first image added is the top.
    ///
    /// # Errors
    /// Each error returns the image.
    /// - [`PushError::Full`]: the chain already holds `DEPTH` images.
    /// - [`PushError::NoBackingNamed`]: the image above is raw or names no backing file.
    #[allow(clippy::result_large_err, reason = "without an allocator, the image cannot be boxed")]
    pub fn push(&mut self, image: I) -> Result<(), PushError<I>> {
        let names_backing = |above: &I| above.header().is_some_and(Header::has_backing);
        if self.images.last().is_some_and(|above| !names_backing(above)) {
            return Err(PushError::NoBackingNamed(image));
        }
        self.images.push(image).map_err(PushError::Full)
    }

    /// Removes and returns the lowest image, or returns `None` if the chain is empty.
    pub fn pop(&mut self) -> Option<I> {
        self.images.pop()
    }

    /// Returns the images, top first.
    #[must_use]
    pub fn images(&self) -> &[I] {
        &self.images
    }

    /// Returns an image for modification: for example, to set its key. `level` 0 is the top.
    pub fn image_mut(&mut self, level: usize) -> Option<&mut I> {
        self.images.get_mut(level)
    }

    /// Returns the images for the asynchronous driver.
    #[cfg(feature = "async")]
    pub(crate) fn layers(&mut self) -> &mut [I] {
        &mut self.images
    }

    /// Returns the size of the guest's disk in bytes: that of the top image, or 0 if the chain is
    /// empty.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.images.first().map_or(0, |top| top.size())
    }
}

impl<D: BlockRead, M: Memory, const DEPTH: usize> Chain<Image<D, M>, DEPTH> {
    /// Fills `dst` with the guest's bytes that start at `offset`; see [`Image::read_at`].
    ///
    /// For each cluster that the range touches, a QCOW1 image makes at most 5 device reads, and a
    /// raw disk at most 3. A QCOW1 image also makes at most 2 for each of its L1 entries. The size
    /// of these clusters is the smallest cluster size of the image and the images above it, because
    /// each hole above is read separately. A raw disk without images above it makes at most 3
    /// device reads in total.
    ///
    /// # Errors
    /// As [`Image::read_at`]. [`Error::BackingRequired`] is returned only if the lowest image names
    /// a backing file.
    pub fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<D::Error>> {
        read_at(&mut self.images, offset, dst)
    }

    /// Returns how the guest's bytes that start at `offset` are stored, and the index of the image
    /// that stores them (0 is the top); see [`Image::extent_at`].
    ///
    /// [`ExtentKind::Backing`](crate::ExtentKind::Backing) is returned only if the lowest image
    /// names a backing file.
    ///
    /// A call asks each image at most once, from the top until one stores the bytes. So it looks at
    /// no more than 4,099 table words of each image, with at most 2 device reads for each word, and
    /// at most 2 more for each device read that fails.
    ///
    /// ```
    /// use qcow1::{Chain, Image};
    ///
    /// let file: &[u8] = include_bytes!("../../tests/data/sparse.qcow");
    /// let mut chain = Chain::<_, 2>::new();
    /// chain.push(Image::open(file, [0; 4096])?).expect("room for two images");
    /// let mut at = 0;
    /// while at < chain.size() {
    ///     let (layer, extent) = chain.extent_at(at, u64::MAX)?;
    ///     println!("{} bytes at {at} in image {layer}: {:?}", extent.len, extent.kind);
    ///     at = extent.end();
    /// }
    /// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Image::extent_at`].
    pub fn extent_at(&mut self, offset: u64, max_len: u64) -> Result<(usize, Extent), Error<D::Error>> {
        let mut search = StoringImageSearch::new(offset, max_len);
        // Bound: one turn for each image.
        for image in &mut self.images {
            if let Some(mut walk) = search.next_walk(&image.state)? {
                match image.next_extent(&mut walk) {
                    Ok(extent) => search.record(extent),
                    Err(error) => {
                        forget(&mut self.images);
                        return Err(error);
                    }
                }
            }
        }
        search.answer.ok_or(Error::OutOfRange)
    }

    /// Returns a [`Cursor`] at byte 0, which implements [`embedded_io::Read`] and
    /// [`embedded_io::Seek`].
    pub fn cursor(&mut self) -> Cursor<&mut Self> {
        Cursor::new(self)
    }
}

impl<I: Layer, const DEPTH: usize> Default for Chain<I, DEPTH> {
    fn default() -> Self {
        Self::new()
    }
}

impl<D: BlockRead, M, const DEPTH: usize> GuestDisk for Chain<Image<D, M>, DEPTH> {
    type Error = D::Error;

    fn size(&self) -> u64 {
        self.size()
    }
}

impl<D: BlockRead, M: Memory, const DEPTH: usize> GuestRead for Chain<Image<D, M>, DEPTH> {
    fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<D::Error>> {
        self.read_at(offset, dst)
    }
}

impl<I: fmt::Debug, const DEPTH: usize> fmt::Debug for Chain<I, DEPTH> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.images.iter()).finish()
    }
}
