//! The C API of qcow1. `qcow1.h` is generated from this source, so its documentation addresses C
//! programmers.
#![no_std]

#[cfg(all(feature = "aes", not(aes_backend_soft = "compact")))]
compile_error!(
    "AES would have a panic path: run cargo in the folder capi, and if RUSTFLAGS is set, which replaces the options of \
     capi/.cargo/config.toml, add `--cfg aes_backend_soft=\"compact\"` to it"
);

#[cfg(all(feature = "aes", target_os = "none", not(aes_backend = "soft")))]
compile_error!(
    "AES would have a static: run cargo in the folder capi, and if RUSTFLAGS is set, which replaces the options of \
     capi/.cargo/config.toml, add `--cfg aes_backend=\"soft\"` to it"
);

mod device;
mod disk;
mod error;
mod pointer;
mod storage;

use core::ffi::{CStr, c_char, c_int, c_void};
use core::panic::PanicInfo;

use qcow1::{BlockRead, BlockSize, ExtentKind, GuestRead, Header, Image};

use crate::device::{Device, DeviceDescription};
use crate::error::{Code, Failure, UNKNOWN};
use crate::pointer::{Lent, LentBytes};
use crate::storage::Storage;

/// Opens an image as the top one of `disk`. The storage may hold anything. A disk in it is wiped,
/// unless a call is under way for it.
///
/// `memory` is lent until qcow1_close(), or until the disk is no longer used: `memory_size` bytes
/// of any alignment. max(512, block size) bytes open every image and read its uncompressed bytes. If
/// the block size is 1, 64 bytes are enough, unless the image is encrypted. qcow1_memory_needed()
/// returns how many are enough for everything. A raw disk needs one block; if its block size is 1,
/// `memory` may be null and `memory_size` 0.
///
/// `flags` is 0, QCOW1_RAW, or any of QCOW1_SALVAGE and QCOW1_OR_RAW. `device` is copied.
///
/// Returns 0, or an error. After any error but QCOW1_ERROR_BUSY the disk has no images. After any
/// error nothing is lent.
#[unsafe(no_mangle)]
pub extern "C" fn qcow1_open(
    disk: *mut Storage,
    device: *const DeviceDescription,
    memory: *mut c_void,
    memory_size: usize,
    flags: u32,
) -> c_int {
    match pointer::place(disk) {
        Ok(()) => disk::call(disk, |images| {
            disk::push(disk, images, device, memory, memory_size, flags)
        }),
        Err(code) => code.number(),
    }
}

/// Opens the backing image of the lowest image of `disk`: holes are read from it. The rest is as
/// for qcow1_open().
///
/// The image above must name a backing file. QCOW1 does not store the format of a backing file:
/// pass QCOW1_RAW if it is a raw disk. Never guess the format from its first bytes: a guest that
/// owns a raw disk can write a QCOW header into it, which names any file of the host.
///
/// Returns 0, or an error. After an error the disk is as before, and nothing is lent.
#[unsafe(no_mangle)]
pub extern "C" fn qcow1_push(
    disk: *mut Storage,
    device: *const DeviceDescription,
    memory: *mut c_void,
    memory_size: usize,
    flags: u32,
) -> c_int {
    disk::read(disk, |images| {
        disk::push(disk, images, device, memory, memory_size, flags)
    })
}

/// Closes a disk: sets its storage to zeros, keys included. The memory is no longer lent.
///
/// Returns 0 if qcow1_open() was called for the storage since it was last closed, even if that
/// failed; else QCOW1_ERROR_NOT_OPEN or another error of misuse.
#[unsafe(no_mangle)]
pub extern "C" fn qcow1_close(disk: *mut Storage) -> c_int {
    number(pointer::wipe(disk).map_err(Failure::from))
}

