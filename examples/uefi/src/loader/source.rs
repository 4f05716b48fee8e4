//! The devices of images: a file in memory, or a block device.

use qcow1::{BlockRead, BlockSize};
use uefi::proto::media::block::BlockIO;
use uefi::proto::media::file::{Directory, File, FileAttribute, FileMode, RegularFile};
use uefi::{CStr16, Status, boot, println};
use uefi_boot::config::Place;
use uefi_boot::firmware::{self, AlignedDisk, Disk};

use crate::failure::Failure;

/// The device of an image.
pub enum Source {
    /// A file that was read whole. It cannot be read while the firmware requests a block of the guest's disk, because
    /// the firmware's FAT driver holds one lock for all volumes.
    Memory(&'static mut [u8]),
    Disk(AlignedDisk),
}

impl Source {
    /// Opens a file or disk of the configuration.
    pub fn at(place: Place<'static>, volume: &mut Volume) -> Result<Self, Failure> {
        match place {
            Place::File(path) => {
                let bytes = volume.read(path)?.ok_or(Failure::File(path, Status::NOT_FOUND))?;
                Ok(Self::file(path, bytes))
            }
            Place::Disk(path) => match find_disk(|name, _| is_text(name, path))? {
                Some(source) => Ok(source),
                None => {
                    list_disks()?;
                    Err(Failure::NoDisk(path))
                }
            },
        }
    }

    /// Makes a device of a file that was read.
    pub fn file(path: &str, bytes: &'static mut [u8]) -> Self {
        println!("loader: the file {path} has {} bytes", bytes.len());
        Self::Memory(bytes)
    }

    /// Opens the first block device that is an image.
    pub fn first_image() -> Result<Self, Failure> {
        println!("loader: there is no configuration and no file to boot; looking for a disk that is an image");
        // This trusts whoever wrote the disks, who could also have replaced this program.
        find_disk(|_, disk| disk.is_image())?.ok_or(Failure::NoImage)
    }

    /// Frees the memory of the device.
    pub fn close(self) {
        match self {
            Self::Memory(bytes) => firmware::free(bytes),
            Self::Disk(disk) => firmware::close(disk),
        }
    }
}

impl BlockRead for Source {
    type Error = Status;

    fn block_size(&self) -> BlockSize {
        match self {
            Self::Memory(_) => BlockSize::BYTE,
            Self::Disk(disk) => disk.block_size(),
        }
    }

    fn size(&mut self) -> Result<u64, Status> {
        match self {
            Self::Memory(bytes) => Ok(bytes.len() as u64),
            Self::Disk(disk) => disk.size(),
        }
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Status> {
        match self {
            Self::Memory(bytes) => (&**bytes).read_blocks(lba, buf).map_err(|never| match never {}),
            Self::Disk(disk) => disk.read_blocks(lba, buf),
        }
    }
}

/// Returns the first block device for which `is_it` returns `true`; its argument is the device path.
fn find_disk(mut is_it: impl FnMut(&CStr16, &mut Disk) -> bool) -> Result<Option<Source>, Failure> {
    // Firmware connects the disks of its boot order. Connecting the others takes time, so they are searched last.
    for all in [false, true] {
        if all {
            firmware::connect_all()?;
        }
        for &handle in firmware::handles::<BlockIO>()?.iter() {
            // Devices without a path or a medium are skipped.
            let (Ok(path), Ok(Some(mut disk))) = (firmware::device_path_text(handle), Disk::open(handle)) else {
                continue;
            };
            if is_it(&path, &mut disk) {
                println!("loader: the disk {} has {} bytes", &*path, disk.size());
                return Ok(Some(Source::Disk(disk.aligned()?)));
            }
        }
    }
    Ok(None)
}

fn is_text(text: &CStr16, expected: &str) -> bool {
    text.iter().copied().map(char::from).eq(expected.chars())
}

/// Prints the device paths of all block devices.
fn list_disks() -> Result<(), Failure> {
    for &handle in firmware::handles::<BlockIO>()?.iter() {
        if let Ok(path) = firmware::device_path_text(handle) {
            println!("loader: there is the disk {}", &*path);
        }
    }
    Ok(())
}

/// The loader's own volume.
pub struct Volume(Directory);

impl Volume {
    /// Opens the volume.
    pub fn open() -> Result<Self, Failure> {
        boot::get_image_file_system(boot::image_handle())
            .and_then(|mut volume| volume.open_volume())
            .map(Self)
            .map_err(|error| Failure::Volume(error.status()))
    }

    /// Reads a whole file. Returns `None` if there is no such file.
    pub fn read(&mut self, path: &'static str) -> Result<Option<&'static mut [u8]>, Failure> {
        let failed = |status| Failure::File(path, status);
        let mut buf = [0; 256];
        let name = CStr16::from_str_with_buf(path, &mut buf).map_err(|_| failed(Status::INVALID_PARAMETER))?;
        let file = match self.0.open(name, FileMode::Read, FileAttribute::empty()) {
            Err(error) if error.status() == Status::NOT_FOUND => return Ok(None),
            file => file.map_err(|error| failed(error.status()))?,
        };
        let mut file = file.into_regular_file().ok_or(failed(Status::NOT_FOUND))?;
        let size = size(&mut file).map_err(|error| failed(error.status()))?;
        // At most half of the free memory, so that the started program has the rest.
        let limit = firmware::free_memory()? / 2;
        if size > limit {
            return Err(Failure::FileTooLarge { path, size, limit });
        }
        let bytes = usize::try_from(size)
            .map_err(|_| Status::OUT_OF_RESOURCES.into())
            .and_then(firmware::pages)
            .map_err(|error| failed(error.status()))?;
        match fill(&mut file, bytes) {
            Ok(()) => Ok(Some(bytes)),
            Err(error) => {
                firmware::free(bytes);
                Err(failed(error.status()))
            }
        }
    }
}

fn size(file: &mut RegularFile) -> uefi::Result<u64> {
    file.set_position(RegularFile::END_OF_FILE)?;
    let size = file.get_position()?;
    file.set_position(0)?;
    Ok(size)
}

fn fill(file: &mut RegularFile, mut rest: &mut [u8]) -> uefi::Result {
    while !rest.is_empty() {
        let read = file.read(rest)?;
        if read == 0 {
            return Err(Status::END_OF_FILE.into());
        }
        rest = &mut rest[read..];
    }
    Ok(())
}
