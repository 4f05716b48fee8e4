//! The runs of a whole disk, one after the other.

use core::fmt;
use core::iter::FusedIterator;

use crate::device::BlockRead;
use crate::error::Error;
use crate::format::extent::Extent;
use crate::image::Image;
use crate::reader::walk::Walk;

/// The runs of a disk in sequence; see [`Image::extents`].
///
/// `I` is the image: over an [`Image`] this is an [`Iterator`], over an `aio::Image` its `next` returns a future.
pub struct Extents<'a, I> {
    pub(crate) image: &'a mut I,
    /// None: it has ended with an error.
    pub(crate) walk: Option<Walk>,
}

impl<D: BlockRead> Iterator for Extents<'_, Image<'_, D>> {
    type Item = Result<Extent, Error<D::Error>>;

    fn next(&mut self) -> Option<Self::Item> {
        let walk = self.walk.as_mut().filter(|walk| !walk.is_done())?;
        let item = self.image.advance(walk);
        if item.is_err() {
            self.walk = None;
        }
        Some(item)
    }
}

impl<D: BlockRead> FusedIterator for Extents<'_, Image<'_, D>> {}

impl<I> fmt::Debug for Extents<'_, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extents").finish_non_exhaustive()
    }
}