/// Sets the passphrase of an image, with which its encrypted clusters are decrypted. `level` is 0
/// for the top image, 1 for the one below it.
///
/// QCOW1 uses the first 16 bytes and stores no key check: a wrong passphrase yields garbage, not an
/// error. An empty one is 16 bytes of zeros, as in QEMU.
///
/// Returns 0, or an error: QCOW1_ERROR_UNSUPPORTED_AES from a library that was built without the
/// feature aes.
#[unsafe(no_mangle)]
pub extern "C" fn qcow1_set_passphrase(
    disk: *mut Storage,
    level: u32,
    passphrase: *const c_void,
    passphrase_len: usize,
) -> c_int {
    disk::read(disk, |images| {
        let passphrase = disk::bytes(disk, images, passphrase, passphrase_len)?.values();
        let level = usize::try_from(level).map_err(|_| Code::NoSuchImage)?;
        let image = images.image_mut(level).ok_or(Code::NoSuchImage)?;
        set_passphrase(image, passphrase)
    })
}

/// Returns the size of the guest's disk in bytes: any number, not only multiples of 512; 0 if the
/// disk is not open.
#[unsafe(no_mangle)]
pub extern "C" fn qcow1_size(disk: *const Storage) -> u64 {
    disk::size(disk).unwrap_or(0)
}

/// Fills `dst` with `len` bytes of the guest's disk, starting at byte `offset`. Both may be any
/// number. If `len` is 0, `dst` may be null.
///
/// Returns 0, or an error: QCOW1_ERROR_OUT_OF_RANGE if `offset` + `len` is larger than the disk.
/// After an error the contents of `dst` are unspecified, and the call may be repeated.
#[unsafe(no_mangle)]
pub extern "C" fn qcow1_read(disk: *mut Storage, offset: u64, dst: *mut c_void, len: usize) -> c_int {
    disk::read(disk, |images| {
        let dst = disk::bytes(disk, images, dst, len)?.values_mut();
        Ok(images.read_at(offset, dst)?)
    })
}

/// How the bytes of an extent are stored.
#[repr(C)]
pub enum Kind {
    /// In the image file, byte for byte, or encrypted.
    Data,
    /// In the image file, compressed.
    Compressed,
    /// Not stored: they read as zeros.
    Zero,
    /// In the backing file that the lowest image names, which was not pushed.
    Backing,
}

impl Kind {
    #[allow(clippy::as_conversions, reason = "an enum has no other conversion to its number")]
    const fn number(self) -> u32 {
        self as u32
    }
}

/// A run of bytes of the guest's disk that are stored in the same way.
#[repr(C)]
pub struct Extent {
    /// The first byte of the run.
    pub start: u64,
    /// Its length in bytes, at least 1.
    pub len: u64,
    /// The offset of its first byte in the image file; QCOW1_UNKNOWN if it is not in a file.
    pub host_offset: u64,
    /// The length of the compressed stream in bytes; 0 for any other kind.
    pub stored_len: u32,
    /// The image that the run is stored in: 0 is the top one.
    pub level: u32,
    /// How it is stored: a qcow1_extent_kind. A number of fixed size, because compilers differ in
    /// the size of an enum.
    pub kind: u32,
}

/// Fills `dst` with `count` sectors of 512 bytes of the guest's disk, starting at sector `sector`.
/// Disk drivers make this call. If the size of the disk is not a multiple of 512, the rest of its
/// last sector is filled with zeros. No number wraps.
///
/// Returns 0, or an error: QCOW1_ERROR_OUT_OF_RANGE if a sector does not lie inside the disk. The
/// rest is as for qcow1_read().
#[unsafe(no_mangle)]
pub extern "C" fn qcow1_read_sectors(disk: *mut Storage, sector: u64, count: u64, dst: *mut c_void) -> c_int {
    disk::read(disk, |images| {
        let len = count.checked_mul(512).and_then(|len| usize::try_from(len).ok());
        let len = len.ok_or(Code::TooLong)?;
        let dst = disk::bytes(disk, images, dst, len)?.values_mut();
        Ok(images.read_sectors(sector, dst)?)
    })
}

