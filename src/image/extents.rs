//! The runs of a whole disk, in sequence.

use core::fmt;

use crate::reader::extent_walk::ExtentWalk;

/// An iterator over the runs of a disk in sequence; see [`Image::extents`](crate::Image::extents).
///
/// Over an [`Image`](crate::Image) it implements [`Iterator`]. Over an `aio::Image` it has a method
/// `next` that returns a future.
///
/// ```
/// use qcow1::{ExtentKind, Image};
///
/// let disk: &[u8] = include_bytes!("../../tests/data/sparse.qcow");
/// let mut memory = [0; 4096];
/// let mut image = Image::open(disk, &mut memory)?;
/// let mut holes = 0;
/// for extent in image.extents() {
///     let extent = extent?;
///     if extent.kind == ExtentKind::Zero {
///         holes += extent.len;
///     }
/// }
/// assert!(holes < image.size());
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
pub struct Extents<'a, I> {
    pub(crate) image: &'a mut I,
    /// `None` after an error.
    pub(crate) walk: Option<ExtentWalk>,
}

impl<I> fmt::Debug for Extents<'_, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extents").finish_non_exhaustive()
    }
}
