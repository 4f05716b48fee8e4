//! The driver binding protocol, by which the firmware asks the driver about each device. All `unsafe` code of the driver
//! is here.

use core::ffi::c_void;
use core::mem;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use uefi::boot::{self, OpenProtocolAttributes, OpenProtocolParams, ScopedProtocol, SearchType};
use uefi::proto::loaded_image::LoadedImage;
use uefi::proto::media::disk::DiskIo;
use uefi::{Handle, Identify, Status, table};
use uefi_boot::firmware::{self, pages};
use uefi_boot::published::Published;
use uefi_raw::protocol::device_path::DevicePathProtocol;
use uefi_raw::protocol::driver::DriverBindingProtocol;

/// The version by which the firmware chooses among drivers for one device: the lowest that is not the platform's own.
const VERSION: u32 = 0x10;

/// The protocol that was installed.
static BINDING: AtomicPtr<DriverBindingProtocol> = AtomicPtr::new(core::ptr::null_mut());

/// The number of disks that the driver has added.
static ADDED: AtomicUsize = AtomicUsize::new(0);

/// Gives the firmware the driver.
pub fn install() -> uefi::Result {
    let image = boot::image_handle();
    let binding = pages(size_of::<DriverBindingProtocol>())?
        .as_mut_ptr()
        .cast::<DriverBindingProtocol>();
    // SAFETY: the pages are large enough for the protocol, aligned for it and unshared. They are never freed.
    unsafe {
        binding.write(DriverBindingProtocol {
            supported,
            start,
            stop,
            version: VERSION,
            image_handle: image.as_ptr(),
            driver_binding_handle: image.as_ptr(),
        });
    }
    BINDING.store(binding, Ordering::Relaxed);
    let mut loaded = firmware::protocol::<LoadedImage>(image)?;
    // SAFETY: the function is in this program, which is in memory until it is unloaded. The protocol has the type of its
    // GUID, and `unload` uninstalls it before its functions are gone.
    unsafe {
        loaded.set_unload(unload);
        boot::install_protocol_interface(Some(image), &DriverBindingProtocol::GUID, binding.cast::<c_void>())?;
    }
    Ok(())
}

/// Opens a device for the driver, or for a disk that it has added.
fn claim(device: Handle, user: Handle, kind: OpenProtocolAttributes) -> uefi::Result<ScopedProtocol<DiskIo>> {
    let params = OpenProtocolParams {
        handle: device,
        agent: boot::image_handle(),
        controller: Some(user),
    };
    // SAFETY: no function of the protocol is called. Before the device is removed, the firmware calls `stop`.
    unsafe { boot::open_protocol(params, kind) }
}

/// Closes what was opened by [`claim`].
fn release(device: Handle, user: Handle) {
    let Some(table) = table::system_table_raw() else {
        return;
    };
    // An error means that it was not open.
    // SAFETY: the tables exist as long as the driver may be called. The firmware checks the handles.
    unsafe {
        let services = (*table.as_ptr()).boot_services;
        let _ = ((*services).close_protocol)(
            device.as_ptr(),
            &DiskIo::GUID,
            boot::image_handle().as_ptr(),
            user.as_ptr(),
        );
    }
}

/// Returns a handle that the firmware has passed.
///
/// # Safety
/// It is a handle, or null, which is an error.
unsafe fn handle(passed: uefi_raw::Handle) -> uefi::Result<Handle> {
    // SAFETY: as above.
    unsafe { Handle::from_ptr(passed) }.ok_or(Status::INVALID_PARAMETER.into())
}

fn status(result: uefi::Result) -> Status {
    result.map_or_else(|error| error.status(), |()| Status::SUCCESS)
}

/// Returns whether the driver may be started on a device. The firmware calls this often, so it reads nothing: `start` finds
/// out whether the device is an image.
unsafe extern "efiapi" fn supported(
    _: *const DriverBindingProtocol,
    device: uefi_raw::Handle,
    _: *const DevicePathProtocol,
) -> Status {
    let ask = || {
        // SAFETY: the firmware passes a handle.
        let device = unsafe { handle(device) }?;
        let _claimed = claim(device, device, OpenProtocolAttributes::ByDriver)?;
        match crate::is_candidate(device) {
            true => Ok(()),
            false => Err(Status::UNSUPPORTED.into()),
        }
    };
    status(ask())
}

unsafe extern "efiapi" fn start(
    _: *const DriverBindingProtocol,
    device: uefi_raw::Handle,
    _: *const DevicePathProtocol,
) -> Status {
    let add = || {
        // SAFETY: the firmware passes a handle.
        let device = unsafe { handle(device) }?;
        let by_driver = claim(device, device, OpenProtocolAttributes::ByDriver)?;
        let child = crate::add(device)?.ok_or(Status::UNSUPPORTED)?;
        ADDED.fetch_add(1, Ordering::Relaxed);
        // Both stay open until `stop`.
        mem::forget(by_driver);
        mem::forget(claim(device, child, OpenProtocolAttributes::ByChildController));
        Ok(())
    };
    status(add())
}

/// Removes disks. When it is called without any, the device itself is released.
unsafe extern "efiapi" fn stop(
    _: *const DriverBindingProtocol,
    device: uefi_raw::Handle,
    count: usize,
    children: *const uefi_raw::Handle,
) -> Status {
    // SAFETY: the firmware passes a handle.
    let device = match unsafe { handle(device) } {
        Ok(device) => device,
        Err(error) => return error.status(),
    };
    if count == 0 {
        release(device, device);
        return Status::SUCCESS;
    }
    let mut result = Status::SUCCESS;
    for index in 0..count {
        // SAFETY: the firmware passes `count` handles. They are those of disks that `start` has added.
        let (child, disk) = unsafe {
            let Ok(child) = handle(*children.add(index)) else {
                continue;
            };
            (child, Published::of(child))
        };
        release(device, child);
        match disk.and_then(|disk| crate::remove(disk, child)) {
            Ok(()) => {
                ADDED.fetch_sub(1, Ordering::Relaxed);
            }
            Err(_) => {
                mem::forget(claim(device, child, OpenProtocolAttributes::ByChildController));
                result = Status::DEVICE_ERROR;
            }
        }
    }
    result
}

/// Removes the driver: `unload` of the shell.
extern "efiapi" fn unload(image: Handle) -> Status {
    let remove = || {
        for &device in boot::locate_handle_buffer(SearchType::AllHandles)?.iter() {
            // An error means that the driver is not on this device.
            let _ = boot::disconnect_controller(device, Some(image), None);
        }
        if ADDED.load(Ordering::Relaxed) > 0 {
            return Err(Status::ACCESS_DENIED.into());
        }
        let binding = BINDING.load(Ordering::Relaxed).cast::<c_void>();
        // SAFETY: this is the interface that `install` installed. Its pages are never freed.
        unsafe { boot::uninstall_protocol_interface(image, &DriverBindingProtocol::GUID, binding) }
    };
    status(remove())
}
