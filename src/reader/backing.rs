//! The backing file's name, and which image of a chain stores the guest's bytes.

use crate::error::Error;
use crate::format::extent::{Extent, ExtentKind};
use crate::offset::{HostOffset, byte_count, saturating_usize};
use crate::reader::extent_walk::ExtentWalk;
use crate::reader::image_state::ImageState;
use crate::reader::read::{ChainRead, Pending};

impl ImageState {
    /// Returns where the backing file's name is, and its length in bytes.
    fn backing_name_range(&self) -> Option<(HostOffset, u64)> {
        let header = self.header().filter(|header| header.has_backing())?;
        Some((header.backing_name(), header.backing_name_len().into()))
    }

    /// Returns the part of `buf` for the backing file's name, or `None` if the image names none.
    ///
    /// # Errors
    /// [`Error::MemoryTooSmall`] if `buf` is shorter than the name.
    pub(crate) fn backing_name_buffer<'b, E>(&self, buf: &'b mut [u8]) -> Result<Option<&'b mut [u8]>, Error<E>> {
        let Some((_, len)) = self.backing_name_range() else {
            return Ok(None);
        };
        let needed = saturating_usize(len);
        buf.get_mut(..needed).ok_or(Error::MemoryTooSmall { needed }).map(Some)
    }
}

impl<'b> ChainRead<'b> {
    /// Creates a read of the backing file's name into `name`, which [`ImageState::backing_name_buffer`]
    /// returned.
    pub(crate) fn of_backing_name(image: &ImageState, name: &'b mut [u8]) -> Self {
        let (start, _) = image.backing_name_range().unwrap_or((image.device().end, 0));
        // Only salvage opens an image whose name reaches past the end of the file. The rest of it
        // is zeros.
        let stored = saturating_usize(image.device().end.since(start)).min(name.len());
        let (name, past_end) = name.split_at_mut_checked(stored).unwrap_or_default();
        past_end.fill(0);
        let walk = ExtentWalk::over_file(start, byte_count(stored));
        Self::with_walk(walk, name, Pending::None)
    }
}

/// A search for the image of a chain that stores the guest's bytes at an offset, from the top down.
pub(crate) struct ExtentQuery {
    offset: u64,
    max_len: u64,
    level: usize,
    /// The lowest image reached, and how it stores them.
    pub(crate) found: Option<(usize, Extent)>,
}

impl ExtentQuery {
    pub(crate) const fn new(offset: u64, max_len: u64) -> Self {
        Self {
            offset,
            max_len,
            level: 0,
            found: None,
        }
    }

    /// Returns the walk that asks the next image down, or `None` if the answer is known.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for an offset past the end of the top image or a `max_len` of 0.
    pub(crate) fn walk<E>(&mut self, image: &ImageState) -> Result<Option<ExtentWalk>, Error<E>> {
        match &mut self.found {
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

    /// Takes the answer of that image.
    pub(crate) fn answer(&mut self, extent: Extent) {
        self.found = Some((self.level, extent));
        self.max_len = extent.len;
        self.level = self.level.wrapping_add(1);
    }
}
