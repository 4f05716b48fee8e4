//! The core: what to read next, and what it means. It knows no device and does no I/O.

pub(crate) mod cache;
pub(crate) mod cipher;
#[cfg(feature = "deflate")]
pub(crate) mod compressed;
pub(crate) mod memory;
pub(crate) mod open;
pub(crate) mod read;
pub(crate) mod walk;
