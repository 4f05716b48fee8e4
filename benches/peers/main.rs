//! What `run.py` measures of this crate, and the limits beside it: one piece of work a run, and its seconds as JSON.
//!
//! Everything happens in this process, with the buffers touched before the clock starts, so that a run is comparable
//! with any other one of the same bytes.

mod growth;
mod limits;
mod readers;
mod work;

use std::error::Error;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    work: Work,
}

#[derive(Subcommand)]
enum Work {
    /// Read the disk from end to end, 1 MiB a read.
    Read {
        #[command(flatten)]
        disk: Disk,
        /// Write the bytes to standard output instead of timing.
        #[arg(long)]
        dump: bool,
    },
    /// Read 4 KiB at a time, all over the disk.
    Random {
        #[command(flatten)]
        disk: Disk,
        #[command(flatten)]
        places: Places,
        /// Load the image into memory first: a slice device.
        #[arg(long)]
        in_memory: bool,
    },
    /// Open the image and read a sector from its middle, many times.
    Open {
        #[command(flatten)]
        disk: Disk,
    },
    /// Walk the runs of the whole disk.
    Extents {
        #[command(flatten)]
        disk: Disk,
    },
    /// The limit of `read`: pread of the same bytes of the same files, in the guest's order, 1 MiB or an extent at a time.
    Pread {
        #[command(flatten)]
        disk: Disk,
    },
    /// The limit of `random`: pread of the same bytes of the same files, in the same order.
    RandomPread {
        #[command(flatten)]
        disk: Disk,
        #[command(flatten)]
        places: Places,
        /// Load the file into memory first: memcpy.
        #[arg(long)]
        in_memory: bool,
    },
    /// The limit of a compressed disk: its clusters inflated from memory into the same buffer, the others copied.
    Inflate {
        #[command(flatten)]
        disk: Disk,
    },
    /// A limit of an encrypted disk: as many bytes decrypted in the same buffer.
    Aes { bytes: u64 },
    /// Time and device reads against the size of the disk and the memory lent.
    Growth {
        /// Where the sparse images are made.
        dir: PathBuf,
        /// The full disk that is read with more and more memory.
        file: PathBuf,
    },
}

/// A disk: an image and what lies below it.
#[derive(Args)]
struct Disk {
    /// The images, top first; one that ends in `.raw` is raw.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Bytes lent to each image.
    #[arg(long, default_value_t = 64 << 10)]
    memory: usize,
    /// What an encrypted image is unlocked with.
    #[arg(long)]
    password: Option<String>,
}

/// Where to read 4 KiB at a time.
#[derive(Args)]
struct Places {
    /// How many reads are timed.
    #[arg(long)]
    count: usize,
    /// How many come before them.
    #[arg(long, default_value_t = 0)]
    warm_up: usize,
    /// The seed of the order.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Go on by so many bytes instead, from 0, and around the end: what `qemu-img bench` does.
    #[arg(long)]
    stride: Option<u64>,
}

fn main() -> Result<(), Box<dyn Error>> {
    match Cli::parse().work {
        Work::Read { disk, dump: true } => readers::dump(&disk),
        Work::Read { disk, dump: false } => readers::read(&disk),
        Work::Random {
            disk,
            places,
            in_memory,
        } => readers::random(&disk, &places, in_memory),
        Work::Open { disk } => readers::open(&disk),
        Work::Extents { disk } => readers::extents(&disk),
        Work::Pread { disk } => limits::pread(&disk),
        Work::RandomPread {
            disk,
            places,
            in_memory,
        } => limits::random(&disk, &places, in_memory),
        Work::Inflate { disk } => limits::inflate(&disk),
        Work::Aes { bytes } => limits::aes(bytes),
        Work::Growth { dir, file } => growth::growth(&dir, &file),
    }
}
