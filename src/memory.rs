//! The memory that an image works in.

#[cfg(feature = "alloc")]
use alloc::boxed::Box;
#[cfg(feature = "alloc")]
use alloc::vec::Vec;

/// Bytes that an [`Image`](crate::Image) works in: owned by it, or lent to it.
///
/// It is implemented for `[u8; N]` and, with the feature `alloc`, for `Vec<u8>` and `Box<[u8]>`,
/// and for mutable references to these and to `[u8]`. This trait is sealed: the image relies on its
/// memory to keep its length and its contents.
///
/// ```
/// use qcow1::Image;
///
/// let file: &[u8] = include_bytes!("../tests/data/plain.qcow");
/// let owned = Image::open(file, [0; 4096])?;
/// let mut memory = [0; 4096];
/// let lent = Image::open(file, &mut memory)?;
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
///
/// Write a function that takes either:
///
/// ```
/// use qcow1::{BlockRead, Error, Image, Memory};
///
/// fn size<D: BlockRead, M: Memory>(device: D, memory: M) -> Result<u64, Error<D::Error>> {
///     Ok(Image::open(device, memory)?.size())
/// }
/// let file: &[u8] = include_bytes!("../tests/data/plain.qcow");
/// assert_eq!(size(file, [0; 512]), Ok(131_072));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the memory of an image",
    note = "use `&mut [u8]`, `[u8; N]` or `&mut [u8; N]`; `Vec<u8>` and `Box<[u8]>` need the feature `alloc`"
)]
pub trait Memory: sealed::Bytes {}

impl<M: sealed::Bytes + ?Sized> Memory for M {}

pub(crate) mod sealed {
    pub trait Bytes {
        /// Whether the bytes move with this value.
        const MOVES: bool = false;

        /// Returns all bytes, the same ones at each call.
        fn bytes(&mut self) -> &mut [u8];
    }
}

impl sealed::Bytes for [u8] {
    fn bytes(&mut self) -> &mut [u8] {
        self
    }
}

impl<const N: usize> sealed::Bytes for [u8; N] {
    const MOVES: bool = true;

    fn bytes(&mut self) -> &mut [u8] {
        self
    }
}

#[cfg(feature = "alloc")]
impl sealed::Bytes for Vec<u8> {
    fn bytes(&mut self) -> &mut [u8] {
        self
    }
}

#[cfg(feature = "alloc")]
impl sealed::Bytes for Box<[u8]> {
    fn bytes(&mut self) -> &mut [u8] {
        self
    }
}

impl<M: sealed::Bytes + ?Sized> sealed::Bytes for &mut M {
    fn bytes(&mut self) -> &mut [u8] {
        (**self).bytes()
    }
}
