//! The symbols of a block: literals and matches.

use super::InflateError::{self, BadDistance, BadSymbol};
use super::bits::{Bits, REFILLED};
use super::copy::copy_match;
use super::entry::Entry;

/// The two codes of a block.
///
/// A look-up returns the entry of the codeword at the front of `bits`, which is not a link. It takes no bits but those
/// that lead to a second level.
pub(super) trait Codes {
    fn litlen(&self, bits: &mut Bits<'_>) -> Entry;
    fn distance(&self, bits: &mut Bits<'_>) -> Entry;
}

/// Why decoding stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The output is full, or as many symbols as requested are decoded.
    Full,
    /// The block ended.
    End,
    Error(InflateError),
}

/// Decodes at most `limit` symbols into `output` from `at` on. Returns the end of the bytes written.
// It returns two words in registers. A `Result` would take memory and a register for its address.
#[inline(never)]
pub(super) fn decode<C: Codes>(
    bits: &mut Bits<'_>,
    output: &mut [u8],
    mut at: usize,
    codes: &C,
    limit: usize,
) -> (usize, Stop) {
    // A local copy stays in registers.
    let mut own = *bits;
    let mut stop = Stop::Full;
    // Bound: every turn but the last writes a byte of the output or more.
    for _ in 0..limit {
        if at >= output.len() {
            break;
        }
        match symbol(&mut own, output, at, codes) {
            Ok(end) => at = end,
            Err(why) => {
                stop = why;
                break;
            }
        }
    }
    *bits = own;
    (at, stop)
}

/// Decodes a literal or a match to `at`, which must be inside of the output. Returns the end of the bytes written.
#[inline(always)]
fn symbol<C: Codes>(bits: &mut Bits<'_>, output: &mut [u8], at: usize, codes: &C) -> Result<usize, Stop> {
    bits.refill_inline();
    let entry = codes.litlen(bits);
    if entry.is_literal() {
        if let Some(byte) = output.get_mut(at) {
            *byte = entry.byte();
        }
        bits.drop(entry.bits());
        return Ok(at.wrapping_add(1));
    }
    if entry.is_special() {
        bits.drop(entry.bits());
        return Err(if entry.is_end() {
            Stop::End
        } else {
            Stop::Error(BadSymbol)
        });
    }
    let length = value(bits, entry, false);
    // A distance has at most 28 bits: a codeword of 15 bits and 13 extra bits.
    if bits.count() < 28 {
        bits.refill_inline();
    }
    let entry = codes.distance(bits);
    if entry.is_special() {
        return Err(Stop::Error(BadDistance));
    }
    let distance = value(bits, entry, true);
    copy_match(output, at, length, distance).map_err(Stop::Error)
}

/// Takes the codeword and extra bits of a length or distance, and returns its value. `far` is `true` for a distance: a
/// 32-bit buffer may not hold its codeword and extra bits together.
#[inline(always)]
fn value(bits: &mut Bits<'_>, entry: Entry, far: bool) -> usize {
    if far && REFILLED < 28 {
        bits.drop(entry.code_bits());
        bits.refill_inline();
        return entry
            .value()
            .wrapping_add(bits.take(entry.bits().wrapping_sub(entry.code_bits())));
    }
    let taken = bits.take(entry.bits());
    entry.value().wrapping_add(taken.wrapping_shr(entry.code_bits()))
}
