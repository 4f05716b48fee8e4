//! What a disk's storage holds.

use core::cell::Cell;
use core::ffi::{c_int, c_void};
use core::ops::Range;

use qcow1::{Chain, Error, Image, OpenError, OpenOptions, XenL1};

use crate::device::{Device, DeviceDescription, DeviceError};
use crate::error::{Code, Failure};
use crate::pointer::{self, Lent};

/// The size of a qcow1_disk in bytes, at most: on each target, whatever the library was built with.
pub const DISK_SIZE: usize = 2560;

/// The alignment of a qcow1_disk in bytes.
pub const DISK_ALIGN: usize = 16;

/// The most images that a disk can have: the top one and those below it.
pub const MAX_IMAGES: usize = 4;

/// The image is a raw disk, which is never probed: only where whoever gives the image says so. Stands alone.
pub const RAW: u32 = 1;

/// What lies past the end of the file reads as zeros, tables included, as QEMU reads it. Without it that is an error.
pub const SALVAGE: u32 = 2;

/// The L1 table is big-endian even if the extension that Xen's tapdisk writes says that it is not.
pub const XEN_L1_BIG_ENDIAN: u32 = 4;

/// A disk without QCOW's magic number is opened as a raw disk. Its first bytes then choose its format: only for a machine
/// whose disks are its own, and where no file is opened that an image names.
pub const OR_RAW: u32 = 8;

/// The storage of a disk. Its bytes are the library's.
///
/// The caller owns it: a static, a local, or allocated, of this type for its size and alignment. Set it to zeros before
/// the first call, so that a call without qcow1_open() is noticed. It must not be copied or moved while it is open.
#[repr(C, align(16))]
pub struct Storage {
    bytes: [u8; DISK_SIZE],
}

impl Storage {
    pub(crate) const ZEROS: Self = Self { bytes: [0; DISK_SIZE] };
}

const _: () = assert!(size_of::<Disk>() <= size_of::<Storage>() && size_of::<Storage>() == DISK_SIZE);
const _: () = assert!(align_of::<Disk>() <= align_of::<Storage>() && align_of::<Storage>() == DISK_ALIGN);

/// What the storage holds.
#[repr(C)]
pub(crate) struct Disk {
    state: State,
    pub(crate) images: Images,
}

/// What is known of a disk while a call has its images.
#[repr(C)]
pub(crate) struct State {
    /// That this is a disk, at its own address.
    mark: usize,
    /// A call is under way, so that another one comes from the read callback.
    busy: Cell<bool>,
    failure: Cell<Failure>,
}

/// An image and those below it.
pub(crate) type Images = Chain<Image<Device, &'static mut [u8]>, MAX_IMAGES>;

impl Disk {
    pub(crate) const fn new(address: usize) -> Self {
        Self {
            state: State {
                mark: State::mark_at(address),
                busy: Cell::new(false),
                failure: Cell::new(Failure::NONE),
            },
            images: Chain::new(),
        }
    }
}

impl State {
    /// Returns the mark of a disk at this address: no other address has it, so a copy of a disk is none.
    pub(crate) const fn mark_at(address: usize) -> usize {
        address ^ 0x7163_6f77
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.busy.get()
    }
}

/// Makes a call that needs an image, and keeps what it fails with.
pub(crate) fn read(storage: *mut Storage, call: impl FnOnce(&mut Images) -> Result<(), Failure>) -> c_int {
    self::call(storage, |images| match images.images() {
        [] => Err(Code::NotOpen.into()),
        _ => call(images),
    })
}

/// Makes a call, and keeps what it fails with.
pub(crate) fn call(storage: *mut Storage, call: impl FnOnce(&mut Images) -> Result<(), Failure>) -> c_int {
    let state = match pointer::state(storage) {
        Ok(state) => state,
        Err(code) => return code.number(),
    };
    let Err(failure) = alone(storage, state, call) else {
        return 0;
    };
    state.failure.set(failure);
    failure.error
}

