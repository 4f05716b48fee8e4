//! Every stream of up to four bytes.

use super::Count;
use super::decoders::Decoders;

/// One part for each last byte of a stream of four, and one for all shorter streams.
pub const PARTS: u64 = 256 + 1;

pub const INPUTS: u64 = (1 << 32) + (1 << 24) + (1 << 16) + (1 << 8) + 1;

pub fn run(part: u64) -> Count {
    let mut decoders = Decoders::new();
    match u8::try_from(part) {
        Ok(last) => each(&mut decoders, 3, &[last]),
        Err(_) => (0..4).for_each(|len| each(&mut decoders, len, &[])),
    }
    decoders.count
}

/// Runs each stream of `len` bytes, all followed by `last`.
fn each(decoders: &mut Decoders, len: usize, last: &[u8]) {
    let mut stream = [0; 4];
    stream[len..][..last.len()].copy_from_slice(last);
    for number in 0..1_u32 << (8 * len) {
        // The first bytes of neighbors are the same, so the processor predicts their branches.
        stream[..len].copy_from_slice(&number.to_be_bytes()[4 - len..]);
        decoders.compare(&stream[..len + last.len()]);
    }
}
