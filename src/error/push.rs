//! Why an image was not put on a chain.

use core::fmt;

use crate::error::Error;

/// Why an image was not put on a [`Chain`](crate::Chain).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PushReason {
    /// The chain has its `DEPTH` images.
    Full,
    /// The image above is raw or names no backing file, so nothing would ever be read from this one.
    NotNamed,
}

impl fmt::Display for PushReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the chain is full: it has as many images as its type allows",
            Self::NotNamed => "the image above names no backing file, so nothing would be read from this one",
        })
    }
}

impl core::error::Error for PushReason {}

/// Why an image was not put on a [`Chain`](crate::Chain), with the image.
///
/// `?` turns it into [`Error`] and, with the feature `std`, into `std::io::Error` and `Box<dyn std::error::Error>`; the
/// image is dropped then. It does not implement [`core::error::Error`], because the image borrows its memory:
/// [`PushError::reason`] gives what does.
///
/// ```
/// # let plain: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// use qcow1::{Chain, Image, PushReason};
///
/// let mut memory = [[0; 512]; 2];
/// let [first, second] = &mut memory;
/// let mut chain = Chain::<_, 2>::new();
/// chain.push(Image::open(plain, first)?)?;
/// let refused = chain.push(Image::open(plain, second)?).unwrap_err();
/// assert_eq!(refused.reason(), PushReason::NotNamed);
/// let image = refused.into_image();
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
pub struct PushError<I> {
    image: I,
    reason: PushReason,
}

impl<I> PushError<I> {
    pub(crate) fn new(image: I, reason: PushReason) -> Self {
        Self { image, reason }
    }

    /// Returns the reason.
    pub fn reason(&self) -> PushReason {
        self.reason
    }

    /// Returns the image.
    pub fn into_image(self) -> I {
        self.image
    }

    /// Returns the image and the reason.
    pub fn into_parts(self) -> (I, PushReason) {
        (self.image, self.reason)
    }
}

impl<I, E> From<PushError<I>> for Error<E> {
    fn from(error: PushError<I>) -> Self {
        Self::Push(error.reason)
    }
}

#[cfg(feature = "defmt")]
impl<I> defmt::Format for PushError<I> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "PushError {{ reason: {} }}", self.reason);
    }
}

impl<I> fmt::Debug for PushError<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushError")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl<I> fmt::Display for PushError<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.reason, f)
    }
}
