//! The error of adding an image to a chain.

use core::fmt;

use crate::error::Error;

/// The reason why an image was not added to a [`Chain`](crate::Chain).
///
/// ```
/// # let plain: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// use qcow1::{Chain, Image, PushReason};
///
/// let mut memory = [[0; 512]; 2];
/// let [first, second] = &mut memory;
/// let mut chain = Chain::<_, 1>::new();
/// chain.push(Image::open(plain, first)?)?;
/// match chain.push(Image::open(plain, second)?).map_err(|error| error.reason()) {
///     Err(PushReason::Full) => println!("a chain of 1 image is full"),
///     Err(PushReason::NotNamed) => println!("the image has no backing file"),
///     other => println!("{other:?}"),
/// }
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PushReason {
    /// The chain already holds `DEPTH` images.
    Full,
    /// The image above is raw or names no backing file, so nothing would be read from this one.
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

/// The error of adding an image to a [`Chain`](crate::Chain). It returns the image.
///
/// `?` converts it to [`Error`] and, with the feature `std`, to `std::io::Error` and `Box<dyn std::error::Error>`. The
/// conversion drops the image. `PushError` does not implement [`core::error::Error`], because the image borrows its
/// memory; [`PushError::reason`] returns an error that does.
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
