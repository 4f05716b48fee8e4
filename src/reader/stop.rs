//! Why the core returned to its driver, in two bytes: with a larger error, each call on the way
//! would take more code.

#[cfg(feature = "deflate-small")]
use qcow1_inflate::InflateError;

use crate::error::CorruptKind;

/// Why the core returned to its driver. `ExtentWalk::error` adds the offsets.
#[derive(Clone, Copy)]
pub(crate) enum Stop {
    /// A piece of a table is not cached. `ImageState::pending_request` returns what to read before
    /// the next attempt.
    Miss,
    Corrupt(CorruptKind),
    #[cfg(feature = "deflate-small")]
    Stream(InflateError),
    OutOfRange,
    KeyRequired,
    CipherFailed,
    /// For a compressed cluster, or for a part of an encrypted sector.
    MemoryTooSmall,
    #[cfg(not(feature = "deflate-small"))]
    Compression,
}
