//! The error of adding an image to a chain.

use core::fmt;

/// The reason why an image was not added to a [`Chain`](crate::Chain). It returns the image.
///
/// With the feature `std`, `?` converts it to `std::io::Error` and `Box<dyn std::error::Error>`,
/// which drops the image. It does not implement [`core::error::Error`] itself, so that this works
/// for an image that borrows its memory too.
///
/// ```
/// use qcow1::{Chain, Image, PushError};
///
/// let plain: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// let mut chain = Chain::<_, 2>::new();
/// chain.push(Image::open(plain, [0; 512])?).expect("the chain is empty");
/// match chain.push(Image::open(plain, [0; 512])?) {
///     Ok(()) => println!("the chain has two images"),
///     Err(PushError::Full(image)) => println!("no room for an image of {} bytes", image.size()),
///     Err(PushError::NoBackingNamed(_)) => println!("the first image has no backing file"),
/// }
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PushError<I> {
    /// The chain already holds `DEPTH` images.
    Full(I),
    /// The image above is raw or names no backing file, so nothing would be read from this one.
    NoBackingNamed(I),
}

impl<I> PushError<I> {
    /// Returns the image.
    pub fn into_image(self) -> I {
        match self {
            Self::Full(image) | Self::NoBackingNamed(image) => image,
        }
    }

    /// Returns the sentence of this error, without the image.
    pub(crate) const fn sentence(&self) -> &'static str {
        match self {
            Self::Full(_) => "the chain already holds as many images as its type allows",
            Self::NoBackingNamed(_) => "the image above it has no backing file, so nothing would be read from this one",
        }
    }
}

#[cfg(feature = "defmt")]
impl<I> defmt::Format for PushError<I> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "PushError: {=str}", self.sentence());
    }
}

impl<I> fmt::Debug for PushError<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::NoBackingNamed(_) => "NoBackingNamed(..)",
        })
    }
}

impl<I> fmt::Display for PushError<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}
