//! Errors. Each `Display` is a sentence that a person can act on.

mod corrupt;
mod open;
mod push;
#[cfg(feature = "std")]
mod std_error;

use core::fmt;

pub(crate) use corrupt::Flaw;
pub use corrupt::{Corrupt, CorruptKind, CorruptPart};
pub use open::OpenError;
pub use push::PushError;

/// Why a call failed. `E` is the device's error type.
///
/// ```
/// use qcow1::{Error, Image};
///
/// let disk: &[u8] = include_bytes!("../../tests/data/chain-top.qcow");
/// let mut memory = [0; 4096];
/// let mut image = Image::open(disk, &mut memory)?;
/// match image.read_at(100_000, &mut [0; 512]) {
///     Ok(()) => {}
///     Err(Error::Corrupt(flaw)) => println!("{flaw}: guest offset {:?}", flaw.guest_offset()),
///     Err(error) => println!("{error}"),
/// }
/// # Ok::<(), Error<core::convert::Infallible>>(())
/// ```
///
/// After any error the image stays usable: the call can be retried, and no other call is affected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error<E> {
    /// The device failed with this error.
    Io(E),
    /// The file or the device has 0 bytes: a download that failed, or a card reader without a card.
    Empty,
    /// The file does not start with QCOW's magic number.
    NotQcow,
    /// The image or the device needs something that this crate does not support.
    Unsupported(Unsupported),
    /// The image contradicts its own format.
    Corrupt(Corrupt),
    /// The range does not lie inside the disk, or a seek goes before its first byte.
    OutOfRange,
    /// The memory of the image, or a buffer, is too small for this call.
    MemoryTooSmall {
        /// The number of bytes that this call needs. Calls that need less still succeed.
        needed: usize,
    },
    /// The guest bytes lie in a hole of an image that names a backing file, and no backing image
    /// was supplied: push both to a [`Chain`](crate::Chain).
    BackingRequired {
        /// The first guest byte that was requested and lies in the hole.
        guest_offset: u64,
    },
    /// The guest bytes lie in an encrypted cluster, and the image has no key.
    KeyRequired {
        /// The first guest byte that was requested and lies in the cluster.
        guest_offset: u64,
    },
    /// The [`SectorCipher`](crate::SectorCipher) of the image could not decrypt the guest bytes.
    CipherFailed {
        /// The first guest byte that was to be decrypted.
        guest_offset: u64,
    },
}

impl<E: fmt::Debug> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the device could not be read: {error:?}"),
            Self::Empty => f.write_str("the file or the device is empty: it has 0 bytes"),
            Self::NotQcow => f.write_str("not a QCOW image: the magic number is missing"),
            Self::Unsupported(what) => fmt::Display::fmt(what, f),
            Self::Corrupt(what) => fmt::Display::fmt(what, f),
            Self::OutOfRange => f.write_str("the range does not lie inside the disk"),
            Self::MemoryTooSmall { needed } => {
                write!(f, "the memory is too small: {needed} bytes are needed")
            }
            Self::BackingRequired { guest_offset } => write!(
                f,
                "guest offset {guest_offset:#x} is in a hole, and the backing file that the image names was not supplied"
            ),
            Self::KeyRequired { guest_offset } => write!(
                f,
                "guest offset {guest_offset:#x} is in an encrypted cluster, and the image has no key"
            ),
            Self::CipherFailed { guest_offset } => write!(
                f,
                "guest offset {guest_offset:#x} is in an encrypted cluster, and the image's cipher failed to decrypt it"
            ),
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
            other => other.own_kind(),
        }
    }
}

impl<E> Error<E> {
    /// Maps an error that is not the device's own to its kind, and `Io` to `Other`.
    pub(crate) const fn own_kind(&self) -> embedded_io::ErrorKind {
        match self {
            Self::Io(_) => embedded_io::ErrorKind::Other,
            Self::Empty | Self::NotQcow | Self::Corrupt(_) => embedded_io::ErrorKind::InvalidData,
            Self::Unsupported(_) => embedded_io::ErrorKind::Unsupported,
            Self::OutOfRange => embedded_io::ErrorKind::InvalidInput,
            Self::MemoryTooSmall { .. } => embedded_io::ErrorKind::OutOfMemory,
            Self::BackingRequired { .. } => embedded_io::ErrorKind::NotFound,
            Self::KeyRequired { .. } => embedded_io::ErrorKind::PermissionDenied,
            Self::CipherFailed { .. } => embedded_io::ErrorKind::Other,
        }
    }
}

/// A property of an image or a device that this crate does not support.
///
/// ```
/// use qcow1::{Error, Image, Unsupported};
///
/// let disk = b"QFI\xfb\0\0\0\x03 ...";
/// let mut memory = [0; 512];
/// let error = Image::open(&disk[..], &mut memory).map(|_| ()).map_err(Error::from);
/// assert_eq!(error, Err(Error::Unsupported(Unsupported::Version(3))));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Unsupported {
    /// A QCOW version other than 1. `qemu-img` calls versions 2 and 3 `qcow2`.
    Version(u32),
    /// An encryption method other than 0 (none) and 1 (AES).
    CryptMethod(u32),
    /// A compressed cluster, in a build without the features `deflate` and `deflate-small`.
    Compression,
    /// A device of more than 2^63 bytes. The value is its size in bytes.
    DeviceSize(u64),
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => {
                write!(f, "unsupported QCOW version {version}: only version 1 is read")
            }
            Self::CryptMethod(method) => write!(f, "unsupported encryption method {method}"),
            Self::Compression => {
                f.write_str("the cluster is compressed, and this build does not have the feature `deflate`")
            }
            Self::DeviceSize(bytes) => {
                write!(f, "unsupported device size of {bytes} bytes: the largest is 2^63 bytes")
            }
        }
    }
}
