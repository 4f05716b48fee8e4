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

/// Returns words of English in random sequence, in sentences.
fn text(len: usize) -> Vec<u8> {
    let words = "a block cluster device disk driver entry file first guest header host image in is it no of \
                 offset one or part read sector size table that the to two where which with word zero";
    let words: Vec<_> = words.split_whitespace().collect();
    let mut random = Random(11);
    let mut text = Vec::with_capacity(len + 20);
    while text.len() < len {
        text.extend(words[random.below(words.len() as u64) as usize].bytes());
        text.extend(if random.below(9) == 0 { &b".\n"[..] } else { b" " });
    }
    text.truncate(len);
    text
}

/// Returns bytes like the code of a program: instructions of 32 bits with few operations and
/// registers, and small numbers.
fn program(len: usize) -> Vec<u8> {
    let operations = [0x03, 0x13, 0x13, 0x17, 0x23, 0x33, 0x33, 0x63, 0x6f];
    let mut random = Random(13);
    let mut program = Vec::with_capacity(len + 4);
    while program.len() < len {
        let operation = operations[random.below(9) as usize];
        let registers = (random.below(6) << 7) | (random.below(6) << 15);
        let number = (random.below(16) * random.below(16)) << 20;
        program.extend((operation | registers | number).to_le_bytes().into_iter().take(4));
    }
    program.truncate(len);
    program
}

/// Returns data of all kinds, `len` bytes each: zeros, text, a program, noise, a pattern, few
/// symbols, far matches. They are the same in each run, so a test that fails can be repeated.
pub(super) fn samples(len: usize) -> Vec<Vec<u8>> {
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
        text(len),
        program(len),
        random.bytes(len),
        pattern(3, len),
        few,
        far,
    ]
}
