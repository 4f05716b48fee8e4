//! Errors as numbers.

use core::convert::Infallible;
use core::ffi::{CStr, c_int};

use qcow1::{CorruptPart, PushError, Unsupported};

/// The negative results of calls; 0 is success. A positive result comes from the read callback.
///
/// After an error a disk is as usable as before. Only qcow1_open() leaves it without images.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum Code {
    /// The file does not begin with QCOW's magic number.
    NotQcow = -1,
    /// The file is QCOW of a version other than 1, which qcow1_last_failure() returns. qemu-img
    /// calls versions 2 and 3 qcow2.
    UnsupportedVersion = -2,
    /// The image is encrypted by a method other than AES, which qcow1_last_failure() returns.
    UnsupportedEncryption = -3,
    /// The cluster is compressed, and the library was built without the feature deflate.
    UnsupportedCompression = -4,
    /// The library was built without the feature aes.
    UnsupportedAes = -5,
    /// The header contradicts the format.
    CorruptHeader = -6,
    /// The backing file's name is too long, or reaches past the end of the file.
    CorruptBackingName = -7,
    /// The L1 table reaches past the end of the file, or a word in it is invalid.
    CorruptL1Table = -8,
    /// An L2 table reaches past the end of the file.
    CorruptL2Table = -9,
    /// A cluster reaches past the end of the file, or is not at a multiple of 512.
    CorruptCluster = -10,
    /// A compressed cluster reaches past the end of the file, or cannot be inflated.
    CorruptCompressedCluster = -11,
    /// The image is corrupt in a way that this API has no number for.
    CorruptOtherwise = -12,
    /// The bytes do not all lie inside the disk.
    OutOfRange = -13,
    /// The memory or the buffer is too small. qcow1_last_failure() returns the bytes needed.
    MemoryTooSmall = -14,
    /// The bytes lie in a hole of an image that names a backing file, which was not pushed.
    BackingRequired = -15,
    /// The bytes are encrypted, and the image has no passphrase.
    KeyRequired = -16,
    /// The disk already has QCOW1_MAX_IMAGES images.
    ChainFull = -17,
    /// The image above is raw or names no backing file, so nothing would be read from this one.
    NoBackingNamed = -18,
    /// The library failed in a way that this API has no number for.
    Otherwise = -19,
    /// The file or the device has 0 bytes.
    Empty = -20,
    /// A pointer is null.
    NullPointer = -21,
    /// A pointer is not aligned as its type requires. A qcow1_disk requires QCOW1_DISK_ALIGN bytes.
    Misaligned = -22,
    /// A length reaches past the end of the address space.
    TooLong = -23,
    /// The disk was never opened, was closed, could not be opened, or is a copy of one that was.
    NotOpen = -24,
    /// The disk is in use by the call that the read callback runs in.
    Busy = -25,
    /// The memory or the buffer overlaps memory that the disk uses.
    Overlap = -26,
    /// The device is larger than 2^63 bytes.
    DeviceSize = -27,
    /// The block size is not a power of two from 1 to 65536.
    BlockSize = -28,
    /// The device has no read callback.
    NoReadCallback = -29,
    /// A flag is unknown, or QCOW1_RAW is not alone.
    InvalidFlags = -30,
    /// The disk has no image at that level.
    NoSuchImage = -31,
    /// The read callback returned a negative number. It may return 0 or a positive error of its
    /// own.
    NegativeFromCallback = -32,
}

/// The sentence of each code.
static MESSAGES: [(Code, &CStr); 32] = [
    (Code::NotQcow, c"not a QCOW image: the magic number is missing"),
    (
        Code::UnsupportedVersion,
        c"unsupported QCOW version: only version 1 is read",
    ),
    (Code::UnsupportedEncryption, c"unsupported encryption method"),
    (
        Code::UnsupportedCompression,
        c"the cluster is compressed, and this library was built without deflate",
    ),
    (Code::UnsupportedAes, c"this library was built without aes"),
    (Code::CorruptHeader, c"corrupt image: the header contradicts the format"),
    (
        Code::CorruptBackingName,
        c"corrupt image: the backing file's name is too long or reaches past the end of the file",
    ),
    (
        Code::CorruptL1Table,
        c"corrupt image: the L1 table reaches past the end of the file, or a word in it is invalid",
    ),
    (
        Code::CorruptL2Table,
        c"corrupt image: an L2 table reaches past the end of the file",
    ),
    (
        Code::CorruptCluster,
        c"corrupt image: a cluster reaches past the end of the file, or is not at a multiple of 512",
    ),
    (
        Code::CorruptCompressedCluster,
        c"corrupt image: a compressed cluster reaches past the end of the file or cannot be inflated",
    ),
    (Code::CorruptOtherwise, c"corrupt image"),
    (Code::OutOfRange, c"the bytes do not all lie inside the disk"),
    (Code::MemoryTooSmall, c"the memory or the buffer is too small"),
    (
        Code::BackingRequired,
        c"the image has a hole there and names a backing file, which was not pushed",
    ),
    (
        Code::KeyRequired,
        c"the cluster is encrypted, and the image has no passphrase",
    ),
    (Code::ChainFull, c"the disk has as many images as it can hold"),
    (Code::NoBackingNamed, c"the image above is raw or names no backing file"),
    (Code::Otherwise, c"the library failed"),
    (Code::Empty, c"the file or the device is empty: it has 0 bytes"),
    (Code::NullPointer, c"a pointer is null"),
    (Code::Misaligned, c"a pointer is not aligned"),
    (Code::TooLong, c"a length reaches past the end of the address space"),
    (Code::NotOpen, c"the disk is not open"),
    (
        Code::Busy,
        c"the disk is in use by the call that the read callback runs in",
    ),
    (
        Code::Overlap,
        c"the memory or the buffer overlaps memory that the disk uses",
    ),
    (Code::DeviceSize, c"the device is larger than 2^63 bytes"),
    (Code::BlockSize, c"the block size is not a power of two from 1 to 65536"),
    (Code::NoReadCallback, c"the device has no read callback"),
    (Code::InvalidFlags, c"a flag is unknown, or QCOW1_RAW is not alone"),
    (Code::NoSuchImage, c"the disk has no image at that level"),
    (
        Code::NegativeFromCallback,
        c"the read callback returned a negative number",
    ),
];

