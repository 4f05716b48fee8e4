//! Which image of a chain stores the guest's bytes.

use crate::error::Error;
use crate::format::extent::{Extent, ExtentKind};
use crate::reader::extent_walk::ExtentWalk;
use crate::reader::image_state::ImageState;

/// A search for the image of a chain that stores the guest's bytes at an offset, from the top down.
pub(crate) struct StoringImageSearch {
    offset: u64,
    max_len: u64,
    level: usize,
    /// The lowest image reached, and how it stores the bytes: an image that ends before `offset` is
    /// not asked.
    pub(crate) answer: Option<(usize, Extent)>,
}

impl StoringImageSearch {
    pub(crate) const fn new(offset: u64, max_len: u64) -> Self {
        Self {
            offset,
            max_len,
            level: 0,
            answer: None,
        }
    }

    /// Returns the walk that asks the next image down, or `None` if the answer is known.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for an offset past the end of the top image or a `max_len` of 0.
    pub(crate) fn next_walk<E>(&mut self, image: &ImageState) -> Result<Option<ExtentWalk>, Error<E>> {
        match &mut self.answer {
            Some((level, extent)) if extent.kind == ExtentKind::Backing => {
                *level = self.level;
                if self.offset >= image.size().0 {
                    // This image ends before the one above it.
                    extent.kind = ExtentKind::Zero;
                    return Ok(None);
                }
            }
            Some(_) => return Ok(None),
            None => {}
        }
        ExtentWalk::over_range(image, self.offset, self.max_len).map(Some)
    }

    /// Records the answer of the image that was asked, and continues below it.
    pub(crate) fn record(&mut self, extent: Extent) {
        self.answer = Some((self.level, extent));
        self.max_len = extent.len;
        self.level = self.level.wrapping_add(1);
    }
}
