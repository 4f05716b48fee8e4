//! The error of opening an image.

use core::fmt;

use crate::error::Error;

/// The error of opening an image. It returns the device and the memory.
///
/// `?` converts it to [`Error`] and, with the feature `std`, to `std::io::Error` and
/// `Box<dyn std::error::Error>`. The conversion drops the device and the memory. `OpenError` does
/// not implement [`core::error::Error`] itself, so that `?` works for a device or memory that is
/// borrowed too; [`OpenError::into_error`] returns an error that does.
///
/// ```
/// use qcow1::{BlockRead, Error, Image, Memory, OpenError};
///
/// /// Opens a QCOW1 image, or else a raw disk: for a machine whose owner wrote its disks.
/// fn open<D: BlockRead, M: Memory>(device: D, memory: M) -> Result<Image<D, M>, Error<D::Error>> {
///     match Image::open(device, memory).map_err(OpenError::into_parts) {
///         Ok(image) => Ok(image),
///         Err((device, memory, Error::NotQcow | Error::Empty)) => Ok(Image::open_raw(device, memory)?),
///         Err((_, _, error)) => Err(error),
///     }
/// }
///
/// let disk = [7; 1024];
/// let mut memory = [0; 512];
/// assert_eq!(open(&disk[..], &mut memory)?.size(), 1024);
/// # Ok::<(), Error<core::convert::Infallible>>(())
/// ```
///
/// [`OpenOptions::or_raw`](crate::OpenOptions::or_raw) does the same; its documentation says when
/// that is safe.
pub struct OpenError<D, M, E> {
    device: D,
    memory: M,
    error: Error<E>,
}

impl<D, M, E> OpenError<D, M, E> {
    pub(crate) fn new(device: D, memory: M, error: Error<E>) -> Self {
        Self { device, memory, error }
    }

    /// Returns the reason.
    pub fn error(&self) -> &Error<E> {
        &self.error
    }

    /// Returns the reason and drops the device.
    pub fn into_error(self) -> Error<E> {
        self.error
    }

    /// Returns the device.
    pub fn into_device(self) -> D {
        self.device
    }

    /// Returns the device, the memory and the reason. The contents of the memory are unspecified.
    pub fn into_parts(self) -> (D, M, Error<E>) {
        (self.device, self.memory, self.error)
    }
}

impl<D, M, E> From<OpenError<D, M, E>> for Error<E> {
    fn from(error: OpenError<D, M, E>) -> Self {
        error.into_error()
    }
}

#[cfg(feature = "defmt")]
impl<D, M, E: defmt::Format> defmt::Format for OpenError<D, M, E> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "OpenError {{ error: {} }}", self.error());
    }
}

impl<D, M, E: fmt::Debug> fmt::Debug for OpenError<D, M, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenError")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<D, M, E: fmt::Debug> fmt::Display for OpenError<D, M, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}
