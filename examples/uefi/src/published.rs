//! A guest's disk as a block device that the firmware can read.

use core::cell::{Cell, RefCell};
use core::ffi::c_void;
use core::mem::offset_of;
use core::ptr::NonNull;

use qcow1::{Error, GuestRead};
use uefi::proto::device_path::DevicePath;
use uefi::proto::media::block::BlockIO;
use uefi::{Guid, Handle, Identify, Status, boot, guid};
use uefi_raw::Boolean;
use uefi_raw::protocol::block::{BlockIoMedia, BlockIoProtocol};

use crate::firmware::{free, pages, path_nodes, protocol, report};

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
    program: &'static str,
    parent: Option<Handle>,
    has_failed: Cell<bool>,
}

/// The size of the blocks that the firmware sees.
const SECTOR: usize = 512;

const MEDIA_ID: u32 = 0;

/// The node of a vendor's device, with a GUID that was generated for this package. It is a hardware node, because rEFInd
/// takes a media node of a vendor for the BIOS of a Mac.
const NODE: [u8; 20] = {
    const VENDOR: Guid = guid!("b0f4a2c6-51d3-4e0b-9a57-7163f00d0c01");
    let mut node = [0; 20];
    let (header, vendor) = node.split_at_mut(4);
    header.copy_from_slice(&[0x01, 0x04, 20, 0]);
    vendor.copy_from_slice(&VENDOR.to_bytes());
    node
};

/// The end node of a device path.
const END: [u8; 4] = [0x7f, 0xff, 4, 0];

/// Returns `true` if the nodes of a device path lead to a guest's disk, or into one.
pub fn is_inside(nodes: &[u8]) -> bool {
    nodes.windows(NODE.len()).any(|bytes| bytes == NODE)
}

/// Returns the nodes of the device that a guest's disk is on, or `None` if the nodes are not those of a guest's disk.
pub fn parent_nodes(nodes: &[u8]) -> Option<&[u8]> {
    nodes.strip_suffix(&NODE)
}

/// Adds the guest's disk to the firmware as a read-only block device. Its device path is that of its parent, if it has
/// one, and a vendor's node.
///
/// The first read that fails prints its cause, because the firmware tells its users only that a read failed.
pub fn publish<G: GuestRead>(
    program: &'static str,
    parent: Option<Handle>,
    guest: G,
) -> uefi::Result<(Published<G>, Handle)> {
    let nodes = match parent {
        Some(parent) => path_nodes(parent)?,
        None => &[],
    };
    let path = pages(nodes.len() + NODE.len() + END.len())?;
    let (start, rest) = path.split_at_mut(nodes.len());
    let (node, end) = rest.split_at_mut(NODE.len());
    start.copy_from_slice(nodes);
    node.copy_from_slice(&NODE);
    end.copy_from_slice(&END);
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
            parent,
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
    /// Returns the disk with this handle.
    ///
    /// # Safety
    /// [`publish`] has returned the handle, for this type.
    pub unsafe fn of(handle: Handle) -> uefi::Result<Self> {
        let protocol = protocol::<BlockIO>(handle)?;
        // Its pointer to the medium is valid for the whole value, and a reference to the protocol only for the protocol.
        let protocol = (&raw const **protocol).cast::<BlockIoProtocol>();
        // SAFETY: `BlockIO` is a transparent wrapper. `publish` has made the protocol and the pointer.
        let place = unsafe { (*protocol).media.byte_sub(offset_of!(Interface<G>, media)) };
        let place = NonNull::new(place.cast_mut().cast()).ok_or(Status::NOT_FOUND)?;
        Ok(Self(place))
    }

    /// Removes the disk with this handle from the firmware, wipes the memory that it was in, and returns it.
    ///
    /// # Errors
    /// [`Status::ACCESS_DENIED`] if the firmware still uses the disk, or if the disk is being read: when a driver notices,
    /// in a read, that the medium was changed, it asks the drivers above it to stop before that read returns.
    pub fn withdraw(self, handle: Handle) -> uefi::Result<G> {
        let place = self.0.as_ptr();
        // SAFETY: `publish` has written the value, and it is removed only once, below.
        if unsafe { &(*place).guest }.try_borrow_mut().is_err() {
            return Err(Status::ACCESS_DENIED.into());
        }
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
                    report(self.program, self.parent, format_args!("{error}"));
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
