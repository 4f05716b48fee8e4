//! A unikernel whose disk is a QCOW1 image, without firmware and without an allocator.
//!
//! It opens the image on its first virtio disk, with the image on the second disk, if any, as its backing image. It
//! prints a file of the FAT volume and the sha256 of the guest's whole disk, and powers off.
#![no_std]
#![no_main]

mod fat;
mod machine;
mod virtio;

use core::fmt;

use machine::println;
use qcow1::{Chain, Error, Image};
use sha2::{Digest, Sha256};

/// Enough for compressed clusters of 4 KiB, which is what `qemu-img convert -c` writes, and for some tables.
const MEMORY: usize = 32 * 1024;

/// The entry point, called by `machine` with a stack.
fn main() -> Result<(), Failure> {
    let mut memory = [[0; MEMORY]; 2];
    let [top_memory, base_memory] = &mut memory;

    let mut top = Image::open(virtio::disk(0)?, top_memory).map_err(|error| Failure::Image(error.into_error()))?;
    println!("opened a QCOW1 image: a disk of {} bytes", top.size());
    let mut name = [0; 1023];
    let name = top.backing_name(&mut name)?;
    let mut disk = Chain::<_, 2>::new();
    if let Some(name) = name {
        println!("it names a backing file: {}", name.escape_ascii());
        // The name is not opened: whoever set up the machine has made the second disk that file, a QCOW1 image.
        let base = Image::open(virtio::disk(1)?, base_memory).map_err(|error| Failure::Image(error.into_error()))?;
        push(&mut disk, top)?;
        push(&mut disk, base)?;
    } else {
        push(&mut disk, top)?;
    }

    println!("disk: sha256 {}", Hex(&digest(&mut disk)?));
    fat::print_file(disk, "HELLO.TXT").map_err(Failure::Fat)
}

fn push<'m>(disk: &mut Chain<Image<virtio::Disk, &'m mut [u8]>, 2>, image: Image<virtio::Disk, &'m mut [u8]>) -> Result<(), Failure> {
    disk.push(image).map_err(|error| Failure::Chain(error.reason()))
}

fn digest(disk: &mut Chain<Image<virtio::Disk, &mut [u8]>, 2>) -> Result<[u8; 32], Failure> {
    let mut hash = Sha256::new();
    let mut buf = [0; 16 * 1024];
    let mut offset = 0;
    while offset < disk.size() {
        let left = usize::try_from(disk.size() - offset).unwrap_or(usize::MAX);
        let part = &mut buf[..left.min(16 * 1024)];
        disk.read_at(offset, part)?;
        hash.update(&*part);
        offset += part.len() as u64;
    }
    Ok(hash.finalize().into())
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

enum Failure {
    /// There is no disk in this slot.
    NoDisk(usize),
    Virtio(virtio_drivers::Error),
    Image(Error<virtio_drivers::Error>),
    Chain(qcow1::PushReason),
    Fat(embedded_sdmmc::Error<Error<virtio_drivers::Error>>),
}

impl From<Error<virtio_drivers::Error>> for Failure {
    fn from(error: Error<virtio_drivers::Error>) -> Self {
        Self::Image(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDisk(slot) => write!(f, "there is no virtio disk in slot {slot}"),
            Self::Virtio(error) => write!(f, "the virtio disk: {error}"),
            Self::Image(error) => write!(f, "the image: {error}"),
            Self::Chain(reason) => write!(f, "the images: {reason}"),
            Self::Fat(error) => write!(f, "the FAT volume: {error:?}"),
        }
    }
}
