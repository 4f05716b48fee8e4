//! Reads QCOW version 1 disk images without allocation, `unsafe` code or panics.
//!
//! This crate is for bootloaders, unikernels and hypervisors' tools that need a guest's bytes from an image that they
//! do not trust. It reads what QEMU, Xen's tapdisk and kvmtool call "qcow" (not qcow2): plain, compressed and encrypted
//! clusters, holes, chains of backing files, truncated images.
//!
//! # Reading
//!
//! An [`Image`] is a device and the memory that you lend it. [`Image::read_at`] takes any offset and any length.
//!
//! ```
//! # let file: &[u8] = include_bytes!("../tests/data/plain.qcow");
//! use qcow1::Image;
//!
//! let mut memory = [0; 4096];
//! let mut image = Image::open(file, &mut memory)?;
//! let mut sector = [0; 512];
//! image.read_at(1536, &mut sector)?;
//! # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
//! ```
//!
//! - A device is anything that implements [`BlockRead`]: one trait of three methods. It is implemented for byte slices and
//!   arrays and, with the feature `std`, for [`std::fs::File`] and `Box<D>`; [`FromIo`] and its like adapt the traits of other
//!   crates. [`Blocks`] and [`Aligned`] fit a device to its driver, [`Tracer`] and [`FaultInjector`] help to find faults.
//! - [`OpenOptions`] opens truncated images, and disks that may be raw.
//! - A [`Chain`] reads an image with its backing images. This crate opens no file that an image names:
//!   [`Image::backing_name`] returns the name.
//! - [`Image::set_key`] and [`Image::set_cipher`] decrypt encrypted images.
//! - A [`Cursor`] is a position in a guest's disk: `embedded_io::{Read, Seek}`, and with `std` the standard library's.
//!   [`ReadOnly`] adds a `Write` that refuses. [`GuestRead`] is implemented by images and chains, and is what the adapters
//!   to other crates' traits and [`Partition`] take.
//! - [`Image::extents`] returns how the disk is stored, and [`Image::check`] what is wrong with the image.
//! - [`aio`] is the same on devices whose reads are futures.
//!
//! # Memory
//!
//! The lent memory is a cache of the image's tables, a bounce buffer, and what it takes to inflate a cluster. max(512, block
//! size) bytes open every legal image and read every byte of it that is not compressed; more memory makes fewer device
//! requests. [`Header::memory_for`] returns the figures for an image before it is opened. `memory` may have any alignment.
//!
//! # Errors
//!
//! An [`Error`] names its cause, and [`Corrupt`] also the place, as guest and host offsets. After any error, the image is as
//! usable as before, and no later call returns anything else than it would have returned without the error.
//!
//! # Bounds
//!
//! Each call states the largest number of device reads that it makes, whatever the image's bytes are. No call recurses, and the
//! stack that a call needs does not depend on the image.
//!
//! # Features
//!
//! All features are additive, and only `deflate` is on by default.
//!
//! | feature | adds |
//! |---|---|
//! | `deflate` | compressed clusters |
//! | `aes` | [`Key`] and [`Image::set_key`], with RustCrypto's AES |
//! | `std` | `File` and `Box<D>` as devices; `std::io::{Read, Seek}` for [`Cursor`]; `std::io::Error` and boxed errors from this crate's |
//! | `async` | [`aio`] |
//! | `defmt` | `defmt::Format` for errors, extents and findings |
//! | a crate's name | adapters to its traits: `embedded-io-async` 0.7, `embedded-storage` 0.3, `embedded-storage-async` 0.4, `gpt_disk_io` 0.17, `embedded-sdmmc-types` 0.1 (embedded-sdmmc 0.10) |
//!
//! On bare-metal x86-64 targets, which are built without SSE, RustCrypto's software AES runs unless the kernel enables SSE and
//! the build has `-C target-feature=+aes,+sse2,-soft-float`. A board with an AES engine implements [`SectorCipher`].
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
#[cfg(feature = "embedded-storage")]
pub use device::nor_flash::FromNorFlash;
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
pub use guest::partition::Partition;
pub use guest::read_only::{ReadOnly, ReadOnlyError};
#[cfg(feature = "embedded-sdmmc-types")]
pub use guest::with_mbr::WithMbr;
pub use guest::{Cursor, GuestRead};
pub use image::Image;
pub use image::chain::{Chain, Layer};
pub use image::check::finding::{CheckSummary, Finding};
pub use image::check::options::CheckOptions;
pub use image::check::usage::UsageMap;
pub use image::extents::Extents;
pub use image::options::OpenOptions;
#[cfg(feature = "aes")]
pub use reader::cipher::{AesCipher, Key};
pub use reader::cipher::{CipherFailed, SectorCipher};
pub use reader::lent_memory::MemoryNeeds;

/// Runs the README's code as tests, where the features are there that it uses.
#[cfg(all(doctest, feature = "aes", feature = "std"))]
#[doc = include_str!("../README.md")]
struct Readme;
