//! A boot loader: starts `\EFI\BOOT\BOOTX64.EFI` from inside a QCOW1 image.
//!
//! The image is the file `\disk.qcow` beside it, or else a whole block device. The guest's disk becomes a block device
//! of the firmware's, whose own partition and FAT drivers do the rest.
#![no_std]
#![no_main]

use core::fmt;
use core::mem::MaybeUninit;

use qcow1::{BlockRead, BlockSize, Header, Image, Probe, probe};
use uefi::boot::{self, LoadImageSource};
use uefi::proto::BootPolicy;
use uefi::proto::device_path::build::{self, DevicePathBuilder};
use uefi::proto::media::file::{File, FileAttribute, FileMode, RegularFile};
use uefi::proto::media::fs::SimpleFileSystem;
use uefi::runtime::{self, ResetType};
use uefi::{CStr16, Handle, Status, cstr16, entry, println};
use uefi_boot::firmware::{self, Disk};

const IMAGE: &CStr16 = cstr16!("\\disk.qcow");
const PROGRAM: &CStr16 = cstr16!("\\EFI\\BOOT\\BOOTX64.EFI");

/// The most memory to lend for tables; compressed clusters have theirs beside it.
const TABLES: usize = 1 << 20;

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
    let image = open(find()?)?;
    println!("loader: a QCOW1 image, whose disk has {} bytes", image.size());
    let guest = firmware::publish(image)?;
    let result = start(guest.handle());
    // Whatever was started may come back. This program's code is gone once it returns, so its disk has to go first.
    let fault = guest.withdraw().unwrap_or_else(|error| {
        println!("loader: the firmware keeps the disk ({}), so the machine starts anew", error.status());
        runtime::reset(ResetType::COLD, error.status(), None)
    });
    // The firmware's drivers pass no words on, only that a read failed.
    result.map_err(|failure| fault.map_or(failure, Failure::Image))
}

/// Where an image lies.
enum Source {
    /// In memory, since the firmware must not be asked for a file while it asks us for a block: its FAT driver holds
    /// one lock for all volumes.
    Memory(&'static [u8]),
    Disk(Disk),
}

impl BlockRead for Source {
    type Error = Status;

    fn block_size(&self) -> BlockSize {
        match self {
            Self::Memory(bytes) => bytes.block_size(),
            Self::Disk(disk) => disk.block_size(),
        }
    }

    fn size(&mut self) -> Result<u64, Status> {
        match self {
            Self::Memory(bytes) => BlockRead::size(bytes).map_err(|never| match never {}),
            Self::Disk(disk) => disk.size(),
        }
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Status> {
        match self {
            Self::Memory(bytes) => bytes.read_blocks(lba, buf).map_err(|never| match never {}),
            Self::Disk(disk) => disk.read_blocks(lba, buf),
        }
    }
}

fn find() -> Result<Source, Failure> {
    if let Some(bytes) = read_file()? {
        println!("loader: {IMAGE} has {} bytes", bytes.len());
        return Ok(Source::Memory(bytes));
    }
    println!("loader: no {IMAGE} on this volume; looking for a block device that is an image");
    // This trusts whoever wrote the disks, who might as well have replaced this program.
    for mut disk in firmware::disks()? {
        let first = firmware::pages(disk.block_size().bytes() as usize)?;
        // A drive that cannot be read is not what is looked for.
        let is_image = disk.read_blocks(0, first).is_ok() && probe(first) == Probe::Qcow1;
        firmware::free(first);
        if is_image {
            return Ok(Source::Disk(disk));
        }
    }
    Err(Failure::NoImage)
}

/// The image file beside this program; `None` where there is no such file.
fn read_file() -> Result<Option<&'static [u8]>, Failure> {
    let mut volume = boot::get_image_file_system(boot::image_handle())
        .and_then(|mut volume| volume.open_volume())
        .map_err(|error| Failure::Volume(error.status()))?;
    let file = match volume.open(IMAGE, FileMode::Read, FileAttribute::empty()) {
        Err(error) if error.status() == Status::NOT_FOUND => return Ok(None),
        file => file.map_err(|error| Failure::File(error.status()))?,
    };
    let mut file = file.into_regular_file().ok_or(Failure::File(Status::NOT_FOUND))?;
    read_all(&mut file)
        .map(Some)
        .map_err(|error| Failure::File(error.status()))
}

fn read_all(file: &mut RegularFile) -> uefi::Result<&'static [u8]> {
    file.set_position(RegularFile::END_OF_FILE)?;
    let size = usize::try_from(file.get_position()?).map_err(|_| Status::OUT_OF_RESOURCES)?;
    file.set_position(0)?;
    let bytes = firmware::pages(size)?;
    let mut done = 0;
    while done < size {
        let read = file.read(&mut bytes[done..])?;
        if read == 0 {
            return Err(Status::END_OF_FILE.into());
        }
        done += read;
    }
    Ok(bytes)
}

