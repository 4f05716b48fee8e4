//! Reads the start of a disk inside a QCOW1 image, asynchronously: `async_read [IMAGE]`.
//!
//! The device here is a file, whose reads complete at once; a driver's reads would wait for an interrupt. The executor
//! is `pollster`, which polls one future to its end. Any other executor works: only `main` uses it. Without arguments,
//! the example reads an image of the repository.

use std::fs::File;
use std::process::ExitCode;

use embedded_io_async::{Read, Seek, SeekFrom};
use qcow1::aio::{self, Image};
use qcow1::{BlockRead, BlockSize};

const DEFAULT_IMAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/plain.qcow");

/// A device as a driver implements it. It reads sectors of 512 bytes, as most disks do.
struct Disk(qcow1::Blocks<File>);

impl aio::BlockRead for Disk {
    type Error = std::io::Error;

    fn block_size(&self) -> BlockSize {
        BlockSize::B512
    }

    async fn size(&mut self) -> std::io::Result<u64> {
        self.0.size()
    }

    async fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> std::io::Result<()> {
        self.0.read_blocks(lba, buf)
    }
}

fn main() -> ExitCode {
    let path = std::env::args().nth(1).unwrap_or_else(|| DEFAULT_IMAGE.into());
    match pollster::block_on(show(&path)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("async_read: {path}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn show(path: &str) -> Result<(), Box<dyn std::error::Error>> {
    let device = Disk(qcow1::Blocks::new(File::open(path)?, BlockSize::B512));
    let mut image = Image::open(device, [0; 16_384]).await?;
    println!("{} bytes", image.size());

    // At any offset, and with any length.
    let mut start = [0; 16];
    let len = image.size().min(16) as usize;
    image.read_at(0, &mut start[..len]).await?;
    println!("the first are {:02x?}", &start[..len]);

    // As a stream.
    let mut cursor = image.cursor();
    cursor.seek(SeekFrom::End(-(len as i64))).await?;
    cursor.read_exact(&mut start[..len]).await?;
    println!("the last are {:02x?}", &start[..len]);
    Ok(())
}
