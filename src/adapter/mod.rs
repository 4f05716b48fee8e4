//! Devices that exist already, as [`BlockRead`](crate::BlockRead). One file for each.

mod blocks;
mod io;
mod slice;
#[cfg(feature = "std")]
mod std_file;

pub use blocks::Blocks;
pub use io::Io;
