//! Why the core stops: two bytes, so that a call on the way costs no more.

use crate::error::Flaw;

/// Why the core stops. The offsets that the public error names are in the walk and in the image's last L1 entry.
#[derive(Clone, Copy)]
pub(crate) enum Stop {
    /// A piece of a table is not cached. `ImageState::missing` returns what to read before the next attempt.
    Miss,
    Corrupt(Flaw),
    OutOfRange,
    KeyRequired,
    CipherFailed,
    /// For a compressed cluster, or because the memory is shorter than when the image was opened.
    MemoryTooSmall,
    #[cfg(not(feature = "deflate"))]
    Compression,
}
