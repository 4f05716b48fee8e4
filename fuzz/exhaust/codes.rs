//! Every code of up to six symbols that a dynamic block can have, for each of its three codes.
//!
//! - Each vector of six code lengths from 0 to 7, with one body: most are refused.
//! - Each vector of a complete code, with each body that repeats 12 bits.
//! - Each complete code for code lengths, with well-formed bodies.
//! - Each pair of a complete code for literals and lengths and a complete one for distances, or one
//!   of a single codeword, or none.

use super::Count;
use super::decoders::Decoders;

/// A prime, so that each part has bodies of every kind.
pub const PARTS: u64 = 61;

/// The number of vectors of six lengths, and of those that are complete: 15 of two symbols, 20 * 3
/// of three, 15 * 13 of four, 6 * 75 of five and 525 of six.
const VECTORS: u64 = 8 * 8 * 8 * 8 * 8 * 8;
const COMPLETE: u64 = 15 + 20 * 3 + 15 * 13 + 6 * 75 + 525;
/// Six codes of a single codeword of one bit, and the code without one.
const DEGENERATE: u64 = 7;

/// The numbers of bodies: patterns, well-formed bodies, and bodies of a pair of codes.
const BODIES: u64 = 1 << 12;
const WELL_FORMED: u64 = 4;
const BODIES_OF_PAIRS: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9];

const KINDS: [Kind; 3] = [Kind::Literals, Kind::Distances, Kind::Lengths];
const ALONE: u64 = 3 * VECTORS;
const WITH_BODIES: u64 = 3 * COMPLETE * BODIES;
const WELL_FORMED_ALL: u64 = COMPLETE * WELL_FORMED;
const PAIRS: u64 = COMPLETE * (COMPLETE + DEGENERATE) * BODIES_OF_PAIRS.len() as u64;
pub const INPUTS: u64 = ALONE + WITH_BODIES + WELL_FORMED_ALL + PAIRS;

/// The symbols that get a codeword: without extra bits and with few and many of them.
const LITLENS: [usize; 6] = [97, 98, 256, 257, 265, 285];
const DISTANCES: [usize; 6] = [0, 1, 4, 7, 13, 29];
const LENGTHS: [usize; 6] = [0, 1, 2, 16, 17, 18];

/// The order in which the lengths of the code for code lengths are stored.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// The code that varies.
#[derive(Clone, Copy)]
enum Kind {
    Literals,
    Distances,
    Lengths,
}

type Vector = [u32; 6];

pub fn run(part: u64) -> Count {
    let all: Vec<Vector> = (0..VECTORS).map(vector).collect();
    let complete: Vec<Vector> = all.iter().copied().filter(|vector| free(vector) == 0).collect();
    assert_eq!(complete.len() as u64, COMPLETE);
    let lone = (0..6).map(|at| std::array::from_fn(|i| u32::from(i == at)));
    let distances: Vec<Vector> = complete.iter().copied().chain(lone).chain([[0; 6]]).collect();
    let mut decoders = Decoders::new();
    for index in (part..INPUTS).step_by(PARTS as usize) {
        let stream = if index < ALONE {
            block(KINDS[at(index, VECTORS)], &all[(index % VECTORS) as usize], 0x1d5)
        } else if index < ALONE + WITH_BODIES {
            let (index, body) = ((index - ALONE) / BODIES, (index - ALONE) % BODIES);
            block(KINDS[at(index, COMPLETE)], &complete[(index % COMPLETE) as usize], body)
        } else if index < ALONE + WITH_BODIES + WELL_FORMED_ALL {
            let index = index - ALONE - WITH_BODIES;
            well_formed(&complete[at(index, WELL_FORMED)], index % WELL_FORMED)
        } else {
            let index = (index - ALONE - WITH_BODIES - WELL_FORMED_ALL) as usize;
            let (pair, body) = (index / 2, BODIES_OF_PAIRS[index % 2]);
            let (litlen, distance) = (&complete[pair / distances.len()], &distances[pair % distances.len()]);
            let mut stream = header(&spread(&LITLENS, litlen), &spread(&DISTANCES, distance));
            stream.number(body, 64).number(!body, 64);
            stream
        };
        decoders.compare(&stream.bytes);
    }
    decoders.count
}

/// Returns the number of an item in a list of which each item has `len` numbers.
fn at(index: u64, len: u64) -> usize {
    (index / len) as usize
}

/// Returns the lengths whose octal number is `number`.
fn vector(number: u64) -> Vector {
    std::array::from_fn(|at| (number >> (3 * at)) as u32 & 7)
}

/// Returns how much of the space of codewords is left, in units of 2^-7. Below 0 there are too
/// many.
fn free(lengths: &[u32]) -> i32 {
    lengths
        .iter()
        .filter(|&&len| len != 0)
        .fold(128, |free, len| free - (128 >> len))
}

/// Returns the lengths of all symbols, of those of six.
fn spread<const N: usize>(symbols: &[usize; 6], vector: &Vector) -> [u32; N] {
    let mut lengths = [0; N];
    for (&symbol, &len) in symbols.iter().zip(vector) {
        lengths[symbol] = len;
    }
    lengths
}

