//! Measures reads from slices, whose device costs nothing, and compares them with `memcpy` and with
//! the cipher alone.

use std::hint::black_box;
use std::sync::LazyLock;

use aes::Aes128Dec;
use aes::cipher::{Array, BlockModeDecrypt, InnerIvInit, KeyInit};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use qcow1::{Image, Key};

#[allow(dead_code, reason = "the benches use a part of it")]
#[path = "../tests/common/builder.rs"]
mod builder;
#[allow(dead_code, reason = "the benches use a part of it")]
#[path = "../tests/common/random.rs"]
mod random;

use builder::ImageBuilder;
use random::Random;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// A full disk, too large for a processor's cache.
const FULL: usize = 64 * MIB;
const ENCRYPTED: usize = 16 * MIB;

/// The number of extents of one cluster on a disk of 4 GiB.
const SPARSE: u64 = 4 << 30;
const EXTENTS: u64 = 4096;

const KEY: [u8; 16] = *b"0123456789abcdef";

/// The lengths of reads.
const LENGTHS: [usize; 3] = [512, 4 * KIB, MIB];

static FULL_IMAGE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut image = ImageBuilder::new(FULL as u64);
    image.data(0, &vec![0x5a; FULL]).build()
});

static ENCRYPTED_IMAGE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut image = ImageBuilder::new(ENCRYPTED as u64).encrypted(KEY);
    image.data(0, &vec![0x5a; ENCRYPTED]).build()
});

static SPARSE_IMAGE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut image = ImageBuilder::new(SPARSE);
    for i in 0..EXTENTS {
        image.data(SPARSE / EXTENTS * i, &[0x5a; 4 * KIB]);
    }
    image.build()
});

fn main() {
    divan::main();
}

fn open<'m>(image: &'static [u8], memory: &'m mut [u8]) -> Image<&'static [u8], &'m mut [u8]> {
    Image::open(image, memory).unwrap_or_else(|error| panic!("{error}"))
}

/// Returns memory to lend. It is filled with ones, so that the system maps it now and not inside a
/// bench.
fn memory(len: usize) -> Vec<u8> {
    vec![1; len]
}

/// Opens the full disk, and caches all its tables.
fn open_warm(memory: &mut [u8]) -> Image<&'static [u8], &mut [u8]> {
    let mut image = open(&FULL_IMAGE, memory);
    for at in (0..FULL).step_by(4 * KIB) {
        let _ = black_box(image.extent_at(at as u64, 4096));
    }
    image
}

/// Returns offsets of pieces of `len` bytes of a disk, in sequence, repeated from the start.
fn in_order(disk: usize, len: usize) -> impl FnMut() -> usize {
    let mut next = 0;
    move || {
        let offset = next;
        next = (next + len) % disk;
        offset
    }
}

/// Returns random offsets of pieces of `len` bytes of a disk.
fn at_random(disk: usize, len: usize) -> impl FnMut() -> usize {
    let pieces = (disk / len) as u64;
    let mut random = Random(1);
    move || random.below(pieces) as usize * len
}

/// Looks up a cluster, with all tables in the cache.
#[divan::bench]
fn lookup_hit(bencher: Bencher<'_, '_>) {
    let mut memory = memory(MIB);
    let mut image = open_warm(&mut memory);
    let mut offset = at_random(FULL, 4 * KIB);
    bencher.bench_local(|| image.extent_at(offset() as u64, 4096));
}

/// Looks up a cluster with a cache of one sector: nearly always a read of the L1 and a read of the
/// L2.
#[divan::bench]
fn lookup_miss(bencher: Bencher<'_, '_>) {
    let mut memory = memory(512);
    let mut image = open(&FULL_IMAGE, &mut memory);
    let mut offset = at_random(FULL, 4 * KIB);
    bencher.bench_local(|| image.extent_at(offset() as u64, 4096));
}

fn read(bencher: Bencher<'_, '_>, len: usize, mut offset: impl FnMut() -> usize) {
    let mut memory = memory(MIB);
    let mut image = open_warm(&mut memory);
    let mut buf = vec![1; len];
    bencher
        .counter(BytesCount::new(len))
        .bench_local(|| image.read_at(offset() as u64, black_box(&mut buf)));
}

fn memcpy(bencher: Bencher<'_, '_>, len: usize, mut offset: impl FnMut() -> usize) {
    // The same number of bytes as `read` copies, from other offsets.
    let from: &[u8] = &FULL_IMAGE;
    let mut buf = vec![1; len];
    bencher.counter(BytesCount::new(len)).bench_local(|| {
        let at = offset();
        black_box(&mut buf).copy_from_slice(&from[at..at + len]);
    });
}

#[divan::bench(args = LENGTHS)]
fn read_in_order(bencher: Bencher<'_, '_>, len: usize) {
    read(bencher, len, in_order(FULL, len));
}

#[divan::bench(args = LENGTHS)]
fn read_in_order_memcpy(bencher: Bencher<'_, '_>, len: usize) {
    memcpy(bencher, len, in_order(FULL, len));
}

#[divan::bench(args = LENGTHS)]
fn read_at_random(bencher: Bencher<'_, '_>, len: usize) {
    read(bencher, len, at_random(FULL, len));
}

#[divan::bench(args = LENGTHS)]
fn read_at_random_memcpy(bencher: Bencher<'_, '_>, len: usize) {
    memcpy(bencher, len, at_random(FULL, len));
}

#[divan::bench]
fn extents(bencher: Bencher<'_, '_>) {
    let mut memory = memory(64 * KIB);
    let mut image = open(&SPARSE_IMAGE, &mut memory);
    bencher
        .counter(ItemsCount::new(EXTENTS))
        .bench_local(|| image.extents().map(black_box).count());
}

#[divan::bench]
fn encrypted(bencher: Bencher<'_, '_>) {
    let mut memory = memory(64 * KIB);
    let mut image = open(&ENCRYPTED_IMAGE, &mut memory);
    image.set_key(&Key::from_bytes(KEY));
    let mut offset = in_order(ENCRYPTED, MIB);
    let mut buf = vec![1; MIB];
    bencher
        .counter(BytesCount::new(MIB))
        .bench_local(|| image.read_at(offset() as u64, black_box(&mut buf)));
}

/// Decrypts the same bytes in place, sector by sector, with AES-128-CBC.
#[divan::bench]
fn encrypted_cipher_alone(bencher: Bencher<'_, '_>) {
    let cipher = Aes128Dec::new(&Array(KEY));
    let mut offset = in_order(ENCRYPTED, MIB);
    let mut bytes = ENCRYPTED_IMAGE[ENCRYPTED_IMAGE.len() - ENCRYPTED..].to_vec();
    bencher.counter(BytesCount::new(MIB)).bench_local(|| {
        let start = offset();
        let (blocks, _) = Array::slice_as_chunks_mut(black_box(&mut bytes[start..start + MIB]));
        for (sector, number) in blocks.chunks_mut(512 / 16).zip(start / 512..) {
            let mut iv = [0; 16];
            iv[..8].copy_from_slice(&(number as u64).to_le_bytes());
            cbc::Decryptor::inner_iv_init(&cipher, &Array(iv)).decrypt_blocks(sector);
        }
    });
}
