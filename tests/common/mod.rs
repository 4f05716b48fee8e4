//! Helpers that tests share.
#![allow(dead_code, unused_imports, reason = "each test file uses a part of it")]

pub mod bounds;
pub mod builder;
pub mod checker;
pub mod class;
pub mod devices;
pub mod disks;
pub mod example;
#[cfg(feature = "async")]
pub mod futures;
pub mod oracle;
pub mod qemu_layout;
pub mod random;

pub use builder::ImageBuilder;
pub use class::class;
pub use devices::{Broken, FilledDisk, Log, Strict, TestDevice};
pub use oracle::{Layer, Oracle, Refusal, Rules};
pub use random::Random;

/// Returns bytes that differ in every cluster and every sector, and deflate well.
pub fn pattern(seed: u8, len: usize) -> Vec<u8> {
    (0..len)
        .map(|i| seed ^ (i / 512) as u8 ^ (i / 64 % 8 * 16) as u8 | 1)
        .collect()
}

/// Returns an image of 20,100 bytes, whose size is not a multiple of 512, and its disk.
pub fn image_with_a_partial_last_sector() -> (Vec<u8>, Vec<u8>) {
    let bytes = pattern(4, 20_100);
    let mut builder = ImageBuilder::new(20_100);
    builder.data(0, &bytes);
    (builder.build(), bytes)
}

/// Returns an image and its disk, with every kind of cluster, misaligned tables, and an odd size.
pub fn image_of_every_kind() -> (Vec<u8>, Vec<u8>) {
    let size = 150_001;
    let mut builder = ImageBuilder::new(size).bits(10, 6).l1_at(49).tables_off_by(3);
    let mut guest = vec![0; size as usize];
    for (at, len) in [(0, 5000), (20 << 10, 30_000), (100 << 10, 47_601)] {
        let bytes = pattern(at as u8 ^ 7, len);
        builder.data(at as u64, &bytes);
        guest[at..at + len].copy_from_slice(&bytes);
    }
    for cluster in [60, 61, 62, 70] {
        let bytes = pattern(cluster as u8, 1024);
        builder.compressed(cluster * 1024, &bytes);
        guest[cluster as usize * 1024..][..1024].copy_from_slice(&bytes);
    }
    (builder.build(), guest)
}
