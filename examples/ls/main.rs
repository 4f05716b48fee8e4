//! Lists the files of a file system inside a QCOW1 image, or prints one: `ls [IMAGE [PATH]]`.
//!
//! It combines crates that do not know each other: a file, an image in it, and a file system in the image. The disk may
//! be one volume, or have an MBR or a GPT (read by `gpt_disk_io`). The volume may be FAT16 or FAT32 (`embedded-sdmmc`)
//! or ext4 (`ext4-view`). The first volume of one of these kinds is shown. Without arguments, the example reads an
//! image of the repository.

mod boot_sector;
mod disk;
mod ext4;
mod fat;
mod mbr;
mod output;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use disk::Kind;
use output::{Output, OutputError, printable};
use qcow1::Image;

const DEFAULT_DISK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/disk.qcow");

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let disk = arguments.next().unwrap_or_else(|| DEFAULT_DISK.into());
    let path = arguments.next().unwrap_or_default();
    let Err(error) = show(disk.as_ref(), &path) else {
        return ExitCode::SUCCESS;
    };
    if let Some(OutputError(error)) = error.downcast_ref()
        && error.kind() == ErrorKind::BrokenPipe
    {
        // The reader closed the pipe: `ls | head` is not an error.
        return ExitCode::SUCCESS;
    }
    let line = printable(&format!("{}: {error}", disk.to_string_lossy()));
    // A failure of this write is ignored.
    let _ = writeln!(std::io::stderr(), "ls: {line}");
    ExitCode::FAILURE
}

fn show(disk: &Path, path: &OsStr) -> Result<(), Failure> {
    let mut memory = [0; 65_536];
    let mut image = Image::open(File::open(disk)?, &mut memory[..])?;
    let volume = disk::first_volume(&mut image)?;
    let mut output = Output::new();
    match &volume.kind {
        Kind::Fat(boot) => fat::show(image, &volume, boot, path, &mut output)?,
        Kind::Ext4 => ext4::show(image.into_parts().0, &volume, path, &mut output)?,
    }
    output.finish()
}
