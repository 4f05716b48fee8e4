//! Pointers from C. All `unsafe` of the repository's libraries stands here.
//!
//! Each pointer that these functions take is an argument of a call from C, or the field of one: what `qcow1.h` demands of
//! it is what the `SAFETY` lines rely on. What can be checked is checked.

use core::ffi::c_void;
use core::mem::offset_of;
use core::ops::Range;
use core::slice;

use crate::disk::{Disk, Images, State, Storage};
use crate::error::Code;

/// Returns the value that C lends for reading.
pub(crate) fn value<'a, T>(pointer: *const T) -> Result<&'a T, Code> {
    values(pointer, 1)?.first().ok_or(Code::NullPointer)
}

/// Returns the value that C lends for writing.
pub(crate) fn value_mut<'a, T>(pointer: *mut T) -> Result<&'a mut T, Code> {
    values_mut(pointer, 1)?.first_mut().ok_or(Code::NullPointer)
}

/// Returns the bytes that C lends for reading.
pub(crate) fn bytes<'a>(pointer: *const c_void, len: usize) -> Result<&'a [u8], Code> {
    values(pointer.cast(), len)
}

/// Returns the bytes that C lends for writing, unless `used` says that some of their addresses are in use.
pub(crate) fn bytes_mut<'a>(
    pointer: *mut c_void,
    len: usize,
    used: impl FnOnce(&Range<usize>) -> bool,
) -> Result<&'a mut [u8], Code> {
    let pointer = pointer.cast::<u8>();
    if used(&check(pointer, len)?) {
        return Err(Code::Overlap);
    }
    values_mut(pointer, len)
}

/// Puts a disk without images into the storage, whatever is there.
pub(crate) fn place(storage: *mut Storage) -> Result<(), Code> {
    check(storage, 1)?;
    let disk = storage.cast::<Disk>();
    // SAFETY: the pointer is aligned and not null, and C lends a `Storage` there, in which a `Disk` has room.
    unsafe { disk.write(Disk::new(storage.addr())) };
    Ok(())
}

/// Returns the state of the disk that the storage holds.
pub(crate) fn state<'a>(storage: *const Storage) -> Result<&'a State, Code> {
    check(storage, 1)?;
    // A disk begins with its mark. Without the mark, what follows is not looked at.
    if *value(storage.cast::<usize>())? == State::mark_at(storage.addr()) {
        value(storage.cast())
    } else {
        Err(Code::NotOpen)
    }
}

/// Returns the images of a disk for a look: only while its state says that no call is under way.
pub(crate) fn images<'a>(storage: *const Storage) -> Result<&'a Images, Code> {
    value(storage.wrapping_byte_add(offset_of!(Disk, images)).cast())
}

/// Returns the images of a disk: only to the call that its state says is under way.
pub(crate) fn images_mut<'a>(storage: *mut Storage) -> Result<&'a mut Images, Code> {
    value_mut(storage.wrapping_byte_add(offset_of!(Disk, images)).cast())
}

fn values<'a, T>(pointer: *const T, len: usize) -> Result<&'a [T], Code> {
    check(pointer, len)?;
    // SAFETY: the pointer is aligned and not null, and the length is one that a slice may have. C lends `len` initialized
    // values there, or `state` has found a disk by its mark. Nobody writes them for as long as `qcow1.h` says.
    Ok(unsafe { slice::from_raw_parts(pointer, len) })
}

fn values_mut<'a, T>(pointer: *mut T, len: usize) -> Result<&'a mut [T], Code> {
    check(pointer, len)?;
    // SAFETY: the pointer is aligned and not null, and the length is one that a slice may have. C lends `len` values
    // there, or a disk is there. Nobody else reads or writes them for as long as `qcow1.h` says.
    Ok(unsafe { slice::from_raw_parts_mut(pointer, len) })
}

/// Checks what can be checked of a pointer to `len` values, and returns the addresses that they take.
fn check<T>(pointer: *const T, len: usize) -> Result<Range<usize>, Code> {
    if pointer.is_null() {
        return Err(Code::NullPointer);
    }
    if !pointer.is_aligned() {
        return Err(Code::Misaligned);
    }
    if len == 0 {
        return Err(Code::ZeroLength);
    }
    let start = pointer.addr();
    len.checked_mul(size_of::<T>())
        .filter(|&bytes| isize::try_from(bytes).is_ok())
        .and_then(|bytes| start.checked_add(bytes))
        .map(|end| start..end)
        .ok_or(Code::TooLong)
}