/// Returns a block of which the code `kind` has the lengths of `vector`.
fn block(kind: Kind, vector: &Vector, body: u64) -> Writer {
    let mut writer;
    match kind {
        Kind::Literals => {
            writer = header(&spread(&LITLENS, vector), &spread(&DISTANCES, &[1, 0, 1, 0, 0, 0]));
            writer.repeat(body, 64);
        }
        Kind::Distances => {
            let litlen = spread(&LITLENS, &[2, 3, 3, 1, 0, 0]);
            writer = header(&litlen, &spread(&DISTANCES, vector));
            let words = codewords(&litlen);
            // Bytes that no short distance repeats.
            for bit in 0..20 {
                let symbol = LITLENS[0x9_1a75 >> bit & 1];
                writer.code(words[symbol], litlen[symbol]);
            }
            writer.repeat(body, 64);
        }
        Kind::Lengths => {
            // Of every number of codes.
            writer = start(
                257 + body as usize % 30,
                1 + body as usize / 30 % 30,
                &spread(&LENGTHS, vector),
            );
            writer.repeat(body, 12 * 40);
        }
    }
    writer
}

/// Starts a last, dynamic block of this code for code lengths.
fn start(litlens: usize, distances: usize, precode: &[u32; 19]) -> Writer {
    let mut writer = Writer::default();
    writer.number(1, 1).number(2, 2);
    writer
        .number(litlens as u64 - 257, 5)
        .number(distances as u64 - 1, 5)
        .number(19 - 4, 4);
    for symbol in ORDER {
        writer.number(precode[symbol].into(), 3);
    }
    writer
}

/// Starts a last, dynamic block of these codes.
fn header(litlen: &[u32; 286], distance: &[u32; 30]) -> Writer {
    // Sixteen codewords of four bits.
    let mut precode = [4; 19];
    precode[13..16].fill(0);
    let words = codewords(&precode);
    let mut writer = start(286, 30, &precode);
    let mut zeros = 0;
    for (at, &len) in litlen.iter().chain(distance).enumerate() {
        zeros += u64::from(len == 0);
        let is_last = at + 1 == 286 + 30;
        if zeros == 138 || (len != 0 || is_last) && zeros > 0 {
            while zeros >= 11 {
                let run = zeros.min(138);
                writer.code(words[18], 4).number(run - 11, 7);
                zeros -= run;
            }
            while zeros > 0 {
                writer.code(words[0], 4);
                zeros -= 1;
            }
        }
        if len != 0 {
            writer.code(words[len as usize], 4);
        }
    }
    writer
}

/// Returns a block whose code for code lengths has the lengths of `vector`. The byte 0, the end and
/// a distance have a codeword of one bit. The zeros between the first two are written in one of
/// four ways, and symbols without a codeword are left out.
fn well_formed(vector: &Vector, way: u64) -> Writer {
    let precode = spread(&LENGTHS, vector);
    let words = codewords(&precode);
    let mut writer = start(257, 1, &precode);
    let mut symbol = |symbol: usize, extra: u64, bits: u32| {
        if precode[symbol] != 0 {
            writer.code(words[symbol], precode[symbol]).number(extra, bits);
        }
    };
    symbol(1, 0, 0);
    match way {
        0 => [138, 117].into_iter().for_each(|run| symbol(18, run - 11, 7)),
        1 => [10; 25].into_iter().chain([5]).for_each(|run| symbol(17, run - 3, 3)),
        2 => {
            symbol(0, 0, 0);
            [6; 42].into_iter().for_each(|run| symbol(16, run - 3, 2));
            [0; 2].into_iter().for_each(|zero| symbol(zero, 0, 0));
        }
        _ => [0; 255].into_iter().for_each(|zero| symbol(zero, 0, 0)),
    }
    symbol(1, 0, 0);
    symbol(1, 0, 0);
    // Three times the byte, and the end.
    writer.number(0b1000, 4);
    writer
}

/// Returns the codewords of a code that is not over-subscribed; of another, any numbers.
fn codewords<const N: usize>(lengths: &[u32; N]) -> [u32; N] {
    let mut words = [0; N];
    let mut next = 0_u32;
    for len in 1..=15 {
        for (word, _) in words.iter_mut().zip(lengths).filter(|(_, own)| **own == len) {
            *word = next;
            next = next.wrapping_add(1);
        }
        next = next.wrapping_mul(2);
    }
    words
}

/// Writes bits in the order of the format.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    used: u32,
}

impl Writer {
    /// Appends the lowest `bits` bits of a number, 64 at most, lowest bit first.
    fn number(&mut self, value: u64, bits: u32) -> &mut Self {
        let start = self.used % 8;
        let begun = if start == 0 { 0 } else { self.bytes.pop().unwrap_or(0) };
        let value = u128::from(value) & ((1 << bits) - 1);
        let all = (value << start | u128::from(begun)).to_le_bytes();
        self.bytes
            .extend_from_slice(&all[..(start + bits).div_ceil(8) as usize]);
        self.used += bits;
        self
    }

    /// Appends a codeword, highest bit first.
    fn code(&mut self, value: u32, bits: u32) -> &mut Self {
        self.number((value.reverse_bits() >> (32 - bits)).into(), bits)
    }

    /// Appends `bits` bits that repeat the lowest 12 of `pattern`.
    fn repeat(&mut self, pattern: u64, bits: u32) {
        for start in (0..bits).step_by(12) {
            self.number(pattern, (bits - start).min(12));
        }
    }
}
