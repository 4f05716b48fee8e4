//! Options for a check.

use crate::error::Error;
use crate::image::check::usage::{Usage, UsageMap, map_len};
use crate::offset::HostOffset;

/// Options for [`Image::check_with`](crate::Image::check_with).
///
/// ```
/// # fn main() -> Result<(), qcow1::Error<core::convert::Infallible>> {
/// let file: &[u8] = include_bytes!("../../../tests/data/compressed.qcow");
/// let mut memory = [0; 65_536];
/// let mut image = qcow1::Image::open(file, &mut memory)?;
/// let mut bitmap = vec![0; image.check_bitmap_len()];
/// let options = qcow1::CheckOptions::new().inflate(true).bitmap(&mut bitmap);
/// let summary = image.check_with(options, |finding| panic!("{finding}"))?;
/// assert_eq!((summary.findings, summary.unreachable_bytes), (0, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct CheckOptions<'b, U: ?Sized = [u8]> {
    pub(crate) inflate: bool,
    pub(crate) usage: Option<&'b mut U>,
}

impl<'b> CheckOptions<'b> {
    /// Returns the defaults: a check looks at every table word, and at nothing else.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            inflate: false,
            usage: None,
        }
    }

    /// Lends [`Image::check_bitmap_len`](crate::Image::check_bitmap_len) bytes, in which the check
    /// records what each sector of the file is used for. With it, the check also finds tables and
    /// clusters that overlap or are used twice, and counts the bytes that nothing refers to. The
    /// contents of the bytes are overwritten.
    ///
    /// Two parts of the file overlap if they share a sector of 512 bytes that one of them fills, or
    /// if they are L2 tables that start in the same sector. The check cannot find an overlap inside
    /// a sector that neither part fills. Such sectors occur at the ends of compressed clusters,
    /// which are packed byte by byte, and at the ends of unaligned tables.
    #[must_use]
    pub const fn bitmap(self, bitmap: &'b mut [u8]) -> Self {
        self.usage_map(bitmap)
    }
}

impl<U: ?Sized> CheckOptions<'_, U> {
    /// Sets whether each compressed cluster is read and inflated. The image then needs
    /// [`MemoryNeeds::compressed`](crate::MemoryNeeds::compressed) bytes of memory.
    #[must_use]
    pub const fn inflate(mut self, inflate: bool) -> Self {
        self.inflate = inflate;
        self
    }

    /// Lends another structure instead of the bytes of [`CheckOptions::bitmap`].
    #[must_use]
    pub const fn usage_map<V: UsageMap + ?Sized>(self, map: &mut V) -> CheckOptions<'_, V> {
        CheckOptions {
            inflate: self.inflate,
            usage: Some(map),
        }
    }
}

impl<U: UsageMap + ?Sized> CheckOptions<'_, U> {
    /// Clears the usage map for a file that ends at `file_end`.
    ///
    /// # Errors
    /// [`Error::MemoryTooSmall`] if the map is too small for the file.
    pub(crate) fn clear_map<E>(&mut self, file_end: HostOffset) -> Result<(), Error<E>> {
        let needed = map_len(file_end);
        if let Some(map) = &mut self.usage
            && (needed == usize::MAX || !map.clear(needed))
        {
            return Err(Error::MemoryTooSmall { needed });
        }
        Ok(())
    }

    /// Returns the usage map for a file that ends at `file_end`, if one was lent.
    pub(crate) fn usage_of_file(&mut self, file_end: HostOffset) -> Option<Usage<'_, U>> {
        Some(Usage {
            map: self.usage.as_deref_mut()?,
            file_end,
        })
    }
}

impl Default for CheckOptions<'_> {
    fn default() -> Self {
        Self::new()
    }
}
