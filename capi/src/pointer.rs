//! Pointers from C. All `unsafe` of the repository's libraries stands here.
//!
//! Each pointer that these functions take is an argument of a call from C, or the field of one: what `qcow1.h` demands of
//! it is what the `SAFETY` lines rely on. What can be checked is checked.

use core::mem::offset_of;
use core::ops::Range;
use core::slice;

use crate::error::Code;
use crate::storage::{Disk, Images, Mark, State, Storage};

/// Values that C lends: a pointer to them in which nothing is wrong that can be seen.
pub(crate) struct Lent<T> {
    pointer: *mut T,
    len: usize,
}

impl<T> Lent<T> {
    pub(crate) fn new(pointer: *const T, len: usize) -> Result<Self, Code> {
        if pointer.is_null() {
            return Err(Code::NullPointer);
        }
        if !pointer.is_aligned() {
            return Err(Code::Misaligned);
        }
        if len == 0 {
            return Err(Code::ZeroLength);
        }
        // A slice has at most `isize::MAX` bytes, and does not wrap around the address space.
        len.checked_mul(size_of::<T>())
            .filter(|&bytes| isize::try_from(bytes).is_ok())
            .and_then(|bytes| pointer.addr().checked_add(bytes))
            .map(|_| Self {
                pointer: pointer.cast_mut(),
                len,
            })
            .ok_or(Code::TooLong)
    }

    /// Returns the addresses that the values take.
    pub(crate) fn addresses(&self) -> Range<usize> {
        self.pointer.addr()..self.pointer.wrapping_add(self.len).addr()
    }

    /// Returns the first of the values for reading.
    pub(crate) fn value<'a>(self) -> Result<&'a T, Code> {
        self.values().first().ok_or(Code::ZeroLength)
    }

    /// Returns the values for reading.
    pub(crate) fn values<'a>(self) -> &'a [T] {
        // SAFETY: the pointer is aligned and not null, and the length is one that a slice may have. C lends initialized
        // values there, or `state` has found a disk by its mark. Nobody writes them for as long as `qcow1.h` says.
        unsafe { slice::from_raw_parts(self.pointer, self.len) }
    }

    /// Returns the values for writing.
    pub(crate) fn values_mut<'a>(self) -> &'a mut [T] {
        // SAFETY: the pointer is aligned and not null, and the length is one that a slice may have. C lends values there,
        // or a disk is there. Nobody else reads or writes them for as long as `qcow1.h` says.
        unsafe { slice::from_raw_parts_mut(self.pointer, self.len) }
    }

    /// Writes the first of the values, without a reference: what C has there need not be a value of the type.
    pub(crate) fn set(self, value: T) {
        // SAFETY: the pointer is aligned and not null. C lends a `T` there, or a `Storage`, in which a `Disk` has room.
        unsafe { self.pointer.write(value) };
    }
}

/// Wipes the storage and puts a disk without images there, whatever it holds but a disk with a call under way.
pub(crate) fn place(storage: *mut Storage) -> Result<(), Code> {
    match state(storage) {
        // Storage that was not opened, or was opened at another address, may hold anything.
        Ok(_) | Err(Code::NotOpen) => {}
        Err(code) => return Err(code),
    }
    // The keys of a disk that is opened again without being closed.
    Lent::new(storage, 1)?.set(Storage::ZEROS);
    Lent::new(storage.cast(), 1)?.set(Disk::new(storage.addr()));
    Ok(())
}

/// Sets a disk's storage to zeros.
///
/// The images are not dropped: they own nothing but bytes of the storage, and taking them out would copy their keys.
pub(crate) fn wipe(storage: *mut Storage) -> Result<(), Code> {
    state(storage)?;
    Lent::new(storage, 1)?.set(Storage::ZEROS);
    Ok(())
}

/// Returns the state of the disk that the storage holds, if no call is under way for it.
pub(crate) fn state<'a>(storage: *const Storage) -> Result<&'a State, Code> {
    Lent::new(storage, 1)?;
    // Without the mark, what follows it is not looked at.
    let mark = *Lent::new(storage.cast::<Mark>(), 1)?.value()?;
    if mark == Mark::idle(storage.addr()) {
        Lent::new(storage.cast(), 1)?.value()
    } else if mark == Mark::busy(storage.addr()) {
        Err(Code::Busy)
    } else {
        Err(Code::NotOpen)
    }
}

/// Returns the images of a disk for a look: only while its state says that no call is under way.
pub(crate) fn images<'a>(storage: *const Storage) -> Result<&'a Images, Code> {
    images_at(storage)?.value()
}

/// Returns the images of a disk: only to the call that its state says is under way.
pub(crate) fn images_mut<'a>(storage: *mut Storage) -> Result<&'a mut Images, Code> {
    images_at(storage)?.values_mut().first_mut().ok_or(Code::ZeroLength)
}

fn images_at(storage: *const Storage) -> Result<Lent<Images>, Code> {
    Lent::new(storage.wrapping_byte_add(offset_of!(Disk, images)).cast(), 1)
}
