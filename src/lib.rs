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

// The rooms of this house. Each imports only from those above it, which tests/it/layers.rs keeps true.

// Byte offsets in the guest's disk and in the image file.
mod offset;

// Raw DEFLATE, whole input to whole output.
#[cfg(feature = "deflate")]
mod inflate;

// What can go wrong, and where an image contradicts its format.
mod error;

// Bytes of the file to checked types: the header, the geometry, table words, extents.
mod format;

// `BlockRead`, what implements it, and what wraps it.
mod device;

// The core, which does no I/O: what to read next, and what it means.
mod reader;

// `GuestRead`, and the traits of other crates that a guest's disk is shown as.
mod guest;

// Images, chains and checks on synchronous devices.
mod image;

// The same on devices whose reads are futures.
#[cfg(feature = "async")]
pub mod aio;

pub use device::aligned::Aligned;
pub use device::blocks::Blocks;
pub use device::embedded_io::{FromIo, FromIoError};
#[cfg(feature = "embedded-storage")]
pub use device::embedded_storage::{FromStorage, StorageError};
pub use device::fault_injector::{FaultInjector, FaultInjectorError};
#[cfg(feature = "gpt_disk_io")]
pub use device::gpt_disk_io::FromBlockIo;
pub use device::tracer::{Counts, ReadRequest, Tracer};
pub use device::{BlockRead, BlockSize};
pub use error::{Corrupt, CorruptKind, Error, OpenError, PushError, PushReason, Unsupported};
pub use format::extent::{Extent, ExtentKind};
pub use format::geometry::{ClusterBits, L2Bits};
pub use format::header::{Header, Probe, probe};
pub use format::xen::XenL1;
#[cfg(feature = "embedded-sdmmc-types")]
pub use guest::embedded_sdmmc::ToBlockDevice;
#[cfg(feature = "embedded-storage")]
pub use guest::embedded_storage::{ToStorage, TooLarge};
#[cfg(any(feature = "embedded-sdmmc-types", feature = "gpt_disk_io"))]
pub use guest::error::DiskError;
#[cfg(feature = "gpt_disk_io")]
pub use guest::gpt_disk_io::ToBlockIo;
pub use guest::{Cursor, GuestRead};
pub use image::Image;
pub use image::chain::{Chain, Layer};
pub use image::check::{CheckOptions, CheckSummary, Finding};
pub use image::extents::Extents;
pub use image::options::OpenOptions;
pub use reader::cipher::SectorCipher;
#[cfg(feature = "aes")]
pub use reader::cipher::{AesCipher, Key};
pub use reader::memory::MemoryNeeds;