/// Finds how the guest's bytes that start at `offset` are stored: one run of 1 to `max_len` bytes.
///
/// It reads only tables: at most 4099 table words of each image. If it stops at this limit, the next
/// run may be of the same kind.
///
/// Returns 0 and fills `extent`, or an error: QCOW1_ERROR_OUT_OF_RANGE if `offset` is past the end
/// of the disk, or `max_len` is 0.
#[unsafe(no_mangle)]
pub extern "C" fn qcow1_extent(disk: *mut Storage, offset: u64, max_len: u64, extent: *mut Extent) -> c_int {
    disk::read(disk, |images| {
        let extent = disk::lent(disk, images, extent)?;
        let (level, found) = images.extent_at(offset, max_len)?;
        let (kind, host_offset, stored_len) = match found.kind {
            ExtentKind::Data { host_offset } => (Kind::Data, host_offset, 0),
            ExtentKind::Compressed {
                host_offset,
                stored_len,
            } => (Kind::Compressed, host_offset, stored_len),
            ExtentKind::Zero => (Kind::Zero, UNKNOWN, 0),
            ExtentKind::Backing => (Kind::Backing, UNKNOWN, 0),
            _ => return Err(Code::Otherwise.into()),
        };
        extent.set(Extent {
            start: found.start,
            len: found.len,
            host_offset,
            stored_len,
            level: u32::try_from(level).unwrap_or(u32::MAX),
            kind: kind.number(),
        });
        Ok(())
    })
}

/// Reads the name of the backing file of the lowest image: the file to open and push next.
///
/// `buf` has room for `len` bytes; no name has more than 1023. If `len` is 0, `buf` may be null.
/// The name is not NUL-terminated, may contain NULs, and is untrusted: a path on the machine that
/// wrote it, relative to the image that names it.
///
/// Returns 0 and sets `*name_len` to the length of the name in bytes, which is 0 if the image names
/// no file; or an error: QCOW1_ERROR_MEMORY_TOO_SMALL if the name is longer than `len`, with its
/// length as `needed` in qcow1_last_failure().
#[unsafe(no_mangle)]
pub extern "C" fn qcow1_backing_name(disk: *mut Storage, buf: *mut c_void, len: usize, name_len: *mut usize) -> c_int {
    disk::read(disk, |images| {
        let buf = disk::bytes(disk, images, buf, len)?;
        let name_len = disk::lent(disk, images, name_len)?;
        disk::check_disjoint(&buf.addresses(), &name_len.addresses())?;
        let lowest = images.images().len().wrapping_sub(1);
        let lowest = images.image_mut(lowest).ok_or(Code::NotOpen)?;
        name_len.set(lowest.backing_name(buf.values_mut())?.map_or(0, <[u8]>::len));
        Ok(())
    })
}

/// The memory to lend to an image, in bytes of any alignment.
#[repr(C)]
pub struct MemoryNeeds {
    /// Opens the image and reads its uncompressed bytes.
    pub minimum: usize,
    /// Reads compressed clusters too.
    pub compressed: usize,
    /// Reads compressed clusters two to five times as fast.
    pub compressed_fast: usize,
    /// Has room for all tables that can exist in the file. More gains little.
    pub all_tables: usize,
}

/// Sets `*needed` to the number of bytes of memory to lend to the image on `device`: enough to read
/// everything at full speed, compressed clusters too, and at most `cache` bytes more for tables. It
/// is at least 1.
///
/// `flags` are those for qcow1_open() or qcow1_push(). The header is read with one call of
/// `device->read`, unless the disk is raw. If the blocks of the device are larger than 512 bytes,
/// nothing is read, and the memory is enough for any image. This call needs 512 bytes more stack
/// than others.
///
/// Returns 0, or an error that opening the image would also return.
#[unsafe(no_mangle)]
pub extern "C" fn qcow1_memory_needed(
    device: *const DeviceDescription,
    cache: usize,
    flags: u32,
    needed: *mut usize,
) -> c_int {
    number(memory_needed(device, cache, flags, needed))
}

/// Computes the memory for an image from the first 48 bytes of its file, the block size of its
/// device, and the size of the file, for choosing the size of static memory. qcow1_memory_needed()
/// returns one figure for a device.
///
/// `file_size` limits `all_tables`. Returns 0 and fills `needs`, or the error of an invalid header.
#[unsafe(no_mangle)]
pub extern "C" fn qcow1_memory_for(
    first_48_bytes: *const c_void,
    block_size: u32,
    file_size: u64,
    needs: *mut MemoryNeeds,
) -> c_int {
    number(memory_for(first_48_bytes, block_size, file_size, needs))
}