impl Code {
    #[allow(clippy::as_conversions, reason = "an enum has no other conversion to its number")]
    pub(crate) const fn number(self) -> c_int {
        self as c_int
    }
}

/// Returns the sentence of a number.
pub(crate) fn message(number: c_int) -> &'static CStr {
    match number {
        0 => c"no error",
        1.. => c"the read callback failed",
        _ => MESSAGES
            .iter()
            .find(|(code, _)| code.number() == number)
            .map_or(c"not an error of this library", |(_, message)| message),
    }
}

/// The error of the last call that failed, and its place.
///
/// An offset is QCOW1_UNKNOWN if the error has none.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Failure {
    /// The result of the call; 0 if none has failed since qcow1_open().
    pub error: c_int,
    /// The version or the encryption method in the header if the error is
    /// QCOW1_ERROR_UNSUPPORTED_VERSION or QCOW1_ERROR_UNSUPPORTED_ENCRYPTION, else 0.
    pub unsupported: u32,
    /// The bytes needed if the error is QCOW1_ERROR_MEMORY_TOO_SMALL, else 0. Calls that need less
    /// succeed.
    pub needed: usize,
    /// The first byte of the guest's disk that the error concerns.
    pub guest_offset: u64,
    /// The byte of the image file that the error concerns.
    pub host_offset: u64,
}

/// The value of an offset that an error does not have.
pub const UNKNOWN: u64 = 0xffff_ffff_ffff_ffff;

impl Failure {
    pub(crate) const NONE: Self = Self {
        error: 0,
        unsupported: 0,
        needed: 0,
        guest_offset: UNKNOWN,
        host_offset: UNKNOWN,
    };
}

impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        Self {
            error: code.number(),
            ..Self::NONE
        }
    }
}

impl From<Infallible> for Failure {
    fn from(error: Infallible) -> Self {
        match error {}
    }
}

impl<E: Into<Self>> From<qcow1::Error<E>> for Failure {
    fn from(error: qcow1::Error<E>) -> Self {
        use qcow1::Error;
        match error {
            Error::Io(error) => error.into(),
            Error::Empty => Code::Empty.into(),
            Error::NotQcow => Code::NotQcow.into(),
            Error::Unsupported(Unsupported::Version(unsupported)) => Self {
                unsupported,
                ..Code::UnsupportedVersion.into()
            },
            Error::Unsupported(Unsupported::CryptMethod(unsupported)) => Self {
                unsupported,
                ..Code::UnsupportedEncryption.into()
            },
            Error::Unsupported(Unsupported::Compression) => Code::UnsupportedCompression.into(),
            Error::Unsupported(Unsupported::DeviceSize(_)) => Code::DeviceSize.into(),
            Error::Corrupt(corrupt) => {
                let code = match corrupt.part() {
                    CorruptPart::Header => Code::CorruptHeader,
                    CorruptPart::BackingName => Code::CorruptBackingName,
                    CorruptPart::L1Table => Code::CorruptL1Table,
                    CorruptPart::L2Table => Code::CorruptL2Table,
                    CorruptPart::Cluster => Code::CorruptCluster,
                    CorruptPart::CompressedCluster => Code::CorruptCompressedCluster,
                    _ => Code::CorruptOtherwise,
                };
                Self {
                    guest_offset: corrupt.guest_offset().unwrap_or(UNKNOWN),
                    host_offset: corrupt.host_offset().unwrap_or(UNKNOWN),
                    ..code.into()
                }
            }
            Error::OutOfRange => Code::OutOfRange.into(),
            Error::MemoryTooSmall { needed } => Self {
                needed,
                ..Code::MemoryTooSmall.into()
            },
            Error::BackingRequired { guest_offset } => Self {
                guest_offset,
                ..Code::BackingRequired.into()
            },
            Error::KeyRequired { guest_offset } => Self {
                guest_offset,
                ..Code::KeyRequired.into()
            },
            _ => Code::Otherwise.into(),
        }
    }
}

impl<I> From<PushError<I>> for Failure {
    fn from(error: PushError<I>) -> Self {
        match error {
            PushError::Full(_) => Code::ChainFull.into(),
            PushError::NoBackingNamed(_) => Code::NoBackingNamed.into(),
        }
    }
}
