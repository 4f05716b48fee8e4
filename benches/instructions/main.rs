//! Makes the calls whose instructions `run.sh` counts.
//!
//! `instructions CASE` prepares a case, makes its calls, and prints the number of calls and of
//! device reads. Callgrind counts the instructions of the functions of [`counted`] and of their
//! callees, except the device's driver.

mod counted;
mod device;
mod images;

use std::process::ExitCode;

use qcow1::{Chain, Image};

use counted::{counted_chain_read, counted_extent, counted_open, counted_read};
use device::Device;
use images::{Order, full, overlay};
use random::Random;

#[allow(dead_code, reason = "the images here have only tables")]
#[path = "../../tests/common/builder.rs"]
mod builder;
#[allow(dead_code, reason = "the benches use a part of it")]
#[path = "../../tests/common/random.rs"]
mod random;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const CLUSTER: u64 = 4 * KIB;
/// The number of guest bytes that an L2 table of 4 KiB maps.
const SPAN: u64 = 2 * MIB;

/// A disk with 32 L2 tables.
const DISK: u64 = 32 * SPAN;
/// A disk with 512 L2 tables, of which 64 KiB of memory hold at most 1/32.
const LARGE_DISK: u64 = 512 * SPAN;

/// Memory that holds all tables of a [`DISK`], also of an overlay.
const ALL_TABLES: u64 = 4 * MIB;

/// The counts of a case.
struct Calls {
    count: usize,
    device_reads: u64,
}

type Case = fn() -> Calls;

const CASES: [(&str, Case); 9] = [
    ("open", open),
    ("table", || {
        read(Order::Ascending, 1000, at_random(SPAN, CLUSTER), CLUSTER)
    }),
    ("random", || {
        read(Order::Ascending, 1000, at_random(DISK, CLUSTER), CLUSTER)
    }),
    ("ragged", || {
        // Starts and ends inside a block.
        let offsets = at_random(DISK - CLUSTER, CLUSTER).map(|offset| offset + 100);
        read(Order::Ascending, 1000, offsets, CLUSTER)
    }),
    ("extent", extent),
    ("in-order", || read(Order::Ascending, 64, in_order(DISK, MIB), MIB)),
    ("scattered", || read(Order::Scattered, 64, in_order(DISK, MIB), MIB)),
    ("miss", miss),
    ("chain", chain),
];

fn main() -> ExitCode {
    let Some(name) = std::env::args().nth(1) else {
        CASES.iter().for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    };
    let Some((_, run)) = CASES.iter().find(|case| case.0 == name) else {
        eprintln!("There is no case '{name}'.");
        return ExitCode::FAILURE;
    };
    let Calls { count, device_reads } = run();
    println!("{count} {device_reads}");
    ExitCode::SUCCESS
}

/// Opens a disk with 1 MiB lent.
fn open() -> Calls {
    let mut device = full(DISK, Order::Ascending);
    device.start();
    let mut memory = memory(MIB);
    let count = 100;
    for _ in 0..count {
        counted_open(&mut device, &mut memory);
    }
    Calls {
        count,
        device_reads: device.reads,
    }
}

/// Reads pieces of `len` bytes of a disk whose tables are all cached.
fn read(order: Order, count: usize, offsets: impl Iterator<Item = u64>, len: u64) -> Calls {
    let mut memory = memory(ALL_TABLES);
    let mut image = open_warm(full(DISK, order), &mut memory);
    read_all(&mut image, count, offsets, len)
}

/// Reads random clusters, with most tables not cached.
fn miss() -> Calls {
    let mut memory = memory(64 * KIB);
    let mut image = Image::open(full(LARGE_DISK, Order::Ascending), &mut memory[..]).unwrap();
    read_all(&mut image, 1000, at_random(LARGE_DISK, CLUSTER), CLUSTER)
}

fn read_all(image: &mut Image<Device, &mut [u8]>, count: usize, offsets: impl Iterator<Item = u64>, len: u64) -> Calls {
    image.device_mut().start();
    let mut buf = memory(len);
    for offset in offsets.take(count) {
        counted_read(image, offset, &mut buf);
    }
    Calls {
        count,
        device_reads: image.device_mut().reads,
    }
}

/// Looks up random clusters, with all tables cached.
fn extent() -> Calls {
    let mut memory = memory(ALL_TABLES);
    let mut image = open_warm(full(DISK, Order::Ascending), &mut memory);
    image.device_mut().start();
    let count = 1000;
    for offset in at_random(DISK, CLUSTER).take(count) {
        counted_extent(&mut image, offset, CLUSTER);
    }
    Calls {
        count,
        device_reads: image.device_mut().reads,
    }
}

/// Reads random clusters through two overlays that each have 1/16 of the disk, with all tables
/// cached.
fn chain() -> Calls {
    let disks = [
        overlay(DISK, 640 * KIB),
        overlay(DISK, 256 * KIB),
        full(DISK, Order::Ascending),
    ];
    let mut memories = [(); 3].map(|()| memory(ALL_TABLES));
    let mut chain = Chain::<_, 3>::new();
    for (disk, memory) in disks.into_iter().zip(&mut memories) {
        chain.push(open_warm(disk, memory)).unwrap();
    }
    for level in 0..3 {
        chain.image_mut(level).unwrap().device_mut().start();
    }
    let count = 1000;
    let mut buf = memory(CLUSTER);
    for offset in at_random(DISK, CLUSTER).take(count) {
        counted_chain_read(&mut chain, offset, &mut buf);
    }
    let device_reads = (0..3)
        .map(|level| chain.image_mut(level).unwrap().device_mut().reads)
        .sum();
    Calls { count, device_reads }
}

/// Opens an image, and caches all its tables.
fn open_warm(device: Device, memory: &mut [u8]) -> Image<Device, &mut [u8]> {
    let mut image = Image::open(device, memory).unwrap();
    for offset in (0..DISK).step_by(512 * 64) {
        image.extent_at(offset, 1).unwrap();
    }
    image
}

fn memory(len: u64) -> Vec<u8> {
    vec![1; usize::try_from(len).unwrap()]
}

/// Returns offsets of pieces of `len` bytes of a disk, in sequence, repeated from the start.
fn in_order(disk: u64, len: u64) -> impl Iterator<Item = u64> {
    (0..disk / len).cycle().map(move |piece| piece * len)
}

/// Returns random offsets of pieces of `len` bytes of a disk.
fn at_random(disk: u64, len: u64) -> impl Iterator<Item = u64> {
    let mut random = Random(1);
    std::iter::repeat_with(move || random.below(disk / len) * len)
}
