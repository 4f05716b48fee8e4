//! The backing file's name: where it is, and the read of it.

use crate::error::Error;
use crate::offset::{HostOffset, byte_count, saturating_usize};
use crate::reader::extent_walk::ExtentWalk;
use crate::reader::image_state::ImageState;
use crate::reader::read::{ChainRead, Pending};

impl ImageState {
    /// Returns the host offset of the backing file's name, and its length in bytes.
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
    /// Creates a read of the backing file's name into `name`, which
    /// [`ImageState::backing_name_buffer`] returned.
    pub(crate) fn of_backing_name(image: &ImageState, name: &'b mut [u8]) -> Self {
        let (start, _) = image.backing_name_range().unwrap_or((image.device().end, 0));
        // Only salvage opens an image whose name reaches past the end of the file. The missing
        // bytes are zeros.
        let stored = saturating_usize(image.device().end.since(start)).min(name.len());
        let (name, past_end) = name.split_at_mut_checked(stored).unwrap_or_default();
        past_end.fill(0);
        let walk = ExtentWalk::over_file_range(start, byte_count(stored));
        Self::with_walk(walk, name, Pending::None)
    }
}
