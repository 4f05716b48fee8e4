//! The symbols of a block: literals and matches.

use super::InflateError::{self, BadDistance, BadSymbol};
use super::bits::{Bits, REFILLED, ones};
use super::copy::{copy_match, copy_match_inline};
use super::entry::Entry;

/// The two codes of a block.
///
/// A look-up returns the entry of the codeword at the front of `bits`, without taking it. If that entry is special,
/// `resolve_litlen` or `resolve_distance` returns the one to use.
pub(super) trait Codes {
    /// Whether the decoding loop is to be small rather than fast.
    const COMPACT: bool;
    /// Literals that may be taken after a refill and leave enough bits for a length.
    const LITERALS: u32;
    fn litlen(&self, bits: &Bits<'_>) -> Entry;
    fn distance(&self, bits: &Bits<'_>) -> Entry;
    #[inline(always)]
    fn resolve_litlen(&self, _bits: &mut Bits<'_>, entry: Entry) -> Entry {
        entry
    }
    #[inline(always)]
    fn resolve_distance(&self, _bits: &mut Bits<'_>, entry: Entry) -> Entry {
        entry
    }
}

/// Decodes symbols from `at` on, until the block ends or `output` is full. Returns where that is in `output`.
#[inline(never)]
pub(super) fn decode(
    bits: &mut Bits<'_>,
    output: &mut [u8],
    at: usize,
    codes: &impl Codes,
) -> Result<usize, InflateError> {
    // A copy, for it to stay in registers.
    let mut own = *bits;
    let result = run(&mut own, output, at, codes);
    *bits = own;
    result
}

#[inline(always)]
fn run<C: Codes>(bits: &mut Bits<'_>, output: &mut [u8], mut at: usize, codes: &C) -> Result<usize, InflateError> {
    // Bound: every turn but the last writes a byte of the output or more.
    'next: while at < output.len() {
        refill::<C>(bits);
        let mut entry = codes.litlen(bits);
        // Bound: 4 turns.
        for _ in 0..C::LITERALS {
            if !entry.is_literal() {
                break;
            }
            // A full output ends it before bits are taken: they may lie beyond the input.
            let Some(byte) = output.get_mut(at) else { break 'next };
            *byte = entry.byte();
            at = at.wrapping_add(1);
            bits.drop(entry.bits());
            entry = codes.litlen(bits);
        }
        if at >= output.len() {
            break;
        }
        if !entry.is_literal() && entry.is_special() {
            entry = codes.resolve_litlen(bits, entry);
            if !entry.is_literal() && entry.is_special() {
                bits.drop(entry.bits());
                return if entry.is_end() { Ok(at) } else { Err(BadSymbol) };
            }
        }
        if entry.is_literal() {
            if let Some(byte) = output.get_mut(at) {
                *byte = entry.byte();
            }
            at = at.wrapping_add(1);
            bits.drop(entry.bits());
            continue;
        }
        let length = value::<C>(bits, entry, false);

        if bits.count() < 28 {
            refill::<C>(bits);
        }
        let mut entry = codes.distance(bits);
        if entry.is_special() {
            entry = codes.resolve_distance(bits, entry);
            if entry.is_special() {
                return Err(BadDistance);
            }
        }
        let distance = value::<C>(bits, entry, true);
        at = if C::COMPACT {
            copy_match(output, at, length, distance)?
        } else {
            copy_match_inline(output, at, length, distance)?
        };
    }
    Ok(at)
}

/// Takes the codeword and extra bits of a length or distance, and returns that. `far` where 32 bits may not hold both.
#[inline(always)]
fn value<C: Codes>(bits: &mut Bits<'_>, entry: Entry, far: bool) -> usize {
    if far && REFILLED < 28 {
        bits.drop(entry.code_bits());
        refill::<C>(bits);
        return entry
            .value()
            .wrapping_add(bits.take(entry.bits().wrapping_sub(entry.code_bits())));
    }
    let extra = bits.peek(ones(entry.bits())).wrapping_shr(entry.code_bits());
    bits.drop(entry.bits());
    entry.value().wrapping_add(extra)
}

#[inline(always)]
fn refill<C: Codes>(bits: &mut Bits<'_>) {
    if C::COMPACT {
        bits.refill();
    } else {
        bits.refill_inline();
    }
}