/// Copies what the last call has failed with.
pub(crate) fn last_failure(storage: *mut Storage, failure: *mut Failure) -> Result<(), Failure> {
    let state = pointer::state(storage)?;
    alone(storage, state, |images| {
        lent(storage, images, failure, 1)?.set(state.failure.get());
        Ok(())
    })
}

/// Makes a call while no other is under way: only then does nobody else have the images.
fn alone(
    storage: *mut Storage,
    state: &State,
    call: impl FnOnce(&mut Images) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if state.busy.replace(true) {
        return Err(Code::Busy.into());
    }
    let result = pointer::images_mut(storage).map_err(Failure::from).and_then(call);
    state.busy.set(false);
    result
}

/// Returns the size of the guest's disk: 0 without an image, or in a call of the read callback.
pub(crate) fn size(storage: *const Storage) -> Result<u64, Code> {
    if pointer::state(storage)?.is_busy() {
        return Err(Code::Busy);
    }
    Ok(pointer::images(storage)?.size())
}

/// Opens an image below those that are there.
pub(crate) fn push(
    storage: *mut Storage,
    images: &mut Images,
    device: *const DeviceDescription,
    memory: *mut c_void,
    memory_size: usize,
    flags: u32,
) -> Result<(), Failure> {
    let options = options(flags)?;
    // Copied before the memory is lent, since C may have it there.
    let device = Device::new(lent(storage, images, device, 1)?.value()?)?;
    let memory = match memory_size {
        // Enough for a raw disk whose blocks are bytes.
        0 => &mut [],
        _ => bytes(storage, images, memory, memory_size)?.values_mut(),
    };
    let device = device.with_memory(memory);
    let image = match options {
        Some(options) => options.open(device, memory),
        None => Image::open_raw(device, memory),
    };
    let image = image.map_err(OpenError::into_error)?;
    images
        .push(image)
        .map_err(|error| Error::<DeviceError>::from(error).into())
}

/// Returns the bytes that C lends at a pointer, which the disk must not use.
pub(crate) fn bytes(
    storage: *const Storage,
    images: &mut Images,
    pointer: *const c_void,
    len: usize,
) -> Result<Lent<u8>, Code> {
    lent(storage, images, pointer.cast(), len)
}

/// Returns the values that C lends at a pointer, which the disk must not use.
pub(crate) fn lent<T>(
    storage: *const Storage,
    images: &mut Images,
    pointer: *const T,
    len: usize,
) -> Result<Lent<T>, Code> {
    let lent = Lent::new(pointer, len)?;
    if uses(storage, images, &lent.addresses()) {
        return Err(Code::Overlap);
    }
    Ok(lent)
}

/// Returns whether some of the addresses are those of the disk itself, or of memory lent to its images.
fn uses(storage: *const Storage, images: &mut Images, addresses: &Range<usize>) -> bool {
    let overlaps = |used: &Range<usize>| used.start < addresses.end && addresses.start < used.end;
    let own = storage.addr();
    overlaps(&(own..own.saturating_add(DISK_SIZE)))
        || images
            .images_mut()
            .iter_mut()
            .any(|image| overlaps(&image.device_mut().memory))
}

/// Returns how an image is opened; `None` for a raw disk.
fn options(flags: u32) -> Result<Option<OpenOptions>, Code> {
    if flags == RAW {
        return Ok(None);
    }
    if flags & !(SALVAGE | XEN_L1_BIG_ENDIAN | OR_RAW) != 0 {
        return Err(Code::InvalidFlags);
    }
    let xen_l1 = match flags & XEN_L1_BIG_ENDIAN {
        0 => XenL1::Detect,
        _ => XenL1::BigEndian,
    };
    let options = OpenOptions::new()
        .salvage(flags & SALVAGE != 0)
        .or_raw(flags & OR_RAW != 0);
    Ok(Some(options.xen_l1(xen_l1)))
}
