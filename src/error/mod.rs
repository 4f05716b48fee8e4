//! What can go wrong, as sentences that a person can act on.

mod corrupt;

use core::convert::Infallible;
use core::fmt;

pub use corrupt::{Corrupt, CorruptKind};
pub(crate) use corrupt::{Flaw, Part};

/// Why a call failed. `E` is the device's own error.
///
/// After any of these the image is as usable as before: the same call may be tried again, and other calls are not
/// affected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error<E> {
    /// The device failed; this is what it said.
    Io(E),
    /// The file does not begin with QCOW's magic number.
    NotQcow,
    /// The file asks for something that this crate does not read.
    Unsupported(Unsupported),
    /// The image contradicts its own format.
    Corrupt(Corrupt),
    /// The bytes asked for do not lie inside the disk (or, for a seek, before its first byte).
    OutOfRange,
    /// The memory, or a buffer, that the caller lent is too small for this call.
    MemoryTooSmall {
        /// The bytes that would do. What works in less still works.
        needed: usize,
    },
    /// The guest bytes lie in a hole of an image that names a backing file, and none was supplied: put the image on a
    /// [`Chain`](crate::Chain) with its backing image below it.
    BackingRequired,
    /// The guest bytes lie in an encrypted cluster, and the image has no key.
    KeyRequired,
}

/// A failure that no device had a part in.
pub(crate) type Fault = Error<Infallible>;

impl Fault {
    /// The same failure, where a device's might have stood.
    pub(crate) fn widen<E>(self) -> Error<E> {
        match self {
            Self::Io(never) => match never {},
            Self::NotQcow => Error::NotQcow,
            Self::Unsupported(what) => Error::Unsupported(what),
            Self::Corrupt(what) => Error::Corrupt(what),
            Self::OutOfRange => Error::OutOfRange,
            Self::MemoryTooSmall { needed } => Error::MemoryTooSmall { needed },
            Self::BackingRequired => Error::BackingRequired,
            Self::KeyRequired => Error::KeyRequired,
        }
    }
}

impl<E: fmt::Debug> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the device could not be read: {error:?}"),
            Self::NotQcow => f.write_str("not a QCOW image: the magic number is missing"),
            Self::Unsupported(what) => fmt::Display::fmt(what, f),
            Self::Corrupt(what) => fmt::Display::fmt(what, f),
            Self::OutOfRange => f.write_str("the range does not lie inside the disk"),
            Self::MemoryTooSmall { needed } => {
                write!(f, "the memory lent is too small: {needed} bytes are needed")
            }
            Self::BackingRequired => {
                f.write_str("the image has a hole there and names a backing file, which was not supplied")
            }
            Self::KeyRequired => f.write_str("the cluster is encrypted, and the image has no key"),
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for Error<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl<E: embedded_io::Error + 'static> embedded_io::Error for Error<E> {
    fn kind(&self) -> embedded_io::ErrorKind {
        match self {
            Self::Io(error) => error.kind(),
            other => other.kind_unless_io(),
        }
    }
}

impl<E> Error<E> {
    /// The kind of what is not the device's own error.
    pub(crate) const fn kind_unless_io(&self) -> embedded_io::ErrorKind {
        match self {
            Self::Io(_) => embedded_io::ErrorKind::Other,
            Self::NotQcow | Self::Corrupt(_) => embedded_io::ErrorKind::InvalidData,
            Self::Unsupported(_) => embedded_io::ErrorKind::Unsupported,
            Self::OutOfRange => embedded_io::ErrorKind::InvalidInput,
            Self::MemoryTooSmall { .. } => embedded_io::ErrorKind::OutOfMemory,
            Self::BackingRequired => embedded_io::ErrorKind::NotFound,
            Self::KeyRequired => embedded_io::ErrorKind::PermissionDenied,
        }
    }
}

/// What a file asks for that this crate does not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Unsupported {
    /// QCOW, but of this version: 2 and 3 are what `qemu-img` calls `qcow2`.
    Version(u32),
    /// An encryption method other than 0 (none) and 1 (AES).
    CryptMethod(u32),
    /// A compressed cluster, which this build does not decode.
    Compression,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => {
                write!(f, "unsupported QCOW version {version}: only version 1 is read")
            }
            Self::CryptMethod(method) => write!(f, "unsupported encryption method {method}"),
            Self::Compression => f.write_str("the cluster is compressed, and this build does not decode that"),
        }
    }
}

/// An image could not be opened; the device comes back with the reason.
pub struct OpenError<D, E> {
    device: D,
    error: Error<E>,
}

impl<D, E> OpenError<D, E> {
    pub(crate) fn new(device: D, error: Error<E>) -> Self {
        Self { device, error }
    }

    /// The reason.
    pub fn error(&self) -> &Error<E> {
        &self.error
    }

    /// The device, to be used for something else.
    pub fn into_device(self) -> D {
        self.device
    }

    /// The reason, where the device is of no more use.
    pub fn into_error(self) -> Error<E> {
        self.error
    }

    /// The device and the reason.
    pub fn into_parts(self) -> (D, Error<E>) {
        (self.device, self.error)
    }
}

#[cfg(feature = "defmt")]
impl<D, E: defmt::Format> defmt::Format for OpenError<D, E> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "OpenError {{ error: {} }}", self.error());
    }
}

impl<D, E: fmt::Debug> fmt::Debug for OpenError<D, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenError")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<D, E: fmt::Debug> fmt::Display for OpenError<D, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl<D, E: core::error::Error + 'static> core::error::Error for OpenError<D, E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.error.source()
    }
}
