//! Reads QCOW version 1 disk images without allocation, `unsafe` code or panics.
//!
//! This crate is for bootloaders, unikernels and host tools that read a guest's disk from an untrusted image. It reads
//! the format that QEMU, Xen's tapdisk and kvmtool call "qcow" (not qcow2): plain, compressed and encrypted clusters,
//! holes, chains of backing files, and truncated images.
//!
//! # Reading
//!
//! An [`Image`] consists of a device and of memory. [`Image::read_at`] reads any range of the guest's disk.
//!
//! ```
//! # let file: &[u8] = include_bytes!("../tests/data/plain.qcow");
//! use qcow1::Image;
//!
//! let mut image = Image::open(file, [0; 4096])?;
//! let mut sector = [0; 512];
//! image.read_at(1536, &mut sector)?;
//! # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
//! ```
//!
//! - A device is a type that implements [`BlockRead`], a trait with three methods. It is implemented for byte slices
//!   and arrays and, with the feature `alloc`, for `Box<D>`, with `std`, for [`std::fs::File`]. [`FromIo`] and similar types
//!   adapt other crates' traits.
//! - Wrappers serve drivers as they are: [`Aligned`] if they require aligned buffers, [`Bounced`] if their DMA does not reach
//!   all memory, [`Limited`] if they limit the length of a request. [`Blocks`] sets a block size, [`MapErr`]
//!   converts the error, and [`Tracer`] shows the requests.
//! - [`OpenOptions`] opens truncated images, and disks that may be raw.
//! - A [`Chain`] reads an image with its backing images. This crate never opens a file that an image names;
//!   [`Image::backing_name`] returns the name.
//! - [`Image::set_key`] and [`Image::set_cipher`] decrypt encrypted images.
//! - A [`Cursor`] reads a guest's disk as a stream: it implements `embedded_io::{Read, Seek}` and, with `std`, the
//!   standard library's traits. [`ReadOnly`] adds a `Write` that returns an error.
//! - [`GuestRead`] is implemented for images and chains. [`Partition`] and the adapters to other crates' traits take
//!   any type that implements it.
//! - [`Image::extents`] returns how the disk is stored. With the feature `check`, `Image::check` finds flaws of the image.
//! - [`aio`] has the same API for devices whose reads are futures.
//!
//! # Memory
//!
//! The memory holds a cache of the image's tables, a bounce buffer, and the buffers for inflating a cluster. max(512, block
//! size) bytes are enough to open every valid image and to read every uncompressed byte of it; more memory saves device
//! requests. [`OpenOptions::memory_needed`] and [`Header::memory_for`] return the figures for an image. The memory may have any
//! alignment. The image owns it, or you lend it: see [`Memory`].
//!
//! On a host, give the image a `Vec`. It and its file are then one value, which a function can return:
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # #[cfg(feature = "std")] {
//! use std::fs::File;
//! use qcow1::{Image, OpenOptions};
//!
//! fn open(path: &str) -> std::io::Result<Image<File, Vec<u8>>> {
//!     let mut file = File::open(path)?;
//!     let memory = vec![0; OpenOptions::new().memory_needed(&mut file, 4 << 20)?];
//!     Ok(Image::open(file, memory)?)
//! }
//!
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/compressed.qcow");
//! let mut image = open(path)?;
//! let mut sector = [0; 512];
//! image.read_at(0, &mut sector)?;
//! # }
//! # Ok(())
//! # }
//! ```
//!
//! In a kernel, a disk in a `static` is one line. Opening moves the array over the stack:
//!
//! ```
//! # static IMAGE: &[u8] = include_bytes!("../tests/data/plain.qcow");
//! use std::sync::Mutex; // or your kernel's
//! use qcow1::Image;
//!
//! static DISK: Mutex<Option<Image<&[u8], [u8; 4096]>>> = Mutex::new(None);
//!
//! *DISK.lock().unwrap() = Some(Image::open(IMAGE, [0; 4096])?);
//! let mut sector = [0; 512];
//! if let Some(disk) = &mut *DISK.lock().unwrap() {
//!     disk.read_at(0, &mut sector)?;
//! }
//! # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
//! ```
//!
//! In firmware with a small stack, lend a static, for example by the crate `static_cell`. Its initial value is a constant, so
//! it takes no stack:
//!
//! ```
//! # static DISK: &[u8] = include_bytes!("../tests/data/plain.qcow");
//! use qcow1::Image;
//! use static_cell::ConstStaticCell;
//!
//! static MEMORY: ConstStaticCell<[u8; 16_384]> = ConstStaticCell::new([0; 16_384]);
//!
//! // `take` panics if it is called a second time; `try_take` returns `None`.
//! let mut image: Image<_, &'static mut [u8; 16_384]> = Image::open(DISK, MEMORY.take())?;
//! let mut sector = [0; 512];
//! image.read_at(0, &mut sector)?;
//! # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
//! ```
//!
//! # Threads
//!
//! [`Image`], [`Chain`], [`aio::Image`], [`Cursor`] and all wrappers are `Send` and `Sync` if their device and memory are. An
//! image performs one read at a time, so reads need `&mut`: share one behind a mutex, or open one for each thread, each on a
//! device of its own.
//!
//! # Further examples
//!
//! - An image with its backing images, the last of them raw: [`Chain`].
//! - An encrypted image: [`Key`].
//! - A disk that is either a QCOW1 image or raw: [`OpenError`], [`OpenOptions::or_raw`].
//! - A file system on the disk: with [`fatfs`](https://docs.rs/fatfs), [`ReadOnly`]; with
//!   [`embedded-sdmmc`](https://docs.rs/embedded-sdmmc), `ToBlockDevice`; in one of several partitions,
//!   [`Partition`]; with [`gpt_disk_io`](https://docs.rs/gpt_disk_io), `ToBlockIo`.
//!
//! # Errors
//!
//! An [`Error`] states its cause; [`Corrupt`] also contains the place, as guest and host offsets. For users, print it with
//! `Display`, which is a sentence: a `main` that returns the error prints `Debug`. After any error the image stays usable,
//! and later calls return what they would have returned without the error.
//!
//! # Bounds
//!
//! The documentation of each call states the maximum number of device reads that it makes; the maximum holds for every
//! image. No call recurses, and the stack that a call needs does not depend on the image.
//!
//! # Features
//!
//! All features are additive, and only `deflate` is on by default.
//!
//! | feature | adds |
//! |---|---|
//! | `deflate` | compressed clusters |
//! | `aes` | [`Key`] and [`Image::set_key`], with RustCrypto's AES |
//! | `check` | `Image::check`, which finds flaws of an image |
//! | `alloc` | `Box<D>` as device and disk; `Vec<u8>` and `Box<[u8]>` as [`Memory`] |
//! | `std` | `alloc`; `File` as device; `std::io::{Read, Seek}` for [`Cursor`]; conversions of errors to `std::io::Error` and boxed errors |
//! | `async` | [`aio`] |
//! | `defmt` | `defmt::Format` for errors, extents and findings |
//! | the name of a crate | adapters to its traits: `embedded-io-async` 0.7, `embedded-storage` 0.3, `embedded-storage-async` 0.4, `gpt_disk_io` 0.17, `embedded-sdmmc-types` 0.1 (embedded-sdmmc 0.10) |
//!
//! Bare-metal x86-64 targets are built without SSE, so RustCrypto uses its software AES there, unless the kernel
//! enables SSE and the build has `-C target-feature=+aes,+sse2,-soft-float`. For a board with an AES engine, implement
//! [`SectorCipher`].
#![no_std]
#![forbid(unsafe_code)]
#![warn(unreachable_pub)]
#![cfg_attr(docsrs, feature(doc_cfg))]
// Nothing here may panic, wrap or lose bits. Tests may: a test fails by a panic.
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

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

