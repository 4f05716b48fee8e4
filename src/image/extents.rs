//! The runs of a whole disk, one after the other.

use core::fmt;

use crate::reader::extent_walk::ExtentWalk;

/// The runs of a disk in sequence; see [`Image::extents`](crate::Image::extents).
///
/// `I` is the image: over an [`Image`](crate::Image) this is an [`Iterator`], over an `aio::Image` its `next` returns a future.
///
/// ```
/// # let disk: &[u8] = include_bytes!("../../tests/data/sparse.qcow");
/// use qcow1::{ExtentKind, Image};
///
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
    /// None: it has ended with an error.
    pub(crate) walk: Option<ExtentWalk>,
}

impl<I> fmt::Debug for Extents<'_, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extents").finish_non_exhaustive()
    }
}
