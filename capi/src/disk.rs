//! Calls for a disk.

use core::ffi::{c_int, c_void};
use core::ops::Range;

use qcow1::{Image, OpenError, OpenOptions};

use crate::device::{Device, DeviceDescription};
use crate::error::{Code, Failure};
use crate::pointer::{self, Lent, LentBytes};
use crate::storage::{DISK_SIZE, Images, Mark, State, Storage};

/// The image is a raw disk and is never probed. Pass it only if the user says so. Cannot be
/// combined with other flags.
pub const RAW: u32 = 1;

/// Bytes past the end of the file, tables included, read as zeros, as QEMU reads them. Without it
/// they are an error.
pub const SALVAGE: u32 = 2;

/// A disk that does not begin with QCOW's magic number, or that has fewer than 8 bytes, is opened as
/// a raw disk. So its first bytes choose its format: pass this flag only on a machine whose owner
/// wrote its disks, and that opens no file that an image names.
pub const OR_RAW: u32 = 4;

/// Runs a call that needs an image, and stores its error for qcow1_last_failure().
pub(crate) fn read(storage: *mut Storage, call: impl FnOnce(&mut Images) -> Result<(), Failure>) -> c_int {
    self::call(storage, |images| match images.images() {
        [] => Err(Code::NotOpen.into()),
        _ => call(images),
    })
}

/// Runs a call, and stores its error for qcow1_last_failure().
pub(crate) fn call(storage: *mut Storage, call: impl FnOnce(&mut Images) -> Result<(), Failure>) -> c_int {
    let state = match pointer::state(storage) {
        Ok(state) => state,
        Err(code) => return code.number(),
    };
    let Err(failure) = run_exclusively(storage, state, call) else {
        return 0;
    };
    state.failure.set(failure);
    failure.error
}

/// Copies the error of the last call that failed.
pub(crate) fn last_failure(storage: *mut Storage, failure: *mut Failure) -> Result<(), Failure> {
    let state = pointer::state(storage)?;
    run_exclusively(storage, state, |images| {
        lent(storage, images, failure)?.set(state.failure.get());
        Ok(())
    })
}

/// Runs a call. Meanwhile the mark says that one is under way, so `&mut` is unique. Fails if one is
/// under way already.
fn run_exclusively(
    storage: *mut Storage,
    state: &State,
    call: impl FnOnce(&mut Images) -> Result<(), Failure>,
) -> Result<(), Failure> {
    state.mark.set(Mark::busy(storage.addr()));
    let result = pointer::images_mut(storage).map_err(Failure::from).and_then(call);
    state.mark.set(Mark::idle(storage.addr()));
    result
}

/// Returns the size of the guest's disk in bytes: 0 without an image.
pub(crate) fn size(storage: *const Storage) -> Result<u64, Code> {
    pointer::state(storage)?;
    Ok(pointer::images(storage)?.size())
}

/// Opens an image as the new bottom image.
pub(crate) fn push(
    storage: *mut Storage,
    images: &mut Images,
    device: *const DeviceDescription,
    memory: *mut c_void,
    memory_size: usize,
    flags: u32,
) -> Result<(), Failure> {
    let options = options(flags)?;
    // Copied before the memory is lent, because the description may lie in that memory.
    let device = Device::new(lent(storage, images, device)?.value())?;
    let memory = bytes(storage, images, memory, memory_size)?.values_mut();
    let device = device.with_memory(memory);
    let image = match options {
        Some(options) => Image::open_with(options, device, memory),
        None => Image::open_raw(device, memory),
    };
    Ok(images.push(image.map_err(OpenError::into_error)?)?)
}

/// Returns the bytes that C lends at a pointer. Fails if the disk uses them.
pub(crate) fn bytes(
    storage: *const Storage,
    images: &mut Images,
    pointer: *const c_void,
    len: usize,
) -> Result<LentBytes, Code> {
    let lent = LentBytes::new(pointer, len)?;
    check_unused(storage, images, &lent.addresses())?;
    Ok(lent)
}

/// Returns the value that C lends at a pointer. Fails if the disk uses its bytes.
pub(crate) fn lent<T>(storage: *const Storage, images: &mut Images, pointer: *const T) -> Result<Lent<T>, Code> {
    let lent = Lent::new(pointer)?;
    check_unused(storage, images, &lent.addresses())?;
    Ok(lent)
}

/// Fails if the range overlaps the disk itself or memory that is lent to its images.
fn check_unused(storage: *const Storage, images: &mut Images, addresses: &Range<usize>) -> Result<(), Code> {
    let own = storage.addr();
    check_disjoint(&(own..own.saturating_add(DISK_SIZE)), addresses)?;
    // Bound: a disk has at most MAX_IMAGES images.
    let mut level = 0_usize;
    while let Some(image) = images.image_mut(level) {
        check_disjoint(&image.device_mut().memory, addresses)?;
        level = level.wrapping_add(1);
    }
    Ok(())
}

/// Fails if two ranges of addresses overlap.
pub(crate) fn check_disjoint(one: &Range<usize>, other: &Range<usize>) -> Result<(), Code> {
    if one.start < other.end && other.start < one.end {
        return Err(Code::Overlap);
    }
    Ok(())
}

/// Returns the options for an image, or `None` for a raw disk.
pub(crate) fn options(flags: u32) -> Result<Option<OpenOptions>, Code> {
    if flags == RAW {
        return Ok(None);
    }
    if flags & !(SALVAGE | OR_RAW) != 0 {
        return Err(Code::InvalidFlags);
    }
    let options = OpenOptions::new()
        .salvage(flags & SALVAGE != 0)
        .or_raw(flags & OR_RAW != 0);
    Ok(Some(options))
}
