//! A test of the driver: loads it, stops and starts it many times, and unloads it. It fails if a guest's disk stays, if one
//! does not come back, or if memory is lost.
#![no_std]
#![no_main]

use heapless::Vec;
use uefi::boot;
use uefi::proto::loaded_image::LoadedImage;
use uefi::proto::media::block::BlockIO;
use uefi::{Handle, Status, cstr16, entry, println};
use uefi_boot::firmware::{connect_all, free_memory, handles, load, path_nodes, protocol};
use uefi_boot::published::parent_nodes;

const ROUNDS: u32 = 50;

#[entry]
fn main() -> Status {
    match trial() {
        Ok(()) => Status::SUCCESS,
        Err(error) => {
            println!("trial: the driver failed: {}", error.status());
            error.status()
        }
    }
}

fn trial() -> uefi::Result {
    let volume = protocol::<LoadedImage>(boot::image_handle())?
        .device()
        .ok_or(Status::NOT_FOUND)?;
    let driver = load(volume, cstr16!("\\qcow1.efi"))?;
    boot::start_image(driver)?;
    connect_all()?;
    let devices = devices()?;
    println!("trial: the driver has added {} disks", devices.len());
    let mut before = None;
    for _ in 0..ROUNDS {
        for &device in &devices {
            boot::disconnect_controller(device, Some(driver), None)?;
        }
        expect(0)?;
        // The first round may have allocated what the firmware keeps.
        before.get_or_insert(free_memory()?);
        for &device in &devices {
            boot::connect_controller(device, &[], None, true)?;
        }
        expect(devices.len())?;
    }
    boot::unload_image(driver)?;
    expect(0)?;
    let lost = before.unwrap_or(0).saturating_sub(free_memory()?);
    println!(
        "trial: after {ROUNDS} stops and starts, the driver was unloaded, and {} MiB are lost",
        lost >> 20
    );
    Ok(())
}

/// Returns the devices on which the driver has found an image.
fn devices() -> uefi::Result<Vec<Handle, 8>> {
    let disks = handles::<BlockIO>()?;
    let holds_image = |device: &Handle| {
        let Ok(path) = path_nodes(*device) else {
            return false;
        };
        let mut guests = disks.iter().filter_map(|disk| parent_nodes(path_nodes(*disk).ok()?));
        guests.any(|parent| parent == path)
    };
    Ok(disks.iter().copied().filter(holds_image).collect())
}

fn expect(count: usize) -> uefi::Result {
    match devices()?.len() == count {
        true => Ok(()),
        false => Err(Status::DEVICE_ERROR.into()),
    }
}
