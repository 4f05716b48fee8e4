//! Lists the files of a file system inside a QCOW1 image, or prints one: `ls [IMAGE [PATH]]`.
//!
//! This is what the crate is for, in small: a file, an image on it, and a file system on that, by crates that know
//! nothing of each other. The disk may be one volume, or have an MBR or a GPT (read by `gpt_disk_io`); the volume may be
//! FAT (`embedded-sdmmc`) or ext4 (`ext4-view`). The first volume that is either is shown. Without arguments it is that
//! of a disk that comes with the repository.

mod disk;
mod ext4;
mod fat;

use std::fs::File;
use std::process::ExitCode;

use disk::Kind;
use qcow1::Image;

const DEFAULT_DISK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/disk.qcow");

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let disk = arguments.next().unwrap_or_else(|| DEFAULT_DISK.into());
    let path = arguments.next().unwrap_or_default();
    match show(&disk, &path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ls: {disk}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn show(disk: &str, path: &str) -> Result<(), Failure> {
    let mut memory = [0; 65_536];
    let mut image = Image::open(File::open(disk)?, &mut memory)?;
    let volume = disk::first_volume(&mut image)?.ok_or("no FAT and no ext4 file system is on this disk")?;
    match volume.kind {
        Kind::Fat => fat::show(image, &volume, path),
        Kind::Ext4 => ext4::show(image.into_device(), &volume, path),
    }
}