// The modules, in layers: each imports only from those above it, which tests/it/layers.rs checks.

// Byte offsets in the guest's disk and in the image file, and conversions of byte counts.
mod offset;

// `Memory`: the bytes that an image works in.
mod memory;

// Errors, and where an image contradicts its format.
mod error;

// Parses bytes of the file into checked types: the header, the geometry, table words, extents.
mod format;

// `BlockRead`, its implementations, and its wrappers.
mod device;

// The core, which does no I/O: it decides what to read next, and decodes what was read.
mod reader;

// `GuestRead`, `Cursor`, and adapters from a guest's disk to other crates' traits.
mod guest;

// Images, chains and checks on synchronous devices.
mod image;

// The same on devices whose reads are futures.
#[cfg(feature = "async")]
pub mod aio;

pub use device::aligned::Aligned;
pub use device::blocks::Blocks;
pub use device::bounced::Bounced;
pub use device::embedded_io::{FromIo, FromIoError};
#[cfg(feature = "embedded-storage")]
pub use device::embedded_storage::{FromStorage, StorageError};
#[cfg(feature = "gpt_disk_io")]
pub use device::gpt_disk_io::FromBlockIo;
pub use device::limited::Limited;
pub use device::map_err::MapErr;
#[cfg(feature = "embedded-storage")]
pub use device::nor_flash::FromNorFlash;
pub use device::tracer::{Counts, ReadRequest, Tracer};
pub use device::{BlockRead, BlockSize};
pub use error::{Corrupt, CorruptKind, CorruptPart, Error, OpenError, PushError, Unsupported};
pub use format::extent::{Extent, ExtentKind};
pub use format::geometry::{ClusterBits, L2Bits};
pub use format::header::{Header, Probe, probe};
pub use guest::cursor::Cursor;
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
pub use guest::{GuestDisk, GuestRead};
pub use image::Image;
pub use image::chain::Chain;
#[cfg(feature = "check")]
pub use image::check::finding::{CheckSummary, Finding};
#[cfg(feature = "check")]
pub use image::check::options::CheckOptions;
#[cfg(feature = "check")]
pub use image::check::usage::UsageMap;
pub use image::extents::Extents;
pub use image::options::OpenOptions;
pub use memory::Memory;
#[cfg(feature = "aes")]
pub use reader::cipher::{AesCipher, Key};
pub use reader::cipher::{CipherFailed, SectorCipher};
pub use reader::lent_memory::MemoryNeeds;

/// Runs the README's code as tests, if the features that it uses are on.
#[cfg(all(doctest, feature = "aes", feature = "std"))]
#[doc = include_str!("../README.md")]
struct Readme;
