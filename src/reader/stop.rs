//! Why the core stops: two bytes, so that a call on the way costs no more.

use crate::error::Flaw;

/// Why the core stops. The offsets that the public error names are in the walk by then.
#[derive(Clone, Copy)]
pub(crate) enum Stop {
    /// A piece of a table has to be read before the same is asked again: [`ImageState::missing`] names it.
    Miss,
    Corrupt(Flaw),
    OutOfRange,
    KeyRequired,
    CipherFailed,
    /// For a compressed cluster.
    #[cfg(feature = "deflate")]
    MemoryTooSmall,
    #[cfg(not(feature = "deflate"))]
    Compression,
}
