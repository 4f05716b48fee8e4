//! Pointers from C. All `unsafe` of the repository's libraries lives here.
//!
//! Each pointer that these functions take is an argument of a call from C, or the field of one. The
//! `SAFETY` lines rely on the requirements that `qcow1.h` states.

use core::ffi::c_void;
use core::mem::offset_of;
use core::ops::Range;
use core::{ptr, slice};

use crate::error::Code;
use crate::storage::{Disk, Images, Mark, State, Storage};

/// A value that C lends, by a pointer that is checked as far as possible: not null, and aligned.
pub(crate) struct Lent<T>(*mut T);

impl<T> Lent<T> {
    pub(crate) fn new(pointer: *const T) -> Result<Self, Code> {
        if pointer.is_null() {
            return Err(Code::NullPointer);
        }
        if !pointer.is_aligned() {
            return Err(Code::Misaligned);
        }
        Ok(Self(pointer.cast_mut()))
    }

    /// Returns the addresses of the value.
    pub(crate) fn addresses(&self) -> Range<usize> {
        addresses(self.0, size_of::<T>())
    }

    /// Returns the value for reading.
    pub(crate) fn value<'a>(self) -> &'a T {
        // SAFETY: the pointer is aligned and not null. C lends an initialized value there, or
        // `state` has found a disk by its mark. Nobody writes it while `qcow1.h` forbids that.
        unsafe { &*self.0 }
    }

    /// Returns the value for writing.
    fn value_mut<'a>(self) -> &'a mut T {
        // SAFETY: as above, and nobody else reads it either.
        unsafe { &mut *self.0 }
    }

    /// Writes the value without a reference, because the old bytes need not be a valid value.
    pub(crate) fn set(self, value: T) {
        // SAFETY: the pointer is aligned and not null. C lends a `T` there, or a `Storage`, in
        // which a `Disk` has room.
        unsafe { self.0.write(value) };
    }
}

/// Bytes that C lends, by a pointer and a length that are checked as far as possible. If the length
/// is 0, the pointer may be null.
pub(crate) struct LentBytes {
    start: *mut u8,
    len: usize,
}

impl LentBytes {
    pub(crate) fn new(pointer: *const c_void, len: usize) -> Result<Self, Code> {
        let start = if len == 0 {
            ptr::dangling_mut()
        } else {
            Lent::<u8>::new(pointer.cast())?.0
        };
        // A slice has at most `isize::MAX` bytes, and does not wrap around the address space.
        if isize::try_from(len).is_err() || start.addr().checked_add(len).is_none() {
            return Err(Code::TooLong);
        }
        Ok(Self { start, len })
    }

    /// Returns the addresses of the bytes.
    pub(crate) fn addresses(&self) -> Range<usize> {
        addresses(self.start, self.len)
    }

    /// Returns the bytes for reading.
    pub(crate) fn values<'a>(self) -> &'a [u8] {
        // SAFETY: the pointer is not null, and a slice may have this length. C lends initialized
        // bytes there. Nobody writes them while `qcow1.h` forbids that.
        unsafe { slice::from_raw_parts(self.start, self.len) }
    }

    /// Returns the bytes for writing.
    pub(crate) fn values_mut<'a>(self) -> &'a mut [u8] {
        // SAFETY: as above, and nobody else reads them either.
        unsafe { slice::from_raw_parts_mut(self.start, self.len) }
    }
}

fn addresses<T>(pointer: *const T, bytes: usize) -> Range<usize> {
    pointer.addr()..pointer.wrapping_byte_add(bytes).addr()
}

/// Wipes the storage and places a disk without images there. Fails if a call is under way for a
/// disk in it.
pub(crate) fn place(storage: *mut Storage) -> Result<(), Code> {
    match state(storage) {
        // Storage that was never opened, or was moved, may hold anything.
        Ok(_) | Err(Code::NotOpen) => {}
        Err(code) => return Err(code),
    }
    // If the disk was open, this wipes its keys.
    Lent::new(storage)?.set(Storage::ZEROS);
    Lent::new(storage.cast())?.set(Disk::new(storage.addr()));
    Ok(())
}

/// Sets a disk's storage to zeros.
///
/// The images are not dropped: they own nothing but bytes of the storage, and taking them out would
/// copy their keys.
pub(crate) fn wipe(storage: *mut Storage) -> Result<(), Code> {
    state(storage)?;
    Lent::new(storage)?.set(Storage::ZEROS);
    Ok(())
}

/// Returns the state of the disk that the storage holds, if no call is under way for it.
pub(crate) fn state<'a>(storage: *const Storage) -> Result<&'a State, Code> {
    Lent::new(storage)?;
    // Without the mark, the rest is not read.
    let mark = *Lent::new(storage.cast::<Mark>())?.value();
    if mark == Mark::idle(storage.addr()) {
        Ok(Lent::new(storage.cast())?.value())
    } else if mark == Mark::busy(storage.addr()) {
        Err(Code::Busy)
    } else {
        Err(Code::NotOpen)
    }
}

/// Returns the images of a disk for shared access, only while its mark says that no call is under
/// way.
pub(crate) fn images<'a>(storage: *const Storage) -> Result<&'a Images, Code> {
    Ok(images_at(storage)?.value())
}

/// Returns the images of a disk, only to the call that its mark says is under way.
pub(crate) fn images_mut<'a>(storage: *mut Storage) -> Result<&'a mut Images, Code> {
    Ok(images_at(storage)?.value_mut())
}

fn images_at(storage: *const Storage) -> Result<Lent<Images>, Code> {
    Lent::new(storage.wrapping_byte_add(offset_of!(Disk, images)).cast())
}
