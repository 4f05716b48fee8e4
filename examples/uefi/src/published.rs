//! A guest's disk as a block device that the firmware can read.

use core::cell::{Cell, RefCell};
use core::ffi::c_void;

use qcow1::{Error, GuestRead};
use uefi::proto::device_path::DevicePath;
use uefi::proto::media::block::BlockIO;
use uefi::{Guid, Handle, Identify, Status, boot, guid};
use uefi_raw::Boolean;
use uefi_raw::protocol::block::{BlockIoMedia, BlockIoProtocol};

use crate::firmware::pages;

/// A guest's disk that the firmware has as a block device. It is never dropped, because the firmware has its address.
#[repr(C)]
pub struct Published<G: GuestRead> {
    /// The protocol for the firmware. It is the first field, so that its address is that of the struct.
    protocol: BlockIoProtocol,
    media: BlockIoMedia,
    guest: RefCell<G>,
    handle: Cell<Option<Handle>>,
    fault: Cell<Option<Error<G::Error>>>,
}

/// The size of the blocks that the firmware sees.
const SECTOR: usize = 512;

const MEDIA_ID: u32 = 0;

/// The device path of the guest's disk: a vendor's node, with a GUID that was generated for this program, and the end
/// node.
static PATH: [u8; 24] = {
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
pub fn publish<G: GuestRead<Error: Copy> + 'static>(guest: G) -> uefi::Result<&'static Published<G>> {
    let memory = pages(size_of::<Published<G>>())?;
    let place = memory.as_mut_ptr().cast::<Published<G>>();
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
    // SAFETY: the pages are large enough for the value, aligned for it, unshared and never freed. The protocol's
    // pointer to its medium points into the same value, which is never moved.
    let this: &'static Published<G> = unsafe {
        place.write(Published {
            protocol: BlockIoProtocol {
                revision: BlockIoProtocol::REVISION,
                media: &raw const (*place).media,
                reset,
                read_blocks: read_blocks::<G>,
                write_blocks,
                flush_blocks,
            },
            media,
            guest: RefCell::new(guest),
            handle: Cell::new(None),
            fault: Cell::new(None),
        });
        &*place
    };
    // SAFETY: each interface has the type of its GUID, and lives for ever. The path is installed first, so that the
    // handle has both when drivers look at the disk.
    let handle = unsafe {
        let handle = boot::install_protocol_interface(None, &DevicePath::GUID, (&raw const PATH).cast::<c_void>())?;
        boot::install_protocol_interface(Some(handle), &BlockIO::GUID, place.cast::<c_void>())?
    };
    this.handle.set(Some(handle));
    Ok(this)
}

impl<G: GuestRead<Error: Copy>> Published<G> {
    /// The handle of the block device.
    pub fn handle(&self) -> Handle {
        // It is set before this value is visible to others.
        self.handle.get().unwrap_or(boot::image_handle())
    }

    /// Removes the disk from the firmware, and returns the error of a failed read, if there was one.
    pub fn withdraw(&'static self) -> uefi::Result<Option<Error<G::Error>>> {
        let handle = self.handle();
        // The drivers of the disk are stopped first. If one does not stop, the next call fails.
        let _ = boot::disconnect_controller(handle, None, None);
        let disk: *const Self = self;
        // SAFETY: these are the interfaces that `publish` installed. Their memory is never freed, so late accesses are
        // safe.
        unsafe {
            boot::uninstall_protocol_interface(handle, &BlockIO::GUID, disk.cast::<c_void>())?;
            boot::uninstall_protocol_interface(handle, &DevicePath::GUID, (&raw const PATH).cast::<c_void>())?;
        }
        Ok(self.fault.get())
    }

    fn read(&self, lba: u64, buf: &mut [u8]) -> Status {
        // A read inside another read, from a driver's timer, is refused. The firmware's own drivers do not do that.
        let Ok(mut guest) = self.guest.try_borrow_mut() else {
            return Status::DEVICE_ERROR;
        };
        match guest.read_sectors(lba, buf) {
            Ok(()) => Status::SUCCESS,
            Err(Error::OutOfRange) => Status::INVALID_PARAMETER,
            Err(error) => {
                self.fault.set(Some(error));
                Status::DEVICE_ERROR
            }
        }
    }
}

unsafe extern "efiapi" fn read_blocks<G: GuestRead<Error: Copy>>(
    this: *const BlockIoProtocol,
    media_id: u32,
    lba: u64,
    buffer_size: usize,
    buffer: *mut c_void,
) -> Status {
    // SAFETY: the firmware passes the address that `publish` installed, which is that of the whole value.
    let this = unsafe { &*this.cast::<Published<G>>() };
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
