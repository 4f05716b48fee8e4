#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
#![warn(unreachable_pub)]
#![cfg_attr(docsrs, feature(doc_cfg))]
// What could panic, wrap or lose bits has no place here. Tests may: a panic is how a test fails.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

#[cfg(any(feature = "std", test))]
extern crate std;

mod adapter;
#[cfg(feature = "async")]
pub mod aio;
mod cache;
mod chain;
mod check;
mod cipher;
#[cfg(feature = "deflate")]
mod compressed;
mod cursor;
mod device;
mod entry;
mod error;
mod extent;
#[cfg(feature = "defmt")]
mod format;
mod geometry;
mod guest;
mod header;
mod image;
#[cfg(feature = "deflate")]
mod inflate;
mod map;
mod memory;
mod options;
mod plan;

#[cfg(any(feature = "embedded-sdmmc-types", feature = "gpt_disk_io"))]
pub use adapter::DiskError;
#[cfg(feature = "embedded-sdmmc-types")]
pub use adapter::ToBlockDevice;
pub use adapter::{Aligned, Blocks, Counts, Faulty, FaultyError, Io, IoError, ReadRequest, Traced};
#[cfg(feature = "gpt_disk_io")]
pub use adapter::{FromBlockIo, ToBlockIo};
#[cfg(feature = "embedded-storage")]
pub use adapter::{FromStorage, StorageError, ToStorage, TooLarge};
pub use chain::{Chain, PushError, PushReason};
pub use check::{CheckOptions, CheckSummary, Finding};
pub use cipher::SectorCipher;
#[cfg(feature = "aes")]
pub use cipher::{AesCipher, Key};
pub use cursor::Cursor;
pub use device::{BlockRead, BlockSize};
pub use error::{Corrupt, CorruptKind, Error, OpenError, Unsupported};
pub use extent::{Extent, ExtentKind};
pub use geometry::{ClusterBits, L2Bits};
pub use guest::GuestRead;
pub use header::{Header, MemoryNeeds, Probe, probe};
pub use image::{Extents, Image};
pub use options::{OpenOptions, XenL1};
