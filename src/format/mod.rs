//! The format: bytes of the file to checked types, and nothing that reads a device.

pub(crate) mod entry;
pub(crate) mod extent;
pub(crate) mod geometry;
pub(crate) mod header;
pub(crate) mod xen;
