//! A boot loader: starts the boot manager or operating system inside a QCOW1 disk.
//!
//! It opens the images of `\qcow1.conf` on its own volume; without that file, the image `\disk.qcow`; without that one,
//! the first block device that is an image. It adds the guest's disk to the firmware as a block device, and the
//! firmware's own partition and FAT drivers mount it. On an error, it prints a sentence, and the firmware continues
//! with its boot order.
#![no_std]
#![no_main]

mod failure;
mod passphrase;
mod source;

use qcow1::{BlockRead, Chain, Header, Image};
use uefi::boot;
use uefi::proto::media::fs::SimpleFileSystem;
use uefi::runtime::{self, ResetType};
use uefi::{CStr16, Handle, Status, cstr16, entry, println};
use uefi_boot::config::{Backing, Config, Format, MAX_BACKING};
use uefi_boot::{firmware, image, published};

use crate::failure::Failure;
use crate::source::{Source, Volume};

const CONFIG: &str = "\\qcow1.conf";
const IMAGE: &str = "\\disk.qcow";
/// The UEFI specification's default path of a program on a disk.
#[cfg(target_arch = "x86_64")]
const PROGRAM: &CStr16 = cstr16!("\\EFI\\BOOT\\BOOTX64.EFI");
#[cfg(target_arch = "aarch64")]
const PROGRAM: &CStr16 = cstr16!("\\EFI\\BOOT\\BOOTAA64.EFI");

/// An image, or a raw disk below it.
type DiskImage = Image<Source, &'static mut [u8]>;
/// The image with its backing images.
type Disk = Chain<DiskImage, { 1 + MAX_BACKING }>;

#[entry]
fn main() -> Status {
    match run() {
        Ok(()) => Status::SUCCESS,
        Err(failure) => {
            println!("loader: {failure}");
            Status::LOAD_ERROR
        }
    }
}

fn run() -> Result<(), Failure> {
    let mut disk = Disk::new();
    if let Err(failure) = open(&mut disk) {
        close(disk);
        return Err(failure);
    }
    println!("loader: the disk inside has {} bytes", disk.size());
    let encrypted = is_encrypted(&disk);
    let (disk, handle) = published::publish("loader", None, disk)?;
    let result = start(handle);
    // The started program may return. This program's code is removed when it returns, so the disk must be removed
    // first.
    match disk.withdraw(handle) {
        Ok(disk) => close(disk),
        Err(error) => {
            let status = error.status();
            println!("loader: the firmware does not let go of the disk ({status}), so the machine starts again");
            runtime::reset(ResetType::COLD, status, None)
        }
    }
    result.map_err(|failure| match failure {
        Failure::NoVolume if encrypted => Failure::NoVolumeDecrypted,
        failure => failure,
    })
}

/// Opens the images that the policy chooses, and pushes them to `disk`.
fn open(disk: &mut Disk) -> Result<(), Failure> {
    let mut volume = Volume::open()?;
    let text = volume.read(CONFIG)?;
    let config = match text {
        Some(text) => {
            println!("loader: {CONFIG} says what to boot");
            let text = core::str::from_utf8(text).map_err(|_| Failure::ConfigNotText)?;
            Some(Config::parse(text).map_err(Failure::Config)?)
        }
        None => None,
    };
    let lent = config.as_ref().and_then(|config| config.memory);

    let top = match &config {
        Some(config) => Source::at(config.image, &mut volume)?,
        None => match volume.read(IMAGE)? {
            Some(bytes) => Source::file(IMAGE, bytes),
            None => Source::first_image()?,
        },
    };
    push(disk, open_qcow(top, lent)?)?;
    for &Backing { format, place } in config.iter().flat_map(|config| &config.backing) {
        let source = Source::at(place, &mut volume)?;
        let image = match format {
            Format::Qcow => open_qcow(source, lent)?,
            Format::Raw => open_raw(source)?,
        };
        push(disk, image)?;
    }
    backing_is_complete(disk)?;
    let mut level = 0;
    while let Some(image) = disk.image_mut(level) {
        if image.header().is_some_and(Header::is_encrypted) {
            passphrase::ask(level, |key| image.set_key(key))?;
        }
        level += 1;
    }
    Ok(())
}

/// Wipes and frees the memory of the images.
fn close(mut disk: Disk) {
    while let Some(image) = disk.pop() {
        close_image(image);
    }
}

fn close_image(image: DiskImage) {
    image::close(image).close();
}

fn is_encrypted(disk: &Disk) -> bool {
    let mut headers = disk.images().iter().filter_map(Image::header);
    headers.any(Header::is_encrypted)
}

fn open_qcow(source: Source, lent: Option<usize>) -> Result<DiskImage, Failure> {
    match image::open(source, lent) {
        Ok((image, lent)) => {
            println!("loader: it is lent {lent} bytes of memory");
            Ok(image)
        }
        Err((source, error)) => {
            source.close();
            Err(error.into())
        }
    }
}

fn open_raw(source: Source) -> Result<DiskImage, Failure> {
    let memory = firmware::pages(source.block_size().bytes() as usize)?;
    Image::open_raw(source, memory).map_err(|error| {
        let (source, memory, error) = error.into_parts();
        firmware::free(memory);
        source.close();
        error.into()
    })
}

fn push(disk: &mut Disk, image: DiskImage) -> Result<(), Failure> {
    disk.push(image).map_err(|error| {
        // The chain has room for as many images as a configuration can have, so this is the only reason.
        close_image(error.into_image());
        Failure::BackingNotNamed
    })
}

/// Checks that the lowest image has no backing file. Otherwise a read would fail after the boot has begun.
fn backing_is_complete(disk: &mut Disk) -> Result<(), Failure> {
    let lowest = disk.images().len().saturating_sub(1);
    let Some(lowest) = disk.image_mut(lowest) else {
        return Ok(());
    };
    let mut name = [0; 1023];
    match lowest.backing_name(&mut name)? {
        None => Ok(()),
        Some(name) => {
            println!(
                "loader: the lowest image names the backing file '{}'",
                name.escape_ascii()
            );
            Err(Failure::BackingMissing)
        }
    }
}

/// Lets the firmware mount the disk with this handle, and starts the program on it.
fn start(disk: Handle) -> Result<(), Failure> {
    // Errors are ignored: they mean only that some driver does not support some part of the disk.
    let _ = boot::connect_controller(disk, &[], None, true);
    let volume = volume_on(disk)?.ok_or(Failure::NoVolume)?;
    let program = firmware::load(volume, PROGRAM).map_err(|error| Failure::Program(error.status()))?;
    println!("loader: starting {PROGRAM} from inside the image");
    boot::start_image(program).map_err(|error| Failure::Program(error.status()))
}

/// Returns the first file system whose device path begins with the disk's.
fn volume_on(disk: Handle) -> Result<Option<Handle>, Failure> {
    let disk = firmware::path_nodes(disk)?;
    let inside = |volume: &Handle| firmware::path_nodes(*volume).is_ok_and(|path| path.starts_with(disk));
    match firmware::handles::<SimpleFileSystem>() {
        Ok(volumes) => Ok(volumes.iter().copied().find(inside)),
        Err(error) if error.status() == Status::NOT_FOUND => Ok(None),
        Err(error) => Err(error.into()),
    }
}
