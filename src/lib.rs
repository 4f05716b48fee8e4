//! Reads QCOW version 1 disk images without allocation, `unsafe` code or panics.
//!
//! This crate is for bootloaders, unikernels and host tools that read a guest's disk from an
//! untrusted image. It reads the format that QEMU, Xen's tapdisk and kvmtool call "qcow" (not
//! qcow2): plain, compressed and encrypted clusters, holes, chains of backing files, and truncated
//! images.
//!
//! # Reading
//!
//! An [`Image`] consists of a device and memory. [`Image::read_at`] reads any range of the
//! guest's disk.
//!
//! ```
//! use qcow1::Image;
//!
//! // An image that `qemu-img` made, in memory.
//! static FILE: &[u8] = include_bytes!("../tests/data/plain.qcow");
//!
//! let mut image = Image::open(FILE, [0; 4096])?;
//! let mut sector = [0; 512];
//! image.read_at(1536, &mut sector)?;
//! println!("{sector:02x?}");
//! # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
//! ```
//!
//! - A device is a type that implements [`BlockRead`], a trait with three methods. Byte slices,
//!   arrays and files implement it, and adapters turn types with other crates' traits into devices:
//!   see [below](#which-adapter-for-which-trait).
//! - [`OpenOptions`] opens truncated images, and disks that may be raw.
//! - A [`Chain`] reads an image with its backing images. This crate never opens a file that an
//!   image names; [`Image::backing_name`] returns the name.
//! - [`Image::set_key`] and [`Image::set_cipher`] decrypt encrypted images.
//! - A [`Cursor`] reads a guest's disk as a stream.
//! - [`GuestRead`] is implemented for images and chains. [`Partition`] and the adapters to other
//!   crates' traits take any type that implements it.
//! - [`Image::extents`] divides the disk into runs that are stored in the same way, and returns how
//!   each is stored. With the feature `check`, [`Image::check`] finds flaws in the image.
//! - [`Tracer`] passes each device request to a callback.
//! - [`aio`] has the same API for devices whose reads are futures.
//!
//! # Dependencies
//!
//! On a host:
//!
//! ```toml
//! [dependencies]
//! qcow1 = { version = "0.1", features = ["aes", "std"] }
//! ```
//!
//! In a kernel with an allocator:
//!
//! ```toml
//! [dependencies]
//! qcow1 = { version = "0.1", features = ["aes", "alloc"] }
//! ```
//!
//! In firmware, for images without compressed clusters:
//!
//! ```toml
//! [dependencies]
//! qcow1 = { version = "0.1", default-features = false }
//!
//! [profile.dev]
//! opt-level = 1 # without optimization, calls need several times as much stack
//! ```
//!
//! Until the crate is published, write `path = "../qcow1"` or `git = "..."` for `version = "0.1"`.
//!
//! # Memory
//!
//! The memory holds a cache of the image's tables, a bounce buffer, and the buffers for inflating a
//! cluster. max(512, block size) bytes are enough to open every valid image and to read every
//! uncompressed byte of it. On a byte-addressable device, such as memory-mapped flash, 64 bytes are
//! enough unless the image is encrypted. More memory saves device requests.
//!
//! [`OpenOptions::memory_needed`] returns the recommended size for an image, and
//! [`Header::memory_for`] the minimum and each other size that makes a difference. The memory may
//! have any alignment.
//!
//! These are the requests for a disk of 1 GiB that stores all its 4 KiB clusters in order, as QEMU
//! writes them, on a byte-addressable device:
//!
//! | memory | sequential, 1 MiB per read: requests per MiB | random, 4 KiB per read: requests per read |
//! |---:|---:|---:|
//! | 512 B | 5.50 | 2.99 |
//! | 64 KiB | 1.50 | 2.00 |
//! | 4 MiB | 1.50 | 1.00 |
//!
//! # Owning an image
//!
//! An image owns its device and its memory, or borrows them: see [`Memory`]. The type `Image` has
//! no lifetime parameter.
//!
//! On a host, give it a `Vec`. The image is then one value, which a function can return and a
//! struct can hold:
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # #[cfg(feature = "std")] {
//! use std::fs::File;
//! use qcow1::{Image, OpenOptions};
//!
//! struct Disk {
//!     path: String,
//!     image: Image<File, Vec<u8>>,
//! }
//!
//! fn open(path: &str) -> std::io::Result<Disk> {
//!     let mut file = File::open(path)?;
//!     // At most 4 MiB for tables.
//!     let memory = vec![0; OpenOptions::new().memory_needed(&mut file, 4 << 20)?];
//!     Ok(Disk { path: path.into(), image: Image::open(file, memory)? })
//! }
//!
//! let mut disk = open("tests/data/compressed.qcow")?;
//! let mut sector = [0; 512];
//! disk.image.read_at(0, &mut sector)?;
//! println!("{}: {sector:02x?}", disk.path);
//! # }
//! # Ok(())
//! # }
//! ```
//!
//! In firmware with a small stack, lend a static, for example with the crate `static_cell`. The
//! initial value is a constant, so it takes no stack:
//!
//! ```
//! use qcow1::Image;
//! use static_cell::ConstStaticCell;
//!
//! static FLASH: &[u8] = include_bytes!("../tests/data/plain.qcow");
//! static MEMORY: ConstStaticCell<[u8; 16_384]> = ConstStaticCell::new([0; 16_384]);
//!
//! // `take` panics if it is called a second time; `try_take` returns `None`.
//! let mut image: Image<_, &'static mut [u8; 16_384]> = Image::open(FLASH, MEMORY.take())?;
//! let mut sector = [0; 512];
//! image.read_at(0, &mut sector)?;
//! # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
//! ```
//!
//! A [`Cursor`] and all adapters own what they wrap, so a function can return a file system over an
//! image too. To wrap an image without giving it away, pass `&mut image`.
//!
//! # Threads
//!
//! [`Image`], [`Chain`], [`aio::Image`], [`Cursor`] and all wrappers of devices are `Send` and
//! `Sync` if everything they contain is: the device, the memory, and the closure of a [`MapErr`] or
//! [`Tracer`]. The same holds for the adapters, except that [`ToBlockDevice`] is never `Sync`.
//!
//! An image performs one read at a time, so reads need `&mut`. Share an image behind a mutex, or
//! open one for each thread, each on its own device.
//!
//! Opening moves the memory through the stack if it is an array. A `static` can hold an [`Image`]
//! with such memory:
//!
//! ```
//! use std::sync::Mutex; // or your kernel's
//! use std::thread;
//! use qcow1::Image;
//!
//! static FILE: &[u8] = include_bytes!("../tests/data/plain.qcow");
//! static DISK: Mutex<Option<Image<&[u8], [u8; 4096]>>> = Mutex::new(None);
//!
//! *DISK.lock().unwrap() = Some(Image::open(FILE, [0; 4096])?);
//! let reader = thread::spawn(|| {
//!     let mut sector = [0; 512];
//!     let mut disk = DISK.lock().unwrap();
//!     disk.as_mut().expect("an open disk").read_at(0, &mut sector)
//! });
//! reader.join().unwrap()?;
//! # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
//! ```
//!
//! Many kernels require `Send + Sync` of a block device, and read it through a shared reference. A
//! mutex around a disk meets both requirements:
//!
//! ```
//! use std::fmt::Debug;
//! use std::sync::Mutex; // or your kernel's
//! use qcow1::GuestRead;
//!
//! trait BlockDevice: Send + Sync {
//!     fn read(&self, sector: u64, buf: &mut [u8]) -> Result<(), &'static str>;
//! }
//!
//! struct Qcow<G>(Mutex<G>);
//!
//! impl<G: GuestRead<Error: Debug> + Send> BlockDevice for Qcow<G> {
//!     fn read(&self, sector: u64, buf: &mut [u8]) -> Result<(), &'static str> {
//!         let mut disk = self.0.lock().unwrap();
//!         disk.read_sectors(sector, buf).map_err(|_| "the disk could not be read")
//!     }
//! }
//! # let file: &[u8] = include_bytes!("../tests/data/plain.qcow");
//! # let image = qcow1::Image::open(file, [0; 512])?;
//! # let disk: Box<dyn BlockDevice + '_> = Box::new(Qcow(Mutex::new(image)));
//! # assert_eq!(disk.read(1, &mut [0; 512]), Ok(()));
//! # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
//! ```
//!
//! For tasks of an asynchronous runtime, see [`aio`](aio#threads).
//!
//! # DMA and transfer limits
//!
//! Each request is for one or more whole blocks inside the device. Its buffer is one of these:
//!
//! - a part of the caller's buffer, at any address and any number of whole blocks long, for blocks
//!   that lie one after the other in the file;
//! - a part of the image's memory, for tables, partial blocks and compressed clusters.
//!
//! If a driver cannot fill every such buffer, wrap it:
//!
//! | the driver | wrapper |
//! |---|---|
//! | requires buffers that are aligned to n bytes | [`Aligned`] |
//! | cannot reach all memory by DMA | [`Bounced`] |
//! | limits the length of a request: a BIOS, USB, virtio's `seg_max` | [`Limited`] |
//! | should be read in larger blocks than its own | [`Blocks`] |
//! | has a different error type from the other devices of a chain | [`MapErr`] |
//!
//! Wrappers stack. Put [`Limited`] outside: it splits a request first, and [`Bounced`] or
//! [`Aligned`] then aligns each part. For a driver that takes at most 127 sectors, at multiples of
//! 4,096 bytes, in memory that its DMA reaches:
//!
//! ```
//! use qcow1::{Bounced, Image, Limited};
//!
//! static DRIVER: &[u8] = include_bytes!("../tests/data/plain.qcow"); // your driver
//!
//! let mut dma_memory = [0; 65_536]; // yours is a static, at an address that the DMA reaches
//! let device = Limited::new(Bounced::new(DRIVER, 4096, &mut dma_memory)?, 127 * 512);
//! let mut image = Image::open(device, [0; 4096])?;
//! image.read_at(0, &mut [0; 100_000])?;
//! # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
//! ```
//!
//! # Which adapter for which trait
//!
//! | trait or type | to read an image from it | to offer a guest's disk as it | feature |
//! |---|---|---|---|
//! | your own | implement [`BlockRead`] | call [`GuestRead::read_sectors`] | |
//! | `[u8]`, `[u8; N]` | implements [`BlockRead`] | | |
//! | `Box<D>` | implements [`BlockRead`] | implements [`GuestRead`] | `alloc` |
//! | [`std::fs::File`] | implements [`BlockRead`] | | `std` |
//! | `embedded_io::{Read, Seek}` | [`FromIo`] | [`Cursor`] | |
//! | `embedded_io::{Read, Seek, Write}` | [`FromIo`] | [`ReadOnly`] over [`Cursor`] | |
//! | `std::io::{Read, Seek}` | [`FromIo`] over embedded-io-adapters' `FromStd` | [`Cursor`] | `std` |
//! | `std::io::{Read, Seek, Write}` ([fatfs]) | [`FromIo`] over embedded-io-adapters' `FromStd` | [`ReadOnly`] over [`Cursor`] | `std` |
//! | `embedded_io_async::{Read, Seek}` | [`FromIo`] | [`Cursor`] | `embedded-io-async` |
//! | tokio's `AsyncRead + AsyncSeek` | [`FromIo`] over embedded-io-adapters' `FromTokio` | | `embedded-io-async` |
//! | `embedded_storage::ReadStorage` | [`FromStorage`] | [`ToStorage`] | `embedded-storage` |
//! | `embedded_storage::nor_flash::ReadNorFlash` | [`FromNorFlash`] | [`ToStorage`] | `embedded-storage` |
//! | `embedded_storage_async::ReadStorage` | [`FromStorage`] | [`ToStorage`] | `embedded-storage-async` |
//! | `embedded_storage_async::nor_flash::ReadNorFlash` | [`FromNorFlash`] | [`ToStorage`] | `embedded-storage-async` |
//! | [`gpt_disk_io::BlockIo`] | [`FromBlockIo`] | [`ToBlockIo`] | `gpt_disk_io` |
//! | `BlockDevice` of [embedded-sdmmc] | | [`ToBlockDevice`] | `embedded-sdmmc-types` |
//! | `block_device_driver::BlockDevice` | the example `block_device_driver` | the example `block_device_driver` | `async` |
//!
//! A [`Partition`] presents a range of a disk as a disk, for a file system crate that reads from
//! byte 0.
//!
//! [fatfs]: https://docs.rs/fatfs
//! [embedded-sdmmc]: https://docs.rs/embedded-sdmmc
//!
//! # Further examples
//!
//! - An image with its backing images, the last of them raw: [`Chain`].
//! - An encrypted image: [`Key`]. A board's AES engine: [`SectorCipher`].
//! - A disk that is either a QCOW1 image or raw: [`OpenError`], [`OpenOptions::or_raw`].
//! - A file system on the disk: with fatfs, [`ReadOnly`]; with embedded-sdmmc, [`ToBlockDevice`];
//!   in one of several partitions, [`Partition`].
//!
//! # Errors
//!
//! An [`Error`] states its cause; [`Corrupt`] also contains the place, as guest and host offsets.
//! `Display` prints a sentence for users. A `main` that returns the error prints `Debug` instead.
//!
//! After any error the image stays usable, and later calls return what they would have returned
//! without the error.
//!
//! # Bounds
//!
//! The documentation of each call states the maximum number of device reads that it makes. The
//! maximum holds for every image. For each device read that fails, a call may make 2 reads beyond
//! the maximum. No call recurses, and the stack that a call needs does not depend on the image.
//!
//! # Features
//!
//! All features are additive, and only `deflate` is on by default.
//!
//! | feature | adds |
//! |---|---|
//! | `deflate` | compressed clusters |
//! | `deflate-small` | compressed clusters with the small decoder alone: less code, but more time |
//! | `aes` | [`Key`] and [`Image::set_key`], with RustCrypto's AES |
//! | `check` | [`Image::check`], which finds flaws in an image |
//! | `alloc` | `Box<D>` as device and disk; `Vec<u8>` and `Box<[u8]>` as [`Memory`] |
//! | `std` | `alloc`; `File` as device; `std::io::{Read, Seek}` for [`Cursor`]; conversions of errors to `std::io::Error` and boxed errors |
//! | `async` | [`aio`] |
//! | `defmt` | `defmt::Format` for errors, extents and findings |
//! | the name of a crate | adapters to its traits: `embedded-io-async` 0.7, `embedded-storage` 0.3, `embedded-storage-async` 0.4, `gpt_disk_io` 0.17, `embedded-sdmmc-types` 0.1 (embedded-sdmmc 0.10) |
//!
//! Bare-metal x86-64 targets are built without SSE, so RustCrypto uses software AES there. For the
//! processor's AES instructions, enable SSE in the kernel and build with
//! `-C target-feature=+aes,+sse2,-soft-float`. For a board with an AES engine, implement
//! [`SectorCipher`].
//!
//! RustCrypto's software AES has an index that is always in range. The compiler does not see this,
//! and keeps a panic path that is never taken. `--cfg aes_backend_soft="compact"` in `RUSTFLAGS`
//! selects a smaller and slower AES, which has no panic path.
//!
//! # Compared with other readers, and when not to use this
//!
//! | | qcow1 | QEMU 7.2 | libqcow 20201213 | 7-Zip 26.02 |
//! |---|---|---|---|---|
//! | runs on | anything with `core` | a host | a host | a host |
//! | compressed clusters | yes | yes | yes | no |
//! | encrypted clusters | yes | yes | yes | no |
//! | backing files | yes | yes | no | no |
//! | tables past the end of the file | an error, or zeros on request | zeros | an error | an error |
//! | writes | no | yes | no | no |
//!
//! Use something else
//!
//! - to write, make or convert images: `qemu-img`;
//! - for QCOW versions 2 and 3, which `qemu-img` calls qcow2: [`Image::open`] returns
//!   [`Unsupported::Version`];
//! - for a file that changes while it is open: an image caches tables, and assumes that the bytes
//!   of its device stay the same;
//! - for many reads of one image at the same time: an image performs one read at a time;
//! - to keep a disk secret: QCOW1's encryption has no key derivation and no authentication.
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

// Errors, and how an image contradicts its format.
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
