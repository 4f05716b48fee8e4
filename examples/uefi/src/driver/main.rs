//! A driver: adds the disk inside each QCOW1 image on a block device to the firmware.
//!
//! Every program that reads the firmware's disks then reads it: boot managers, the shell, the firmware's own boot order.
//! The driver has no configuration, so images with a backing file and encrypted images are left to the loader. On an
//! error, it prints a sentence with the device path of the image.
#![no_std]
#![no_main]

mod binding;

use core::fmt;

use qcow1::{Header, Image};
use uefi::{Handle, Status, entry};
use uefi_boot::firmware::{self, AlignedDisk, Disk, report};
use uefi_boot::image;
use uefi_boot::published::{self, Published, publish};

/// What lines of output begin with.
const NAME: &str = "qcow1";

/// An image on a block device.
type DiskImage = Image<AlignedDisk, &'static mut [u8]>;

#[entry]
fn main() -> Status {
    match binding::install() {
        Ok(()) => Status::SUCCESS,
        Err(error) => {
            let status = error.status();
            report(NAME, None, format_args!("the firmware refused the driver: {status}"));
            status
        }
    }
}

/// Returns `true` if a device may hold an image. The disk inside an image may not, because images in images could be
/// nested until reading overflows the stack.
fn is_candidate(device: Handle) -> bool {
    firmware::path_nodes(device).is_ok_and(|path| !published::is_inside(path))
}

/// Opens the image on a device. Returns `None` if there is none.
fn open(device: Handle) -> uefi::Result<Option<DiskImage>> {
    let Some(mut disk) = Disk::open(device)? else {
        return Ok(None);
    };
    if !disk.is_image() {
        return Ok(None);
    }
    let refused = |reason: fmt::Arguments<'_>| report(NAME, Some(device), reason);
    let mut image = match image::open(disk.aligned()?, None) {
        Ok((image, _)) => image,
        Err((disk, error)) => {
            firmware::close(disk);
            refused(format_args!("{error}"));
            return Ok(None);
        }
    };
    let mut name = [0; 1023];
    match image.backing_name(&mut name) {
        Ok(None) if image.header().is_some_and(Header::is_encrypted) => refused(format_args!(
            "the image is encrypted, and only the loader asks for a passphrase"
        )),
        Ok(None) => return Ok(Some(image)),
        Ok(Some(name)) => refused(format_args!(
            "the image has the backing file '{}', and only the loader opens backing files",
            name.escape_ascii()
        )),
        Err(error) => refused(format_args!("{error}")),
    }
    close(image);
    Ok(None)
}

/// Adds the disk inside the image on a device to the firmware, and returns its handle. Returns `None` if there is no
/// image.
fn add(device: Handle) -> uefi::Result<Option<Handle>> {
    match open(device)? {
        Some(image) => publish(NAME, Some(device), image).map(|(_, child)| Some(child)),
        None => Ok(None),
    }
}

/// Removes a disk that [`add`] has added.
fn remove(disk: Published<DiskImage>, child: Handle) -> uefi::Result {
    disk.withdraw(child).map(close)
}

fn close(image: DiskImage) {
    firmware::close(image::close(image));
}
