//! The workloads of this crate and the limits that `run.py` measures: each run does one and prints its seconds as JSON.
//!
//! All work is in this process, and the buffers are written before the clock starts, so that all runs over the same
//! bytes are comparable.

mod growth;
mod limits;
#[allow(dead_code, reason = "the benches use a part of it")]
#[path = "../../tests/common/random.rs"]
mod random;
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
    /// Read the whole disk, 1 MiB per read.
    Read {
        #[command(flatten)]
        disk: Disk,
        /// Write the bytes to standard output instead of timing.
        #[arg(long)]
        dump: bool,
    },
    /// Read 4 KiB per read, at random offsets.
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
    /// The limit of `read`: pread of the same bytes of the same files, in the guest's sequence, by 1 MiB or by extent.
    Pread {
        #[command(flatten)]
        disk: Disk,
    },
    /// The limit of `random`: pread of the same bytes of the same files, in the same sequence.
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
    /// A limit of an encrypted disk: the same number of bytes decrypted in the same buffer.
    Aes { bytes: u64 },
    /// Time and device reads by the size of the disk and by the memory lent.
    Growth {
        /// The folder for the sparse images.
        dir: PathBuf,
        /// The full disk that is read with different sizes of memory.
        file: PathBuf,
    },
}

/// A disk: an image and its backing images.
#[derive(Args)]
struct Disk {
    /// The images, top first; one that ends in `.raw` is raw.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Bytes lent to each image.
    #[arg(long, default_value_t = 64 << 10)]
    memory: usize,
    /// The passphrase of an encrypted image.
    #[arg(long)]
    password: Option<String>,
}

/// The offsets of random reads.
#[derive(Args)]
struct Places {
    /// The number of reads that are timed.
    #[arg(long)]
    count: usize,
    /// The number of reads before them.
    #[arg(long, default_value_t = 0)]
    warm_up: usize,
    /// The seed of the offsets.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Advance by this number of bytes instead, from 0, wrapping at the end, as `qemu-img bench` does.
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
