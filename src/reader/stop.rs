//! Why the core returned to its driver: two bytes, so that a call on the way costs no more.

use crate::error::CorruptKind;
#[cfg(feature = "deflate")]
use crate::inflate::InflateError;

/// Why the core returned to its driver. `ExtentWalk::error` adds the offsets.
#[derive(Clone, Copy)]
pub(crate) enum Stop {
    /// A piece of a table is not cached. `ImageState::missing` returns what to read before the next attempt.
    Miss,
    Corrupt(CorruptKind),
    #[cfg(feature = "deflate")]
    Stream(InflateError),
    OutOfRange,
    KeyRequired,
    CipherFailed,
    /// For a compressed cluster.
    #[cfg(feature = "deflate")]
    MemoryTooSmall,
    #[cfg(not(feature = "deflate"))]
    Compression,
}
