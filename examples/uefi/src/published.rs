//! A guest's disk as a block device that the firmware can read.

use core::cell::{Cell, RefCell};
use core::ffi::c_void;
use core::ptr::NonNull;

use qcow1::{Error, GuestRead};
use uefi::proto::device_path::DevicePath;
use uefi::proto::media::block::BlockIO;
use uefi::{Guid, Handle, Identify, Status, boot, guid};
use uefi_raw::Boolean;
use uefi_raw::protocol::block::{BlockIoMedia, BlockIoProtocol};

use crate::firmware::{free, pages, print};

/// A guest's disk that the firmware has as a block device.
pub struct Published<G>(NonNull<Interface<G>>);

/// What the firmware has the address of.
#[repr(C)]
struct Interface<G> {
    /// The protocol for the firmware. It is the first field, so that its address is that of the struct.
    protocol: BlockIoProtocol,
    media: BlockIoMedia,
    path: &'static mut [u8],
    guest: RefCell<G>,
    /// The program's name, for its output.
    program: &'static str,
    has_failed: Cell<bool>,
}

/// The size of the blocks that the firmware sees.
const SECTOR: usize = 512;

const MEDIA_ID: u32 = 0;

/// The device path of the guest's disk: a vendor's node, with a GUID that was generated for this package, and the end
/// node.
const PATH: [u8; 24] = {
    const NODE: [u8; 4] = [0x01, 0x04, 20, 0];
    const END: [u8; 4] = [0x7f, 0xff, 4, 0];
    const VENDOR: Guid = guid!("b0f4a2c6-51d3-4e0b-9a57-7163f00d0c01");
    let mut path = [0; 24];
    path.split_at_mut(4).0.copy_from_slice(&NODE);
    path.split_at_mut(4)
        .1
        .split_at_mut(16)
        .0
        .copy_from_slice(&VENDOR.to_bytes());
    path.split_at_mut(20).1.copy_from_slice(&END);
    path
};

/// Adds the guest's disk to the firmware as a read-only block device, with the device path of a vendor's own device.
///
/// The first read that fails prints its cause in a line that begins with the name of the program, because the firmware
/// tells its users only that a read failed.
pub fn publish<G: GuestRead>(program: &'static str, guest: G) -> uefi::Result<(Published<G>, Handle)> {
    let path = pages(PATH.len())?;
    path.copy_from_slice(&PATH);
    let path_start = path.as_ptr();
    let place = pages(size_of::<Interface<G>>())?.as_mut_ptr().cast::<Interface<G>>();
    let media = BlockIoMedia {
        media_id: MEDIA_ID,
        removable_media: Boolean::FALSE,
        media_present: Boolean::TRUE,
        logical_partition: Boolean::FALSE,
        read_only: Boolean::TRUE,
        write_caching: Boolean::FALSE,
        block_size: SECTOR as u32,
        io_align: 0,
        // If the disk ends inside a sector, the rest of the sector reads as zeros.
        last_block: guest.size().div_ceil(SECTOR as u64).saturating_sub(1),
        lowest_aligned_lba: 0,
        logical_blocks_per_physical_block: 0,
        optimal_transfer_length_granularity: 0,
    };
    // SAFETY: the pages are large enough for the value, aligned for it and unshared. `withdraw` frees them, after the
    // firmware has released them. The protocol's pointer to its medium points into the same value, which is never moved.
    unsafe {
        place.write(Interface {
            protocol: BlockIoProtocol {
                revision: BlockIoProtocol::REVISION,
                media: &raw const (*place).media,
                reset,
                read_blocks: read_blocks::<G>,
                write_blocks,
                flush_blocks,
            },
            media,
            path,
            guest: RefCell::new(guest),
            program,
            has_failed: Cell::new(false),
        });
    }
    // SAFETY: each interface has the type of its GUID, and lives until it is uninstalled. The path is installed first, so
    // that the handle has both when drivers look at the disk.
    let handle = unsafe {
        let handle = boot::install_protocol_interface(None, &DevicePath::GUID, path_start.cast::<c_void>())?;
        boot::install_protocol_interface(Some(handle), &BlockIO::GUID, place.cast::<c_void>())?
    };
    let place = NonNull::new(place).ok_or(Status::OUT_OF_RESOURCES)?;
    Ok((Published(place), handle))
}

impl<G> Published<G> {
    /// Removes the disk with this handle from the firmware, wipes the memory that it was in, and returns it.
    pub fn withdraw(self, handle: Handle) -> uefi::Result<G> {
        let place = self.0.as_ptr();
        // The drivers of the disk are stopped first. If one does not stop, the next call fails.
        let _ = boot::disconnect_controller(handle, None, None);
        // SAFETY: these are the interfaces that `publish` installed, and the value that it wrote. After the firmware has
        // released both, nothing refers to the value, and its pages can be freed.
        unsafe {
            let path = (*place).path.as_ptr();
            boot::uninstall_protocol_interface(handle, &BlockIO::GUID, place.cast::<c_void>())?;
            boot::uninstall_protocol_interface(handle, &DevicePath::GUID, path.cast::<c_void>())?;
            let Interface { guest, path, .. } = place.read();
            free(path);
            free(core::slice::from_raw_parts_mut(place.cast(), size_of::<Interface<G>>()));
            Ok(guest.into_inner())
        }
    }
}

impl<G: GuestRead> Interface<G> {
    fn read(&self, lba: u64, buf: &mut [u8]) -> Status {
        // A read inside another read, from a driver's timer, is refused. The firmware's own drivers do not do that.
        let Ok(mut guest) = self.guest.try_borrow_mut() else {
            return Status::DEVICE_ERROR;
        };
        match guest.read_sectors(lba, buf) {
            Ok(()) => Status::SUCCESS,
            Err(Error::OutOfRange) => Status::INVALID_PARAMETER,
            Err(error) => {
                if !self.has_failed.replace(true) {
                    print(format_args!("{}: {error}", self.program));
                }
                Status::DEVICE_ERROR
            }
        }
    }
}

unsafe extern "efiapi" fn read_blocks<G: GuestRead>(
    this: *const BlockIoProtocol,
    media_id: u32,
    lba: u64,
    buffer_size: usize,
    buffer: *mut c_void,
) -> Status {
    // SAFETY: the firmware passes the address that `publish` installed, which is that of the whole value.
    let this = unsafe { &*this.cast::<Interface<G>>() };
    if media_id != MEDIA_ID {
        return Status::MEDIA_CHANGED;
    }
    if buffer_size == 0 {
        return Status::SUCCESS;
    }
    if buffer_size % SECTOR != 0 {
        return Status::BAD_BUFFER_SIZE;
    }
    if buffer.is_null() {
        return Status::INVALID_PARAMETER;
    }
    // SAFETY: the caller lends `buffer_size` bytes for the duration of this call. They are zeroed, because the caller
    // may not have initialized them.
    let buf = unsafe {
        buffer.write_bytes(0, buffer_size);
        core::slice::from_raw_parts_mut(buffer.cast::<u8>(), buffer_size)
    };
    this.read(lba, buf)
}

unsafe extern "efiapi" fn reset(_: *mut BlockIoProtocol, _: Boolean) -> Status {
    Status::SUCCESS
}

unsafe extern "efiapi" fn write_blocks(_: *mut BlockIoProtocol, _: u32, _: u64, _: usize, _: *const c_void) -> Status {
    Status::WRITE_PROTECTED
}

unsafe extern "efiapi" fn flush_blocks(_: *mut BlockIoProtocol) -> Status {
    Status::SUCCESS
}
