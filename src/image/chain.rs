//! An image with its backing images.

use core::fmt;

use heapless::Vec;

use crate::device::BlockRead;
use crate::error::{Error, PushError, PushReason};
use crate::format::extent::Extent;
use crate::format::header::Header;
use crate::guest::Cursor;
use crate::guest::GuestRead;
use crate::image::{Image, read_at};
use crate::reader::backing::ExtentQuery;

/// An image that a [`Chain`] holds: [`Image`], or `aio::Image` with the feature `async`.
///
/// This trait is sealed: no other type implements it.
pub trait Layer: sealed::Layer {}

pub(crate) mod sealed {
    use crate::format::header::Header;

    pub trait Layer {
        fn header(&self) -> Option<&Header>;

        fn size(&self) -> u64;

        fn forget_tables(&mut self);
    }
}

impl<D> Layer for Image<'_, D> {}

impl<D> sealed::Layer for Image<'_, D> {
    fn header(&self) -> Option<&Header> {
        self.header()
    }

    fn size(&self) -> u64 {
        self.size()
    }

    fn forget_tables(&mut self) {
        self.state.forget_tables();
    }
}

/// An image with its backing images, top first, at most `DEPTH` in all.
///
/// A hole of one image reads from the next one down at the same guest offset, and as zeros past that one's end. `I` is
/// [`Image`], or `aio::Image` with the feature `async`, and the chain reads as its images do. All images are of one
/// type; where their devices differ, `&mut dyn BlockRead` is a device too.
///
/// ```
/// # let top: &[u8] = include_bytes!("../../tests/data/chain-top.qcow");
/// # let middle: &[u8] = include_bytes!("../../tests/data/chain-middle.qcow");
/// # let base: &[u8] = &[0; 99_840];
/// use qcow1::{Chain, Image};
///
/// let mut memory = [[0; 4096]; 3];
/// let [top_memory, middle_memory, base_memory] = &mut memory;
/// let mut chain = Chain::<_, 3>::new();
/// chain.push(Image::open(top, top_memory)?)?;
/// chain.push(Image::open(middle, middle_memory)?)?;
/// // The name of the format is not stored: whoever opens a base knows that it is raw.
/// chain.push(Image::open_raw(base, base_memory)?)?;
/// let mut sector = [0; 512];
/// chain.read_at(0, &mut sector)?;
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
pub struct Chain<I, const DEPTH: usize> {
    images: Vec<I, DEPTH>,
}

impl<I: Layer, const DEPTH: usize> Chain<I, DEPTH> {
    /// Creates a chain of no images: every read of it is [`Error::OutOfRange`].
    #[must_use]
    pub const fn new() -> Self {
        Self { images: Vec::new() }
    }

    /// Puts `image` below the images that are there. The first image is the top.
    ///
    /// # Errors
    /// [`PushReason::Full`], and [`PushReason::NotNamed`] where the image above is raw or names no backing file. The
    /// image comes back.
    #[allow(clippy::result_large_err, reason = "there is no box to put the image in")]
    pub fn push(&mut self, image: I) -> Result<(), PushError<I>> {
        let names_backing = |above: &I| above.header().is_some_and(Header::has_backing);
        if self.images.last().is_some_and(|above| !names_backing(above)) {
            return Err(PushError::new(image, PushReason::NotNamed));
        }
        self.images
            .push(image)
            .map_err(|image| PushError::new(image, PushReason::Full))
    }

    /// Removes the lowest image and returns it, or `None` from an empty chain.
    pub fn pop(&mut self) -> Option<I> {
        self.images.pop()
    }

    /// Returns the images, top first.
    #[must_use]
    pub fn images(&self) -> &[I] {
        &self.images
    }

    /// Returns the images, top first: to set a key, say.
    ///
    /// Reads follow the order of this slice, so leave it as it is.
    pub fn images_mut(&mut self) -> &mut [I] {
        &mut self.images
    }

    /// Returns the size of the guest's disk in bytes: that of the top image, 0 for a chain of no images.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.images.first().map_or(0, |top| top.size())
    }
}

impl<D: BlockRead, const DEPTH: usize> Chain<Image<'_, D>, DEPTH> {
    /// Fills `dst` with the guest's bytes from `offset` on; see [`Image::read_at`].
    ///
    /// An image is asked for the holes of the image above it, one after the other. So it makes at most 5 device reads for
    /// each cluster that the bytes touch, counted in the smallest clusters of this image and of those above it, and 2 for
    /// each L1 entry of its own. A raw disk makes at most 3 for each of the smallest clusters above it, or 3 in all if it is
    /// alone.
    ///
    /// # Errors
    /// As [`Image::read_at`]; [`Error::BackingRequired`] where the lowest image names a backing file.
    pub fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<D::Error>> {
        read_at(&mut self.images, offset, dst)
    }

    /// Returns how the guest's bytes from `offset` on are stored, and in which image (0 is the top); see
    /// [`Image::extent_at`].
    ///
    /// [`ExtentKind::Backing`](crate::ExtentKind::Backing) is left only where the lowest image names a backing file.
    ///
    /// # Errors
    /// As [`Image::extent_at`].
    pub fn extent_at(&mut self, offset: u64, max_len: u64) -> Result<(usize, Extent), Error<D::Error>> {
        let mut query = ExtentQuery::new(offset, max_len);
        // One turn for each image.
        for image in &mut self.images {
            if let Some(mut walk) = query.walk(&image.state)? {
                query.answer(image.advance(&mut walk)?);
            }
        }
        query.found.ok_or(Error::OutOfRange)
    }

    /// Returns a reader with a position, for [`embedded_io::Read`] and [`embedded_io::Seek`]. It starts at 0.
    pub fn cursor(&mut self) -> Cursor<'_, Self> {
        Cursor::new(self)
    }
}

impl<I: Layer, const DEPTH: usize> Default for Chain<I, DEPTH> {
    fn default() -> Self {
        Self::new()
    }
}

impl<D: BlockRead, const DEPTH: usize> GuestRead for Chain<Image<'_, D>, DEPTH> {
    type Error = D::Error;

    fn size(&self) -> u64 {
        self.size()
    }

    fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<D::Error>> {
        self.read_at(offset, dst)
    }
}

impl<I: fmt::Debug, const DEPTH: usize> fmt::Debug for Chain<I, DEPTH> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.images.iter()).finish()
    }
}
