//! How thorough a check is.

use crate::error::Error;
use crate::image::check::usage::{Usage, UsageMap, map_len};
use crate::offset::HostOffset;

/// How thorough a check is.
///
/// ```
/// # fn main() -> Result<(), qcow1::Error<core::convert::Infallible>> {
/// # let file: &[u8] = include_bytes!("../../../tests/data/compressed.qcow");
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
    /// Checks every table word, and nothing else.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            inflate: false,
            usage: None,
        }
    }

    /// Lends [`Image::check_bitmap_len`](crate::Image::check_bitmap_len) bytes, in which the check notes what each sector
    /// of the file is used for. So it finds tables and clusters that overlap or are used twice, and bytes that nothing
    /// leads to. What the bytes held is overwritten.
    ///
    /// Two parts overlap if they have a sector of 512 bytes in common that one of them fills, or if they are L2 tables
    /// that begin in one sector. Not found is an overlap inside a sector of which each part has only a piece: of
    /// compressed clusters, which are packed byte by byte, and of the first or last bytes of tables that are not aligned
    /// to sectors.
    #[must_use]
    pub const fn bitmap(self, bitmap: &'b mut [u8]) -> Self {
        self.usage_map(bitmap)
    }
}

impl<U: ?Sized> CheckOptions<'_, U> {
    /// Whether each compressed cluster is read and inflated. That takes the memory of
    /// [`MemoryNeeds::compressed`](crate::MemoryNeeds::compressed).
    #[must_use]
    pub const fn inflate(mut self, inflate: bool) -> Self {
        self.inflate = inflate;
        self
    }

    /// Lends another structure in place of [`CheckOptions::bitmap`].
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
    /// [`Error::MemoryTooSmall`] if it has no room for that.
    pub(crate) fn clear_map<E>(&mut self, file_end: HostOffset) -> Result<(), Error<E>> {
        let needed = map_len(file_end);
        if let Some(map) = &mut self.usage
            && (needed == usize::MAX || !map.clear(needed))
        {
            return Err(Error::MemoryTooSmall { needed });
        }
        Ok(())
    }

    /// The usage map for that file.
    pub(crate) fn map(&mut self, file_end: HostOffset) -> Option<Usage<'_, U>> {
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
