//! The format: parses bytes of the file into checked types. It reads no device.

pub(crate) mod entry;
pub(crate) mod extent;
pub(crate) mod geometry;
pub(crate) mod header;
pub(crate) mod xen;
