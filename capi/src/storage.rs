//! What a disk's storage holds.

use core::cell::Cell;

use qcow1::{Chain, Image};

use crate::device::Device;
use crate::error::Failure;

/// The size of a qcow1_disk in bytes, at most: on each target, whatever the library was built with.
pub const DISK_SIZE: usize = 2560;

/// The alignment of a qcow1_disk in bytes.
pub const DISK_ALIGN: usize = 16;

/// The most images that a disk can have: the top one and those below it.
pub const MAX_IMAGES: usize = 4;

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
    pub(crate) busy: Cell<bool>,
    pub(crate) failure: Cell<Failure>,
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