/// Copies the error of the last call that failed since qcow1_open(), with its offsets. A failed
/// qcow1_open() counts, QCOW1_ERROR_BUSY does not.
///
/// Returns 0 and fills `failure`, or an error of misuse, which does not count.
#[unsafe(no_mangle)]
pub extern "C" fn qcow1_last_failure(disk: *const Storage, failure: *mut Failure) -> c_int {
    number(disk::last_failure(disk.cast_mut(), failure))
}

/// Returns a sentence for the result of a call: a static string. For a positive number it only says
/// that the read callback failed.
#[unsafe(no_mangle)]
pub extern "C" fn qcow1_message(error: c_int) -> *const c_char {
    error::message(error).as_ptr()
}

/// Returns the version of the library, such as "0.1.0": a static string. QCOW1_VERSION_MAJOR,
/// QCOW1_VERSION_MINOR and QCOW1_VERSION_PATCH are the header's version.
#[unsafe(no_mangle)]
pub extern "C" fn qcow1_version() -> *const c_char {
    VERSION.as_ptr()
}

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => c"",
};

/// The version of this header, major.minor.patch: first part.
pub const VERSION_MAJOR: u32 = 0;

/// The version of this header: second part.
pub const VERSION_MINOR: u32 = 1;

/// The version of this header: third part.
pub const VERSION_PATCH: u32 = 0;

// cbindgen does not evaluate `env!`.
const _: () = assert!(
    matches!(
        u32::from_str_radix(env!("CARGO_PKG_VERSION_MAJOR"), 10),
        Ok(VERSION_MAJOR)
    ) && matches!(
        u32::from_str_radix(env!("CARGO_PKG_VERSION_MINOR"), 10),
        Ok(VERSION_MINOR)
    ) && matches!(
        u32::from_str_radix(env!("CARGO_PKG_VERSION_PATCH"), 10),
        Ok(VERSION_PATCH)
    )
);

fn number(result: Result<(), Failure>) -> c_int {
    result.map_or_else(|failure| failure.error, |()| 0)
}

fn memory_needed(
    device: *const DeviceDescription,
    cache: usize,
    flags: u32,
    needed: *mut usize,
) -> Result<(), Failure> {
    let needed = Lent::new(needed)?;
    let mut device = Device::new(Lent::new(device)?.value())?;
    let bytes = match disk::options(flags)? {
        Some(options) => options.memory_needed(&mut device, cache)?,
        None => usize::try_from(device.block_size().bytes()).unwrap_or(usize::MAX),
    };
    // Allocators may return a null pointer for 0 bytes.
    needed.set(bytes.max(1));
    Ok(())
}

fn memory_for(
    first_48_bytes: *const c_void,
    block_size: u32,
    file_size: u64,
    needs: *mut MemoryNeeds,
) -> Result<(), Failure> {
    let header = Header::parse(LentBytes::new(first_48_bytes, 48)?.values())?;
    let block_size = BlockSize::new(block_size).ok_or(Code::BlockSize)?;
    let needs = Lent::new(needs)?;
    let found = header.memory_for(block_size, file_size);
    needs.set(MemoryNeeds {
        minimum: found.minimum,
        compressed: found.compressed,
        compressed_fast: found.compressed_fast,
        all_tables: found.all_tables,
    });
    Ok(())
}

#[cfg(feature = "aes")]
fn set_passphrase(image: &mut Image<Device, &'static mut [u8]>, passphrase: &[u8]) -> Result<(), Failure> {
    image.set_key(&qcow1::Key::from_passphrase(passphrase));
    Ok(())
}

#[cfg(not(feature = "aes"))]
fn set_passphrase(_: &mut Image<Device, &'static mut [u8]>, _: &[u8]) -> Result<(), Failure> {
    Err(Code::UnsupportedAes.into())
}

/// The library never panics, as `prove.sh` shows, but a debug build does not link without a panic
/// handler.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    #[cfg(feature = "proof")]
    {
        unsafe extern "C" {
            safe fn a_panic_path_is_left() -> !;
        }
        a_panic_path_is_left()
    }
    #[cfg(not(feature = "proof"))]
    loop {}
}

/// A control: the proof must fail if this is linked.
#[cfg(feature = "unchecked-index")]
#[allow(clippy::indexing_slicing, reason = "the proof must refuse to link this")]
#[unsafe(no_mangle)]
pub extern "C" fn unchecked_index(at: usize) -> u8 {
    b"qcow1"[at]
}
