//! The contents of a disk's storage.

use core::cell::Cell;

use qcow1::{Chain, Image};

use crate::device::Device;
use crate::error::Failure;

/// The size of a qcow1_disk in bytes, on each target and with any features of the library.
pub const DISK_SIZE: usize = 2560;

/// The alignment of a qcow1_disk in bytes.
pub const DISK_ALIGN: usize = 16;

/// The maximum number of images of a disk: the top one and those below it.
pub const MAX_IMAGES: usize = 4;

/// The storage of a disk. Its bytes are the library's.
///
/// The caller owns it: a static, a local, or allocated, of this type for its size and alignment. It
/// may hold anything before qcow1_open(). Every other call requires a disk in it, or zeros, for
/// which it returns QCOW1_ERROR_NOT_OPEN. A disk must not be copied or moved while it is open.
#[repr(C, align(16))]
pub struct Storage {
    bytes: [u8; DISK_SIZE],
}

impl Storage {
    pub(crate) const ZEROS: Self = Self { bytes: [0; DISK_SIZE] };
}

const _: () = assert!(size_of::<Disk>() <= size_of::<Storage>() && size_of::<Storage>() == DISK_SIZE);
const _: () = assert!(align_of::<Disk>() <= align_of::<Storage>() && align_of::<Storage>() == DISK_ALIGN);

/// The contents of the storage.
#[repr(C)]
pub(crate) struct Disk {
    state: State,
    pub(crate) images: Images,
}

/// The part of a disk that is readable while a call has its images.
#[repr(C)]
pub(crate) struct State {
    pub(crate) mark: Cell<Mark>,
    pub(crate) failure: Cell<Failure>,
}

/// The first word of a storage: whether a disk is there, and whether a call is under way.
///
/// It is the only word that is read from storage with unknown contents. So it is a number, for
/// which every value is valid.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark(usize);

/// An image and those below it.
pub(crate) type Images = Chain<Image<Device, &'static mut [u8]>, MAX_IMAGES>;

impl Disk {
    pub(crate) const fn new(address: usize) -> Self {
        Self {
            state: State {
                mark: Cell::new(Mark::idle(address)),
                failure: Cell::new(Failure::NONE),
            },
            images: Chain::new(),
        }
    }
}

impl Mark {
    /// Returns the mark of a disk at this address. It differs for each address, so a copy of a disk
    /// has a wrong one.
    pub(crate) const fn idle(address: usize) -> Self {
        Self(address ^ 0x7163_6f77)
    }

    /// Returns the mark of a disk at this address with a call under way.
    pub(crate) const fn busy(address: usize) -> Self {
        Self(!Self::idle(address).0)
    }
}