fn open(mut source: Source) -> Result<Image<'static, Source>, Failure> {
    let block_size = source.block_size();
    // The header is read first, since it tells how much memory is of use.
    let first = firmware::pages(block_size.bytes().max(512) as usize)?;
    let end = source
        .size()
        .map_err(|status| Failure::Image(qcow1::Error::Io(status)))?;
    let stored = usize::try_from(end).unwrap_or(usize::MAX).min(first.len());
    source
        .read_blocks(0, &mut first[..stored])
        .map_err(|status| Failure::Image(qcow1::Error::Io(status)))?;
    let needs = Header::parse(&first[..stored]).map(|header| header.memory_for(block_size));
    firmware::free(first);
    let needs = needs.map_err(Failure::Header)?;
    let memory = firmware::pages(needs.all_tables.min(needs.compressed.saturating_add(TABLES)))?;
    Image::open(source, memory).map_err(|error| Failure::Image(error.into_error()))
}

/// Has the firmware mount the disk with this handle, and starts the program in it.
fn start(disk: Handle) -> Result<(), Failure> {
    // An error here says no more than that some driver did not want some part of the disk.
    let _ = boot::connect_controller(disk, &[], None, true);
    let volume = volume_on(disk)?.ok_or(Failure::NoVolume)?;
    let volume = firmware::device_path(volume)?;

    let mut buf = [MaybeUninit::uninit(); 512];
    let mut path = DevicePathBuilder::with_buf(&mut buf);
    for node in volume.node_iter() {
        path = path.push(&node).map_err(|_| Failure::NoVolume)?;
    }
    let file = build::media::FilePath { path_name: PROGRAM };
    let path = path
        .push(&file)
        .and_then(DevicePathBuilder::finalize)
        .map_err(|_| Failure::NoVolume)?;
    let source = LoadImageSource::FromDevicePath {
        device_path: path,
        boot_policy: BootPolicy::ExactMatch,
    };
    let program = boot::load_image(boot::image_handle(), source).map_err(|error| Failure::Program(error.status()))?;
    println!("loader: starting {PROGRAM} from inside the image");
    boot::start_image(program).map_err(|error| Failure::Program(error.status()))
}

/// The first file system whose device path begins with the disk's.
fn volume_on(disk: Handle) -> Result<Option<Handle>, Failure> {
    let disk = firmware::device_path(disk)?.as_bytes();
    // All but the node that ends the path, which has 4 bytes.
    let prefix = &disk[..disk.len() - 4];
    let inside = |volume: &Handle| firmware::device_path(*volume).is_ok_and(|path| path.as_bytes().starts_with(prefix));
    match firmware::handles::<SimpleFileSystem>() {
        Ok(volumes) => Ok(volumes.iter().copied().find(inside)),
        Err(error) if error.status() == Status::NOT_FOUND => Ok(None),
        Err(error) => Err(error.into()),
    }
}

enum Failure {
    /// The volume that this program was started from cannot be read.
    Volume(Status),
    File(Status),
    NoImage,
    Header(qcow1::Error<core::convert::Infallible>),
    Image(qcow1::Error<Status>),
    NoVolume,
    Program(Status),
    Firmware(Status),
}

impl From<uefi::Error> for Failure {
    fn from(error: uefi::Error) -> Self {
        Self::Firmware(error.status())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Volume(status) => write!(f, "the volume that this program is on cannot be read: {status}"),
            Self::File(status) => write!(f, "{IMAGE} cannot be read: {status}"),
            Self::NoImage => f.write_str("no block device is a QCOW1 image"),
            Self::Header(error) => write!(f, "{error}"),
            Self::Image(error) => write!(f, "{error}"),
            Self::NoVolume => f.write_str("the firmware finds no file system on the disk inside the image"),
            Self::Program(Status::NOT_FOUND) => write!(f, "there is no {PROGRAM} inside the image"),
            Self::Program(status) => write!(f, "{PROGRAM} inside the image failed: {status}"),
            Self::Firmware(status) => write!(f, "the firmware refused a service: {status}"),
        }
    }
}
