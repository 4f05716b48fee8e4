//! Bytes of all kinds, and their streams.

use std::prelude::v1::*;
use std::vec;

use flate2::{Compress, Compression, FlushCompress};

/// A pseudorandom number generator: xorshift64*.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    pub(super) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.next() >> 56) as u8).collect()
    }
}

/// Returns bytes that differ in every piece of 512 bytes and deflate well.
pub(super) fn pattern(seed: u8, len: usize) -> Vec<u8> {
    (0..len)
        .map(|i| seed ^ (i / 512) as u8 ^ (i / 64 % 8 * 16) as u8 | 1)
        .collect()
}

/// Compresses with zlib to a raw stream. QEMU uses `window_bits` of 12.
pub(super) fn zlib_stream(bytes: &[u8], level: u32, window_bits: u8) -> Vec<u8> {
    let mut zlib = Compress::new_with_window_bits(Compression::new(level), false, window_bits);
    let mut stream = Vec::with_capacity(bytes.len() * 2 + 100);
    zlib.compress_vec(bytes, &mut stream, FlushCompress::Finish).unwrap();
    stream
}

/// Returns data of all kinds, `len` bytes each: zeros, text, a program, noise, a pattern, few symbols, far matches.
pub(super) fn samples(len: usize) -> Vec<Vec<u8>> {
    let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let text = include_str!("../lib.rs").as_bytes();
    let mut random = Random(7);
    let few = random
        .bytes(len)
        .iter()
        .map(|byte| b"abc"[usize::from(byte % 3)])
        .collect();
    let mut far = random.bytes(len / 2);
    far.extend_from_within(..);
    far.resize(len, 0);
    vec![
        vec![0; len],
        text.iter().copied().cycle().take(len).collect(),
        program.iter().copied().skip(program.len() / 3).take(len).collect(),
        random.bytes(len),
        pattern(3, len),
        few,
        far,
    ]
}
