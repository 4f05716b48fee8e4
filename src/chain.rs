//! An image with its backing images.

use core::fmt;

use heapless::Vec;

use crate::device::BlockRead;
use crate::error::Error;
use crate::extent::{Extent, ExtentKind};
use crate::guest::GuestRead;
use crate::image::{Image, read_at};

/// An image with its backing images, top first, at most `DEPTH` in all.
///
/// A hole of one image reads from the next one down at the same guest offset, and as zeros past that one's end. All
/// devices are of one type; `&mut dyn BlockRead` serves where they differ.
pub struct Chain<'m, D, const DEPTH: usize> {
    images: Vec<Image<'m, D>, DEPTH>,
}

/// Why an image was not put on a [`Chain`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum PushReason {
    /// The chain has its `DEPTH` images.
    Full,
    /// The image above names no backing file, so nothing would ever be read from this one.
    NotNamed,
}

impl fmt::Display for PushReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the chain is full",
            Self::NotNamed => "the image above names no backing file",
        })
    }
}

/// An image could not be put on a chain; it comes back with the reason.
pub struct PushError<'m, D> {
    /// The image.
    pub image: Image<'m, D>,
    /// Why it was refused.
    pub reason: PushReason,
}

impl<D> fmt::Debug for PushError<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushError")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl<D> fmt::Display for PushError<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.reason, f)
    }
}

impl<D> core::error::Error for PushError<'_, D> {}

impl<'m, D: BlockRead, const DEPTH: usize> Chain<'m, D, DEPTH> {
    /// A chain of no images: a disk of 0 bytes.
    #[must_use]
    pub const fn new() -> Self {
        Self { images: Vec::new() }
    }

    /// Puts `image` below those that are there; the first is the top.
    ///
    /// # Errors
    /// [`PushReason::Full`], and [`PushReason::NotNamed`] where the image above is raw or names no backing file. The
    /// image comes back.
    #[allow(clippy::result_large_err, reason = "there is no box to put the image in")]
    pub fn push(&mut self, image: Image<'m, D>) -> Result<(), PushError<'m, D>> {
        let named = |above: &Image<'m, D>| above.header().is_some_and(crate::Header::has_backing);
        let reason = match self.images.last() {
            Some(above) if !named(above) => PushReason::NotNamed,
            _ => match self.images.push(image) {
                Ok(()) => return Ok(()),
                Err(image) => {
                    return Err(PushError {
                        image,
                        reason: PushReason::Full,
                    });
                }
            },
        };
        Err(PushError { image, reason })
    }

    /// The images, top first.
    #[must_use]
    pub fn images(&self) -> &[Image<'m, D>] {
        &self.images
    }

    /// The images, top first.
    pub fn images_mut(&mut self) -> &mut [Image<'m, D>] {
        &mut self.images
    }

    /// Takes the lowest image off.
    pub fn pop(&mut self) -> Option<Image<'m, D>> {
        self.images.pop()
    }

    /// The size of the guest's disk in bytes: that of the top image.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "the size of a disk, not of a collection")]
    pub fn len(&self) -> u64 {
        self.images.first().map_or(0, Image::len)
    }

    /// Fills `dst` with the guest's bytes from `offset` on; see [`Image::read_at`].
    ///
    /// # Errors
    /// As [`Image::read_at`]; [`Error::BackingRequired`] where the lowest image names a backing file.
    pub fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<D::Error>> {
        read_at(&mut self.images, offset, dst)
    }

    /// How the guest's bytes from `offset` on are stored, and in which image (0 is the top); see [`Image::extent_at`].
    ///
    /// [`ExtentKind::Backing`] is left only where the lowest image names a backing file.
    ///
    /// # Errors
    /// As [`Image::extent_at`].
    pub fn extent_at(&mut self, offset: u64, max_len: u64) -> Result<(usize, Extent), Error<D::Error>> {
        let mut found = None;
        let mut max_len = max_len;
        // One turn for each image.
        for (level, image) in self.images.iter_mut().enumerate() {
            if level != 0 && offset >= image.len() {
                // The image ends before the one above.
                let extent = Extent {
                    start: offset,
                    len: max_len,
                    kind: ExtentKind::Zero,
                };
                return Ok((level, extent));
            }
            let extent = image.extent_at(offset, max_len)?;
            max_len = extent.len;
            found = Some((level, extent));
            if extent.kind != ExtentKind::Backing {
                break;
            }
        }
        found.ok_or(Error::OutOfRange)
    }
}

impl<D: BlockRead, const DEPTH: usize> Default for Chain<'_, D, DEPTH> {
    fn default() -> Self {
        Self::new()
    }
}

impl<D: BlockRead, const DEPTH: usize> GuestRead for Chain<'_, D, DEPTH> {
    type Error = D::Error;

    fn len(&self) -> u64 {
        self.len()
    }

    fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<D::Error>> {
        self.read_at(offset, dst)
    }
}

impl<D, const DEPTH: usize> fmt::Debug for Chain<'_, D, DEPTH> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.images.iter()).finish()
    }
}
