//! Devices that exist already, as [`BlockRead`](crate::BlockRead), and disks as what other crates read. One file for
//! each.

mod aligned;
mod blocks;
#[cfg(feature = "embedded-sdmmc-types")]
mod embedded_sdmmc_types;
#[cfg(feature = "embedded-storage")]
mod embedded_storage;
#[cfg(any(feature = "embedded-sdmmc-types", feature = "gpt_disk_io"))]
mod error;
mod faulty;
#[cfg(feature = "gpt_disk_io")]
mod gpt_disk_io;
mod io;
mod slice;
#[cfg(feature = "std")]
mod std_file;
#[cfg(feature = "std")]
mod std_io;
mod traced;

pub use aligned::Aligned;
pub use blocks::Blocks;
#[cfg(feature = "embedded-sdmmc-types")]
pub use embedded_sdmmc_types::ToBlockDevice;
#[cfg(feature = "embedded-storage")]
pub use embedded_storage::{FromStorage, StorageError, ToStorage, TooLarge};
#[cfg(any(feature = "embedded-sdmmc-types", feature = "gpt_disk_io"))]
pub use error::DiskError;
pub use faulty::{Faulty, FaultyError};
#[cfg(feature = "gpt_disk_io")]
pub use gpt_disk_io::{FromBlockIo, ToBlockIo};
pub use io::{Io, IoError};
pub use traced::{Counts, ReadRequest, Traced};
