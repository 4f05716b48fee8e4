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
use qcow1::{Chain, DiskError, Error, OpenError, PushError};
use sha2::{Digest, Sha256};

/// Enough for compressed clusters of 4 KiB, which is what `qemu-img convert -c` writes, and for some tables.
const MEMORY: usize = 32 * 1024;

/// An image that owns its device and its memory.
type Image = qcow1::Image<virtio::Disk, [u8; MEMORY]>;
/// The guest's disk: an image and its backing image.
type Disk = Chain<Image, 2>;

/// The entry point, called by `machine` with a stack.
fn main() -> Result<(), Failure> {
    let mut top = Image::open(virtio::disk(0)?, [0; MEMORY])?;
    println!("opened a QCOW1 image: a disk of {} bytes", top.size());
    let mut name = [0; 1023];
    let name = top.backing_name(&mut name)?;
    let mut disk = Disk::new();
    disk.push(top)?;
    if let Some(name) = name {
        println!("it names a backing file: {}", name.escape_ascii());
        // The name is not opened: whoever set up the machine has made the second disk that file, a QCOW1 image.
        disk.push(Image::open(virtio::disk(1)?, [0; MEMORY])?)?;
    }

    println!("disk: sha256 {}", Hex(&digest(&mut disk)?));
    fat::print_file(&mut disk, "HELLO.TXT").map_err(Failure::Fat)
}

fn digest(disk: &mut Disk) -> Result<[u8; 32], Failure> {
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
    Chain,
    Fat(embedded_sdmmc::Error<DiskError<virtio_drivers::Error>>),
}

impl From<Error<virtio_drivers::Error>> for Failure {
    fn from(error: Error<virtio_drivers::Error>) -> Self {
        Self::Image(error)
    }
}

impl<D, M> From<OpenError<D, M, virtio_drivers::Error>> for Failure {
    fn from(error: OpenError<D, M, virtio_drivers::Error>) -> Self {
        Self::Image(error.into_error())
    }
}

impl From<PushError<Image>> for Failure {
    fn from(_: PushError<Image>) -> Self {
        Self::Chain
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDisk(slot) => write!(f, "there is no virtio disk in slot {slot}"),
            Self::Virtio(error) => write!(f, "the virtio disk: {error}"),
            Self::Image(error) => write!(f, "the image: {error}"),
            Self::Chain => f.write_str("the second image cannot be the backing image of the first"),
            Self::Fat(error) => write!(f, "the FAT volume: {error:?}"),
        }
    }
}
