//! The symbols of a block: literals and matches.

use super::InflateError::{self, BadDistance, BadSymbol};
use super::bits::{Bits, REFILLED};
use super::copy::{copy_match, copy_match_inline};
use super::entry::Entry;

/// The two codes of a block.
///
/// A look-up returns the entry of the codeword at the front of `bits` without taking it. If that entry is special,
/// `resolve_litlen` or `resolve_distance` returns the entry to use.
pub(super) trait Codes {
    /// Whether the decoding loop is to be small rather than fast.
    const COMPACT: bool;
    /// The number of literals that a turn may take, without refilling, before its last literal or its length.
    const LITERALS: usize;
    /// The number of bytes of output that a turn of the loop needs.
    const ROOM: usize;
    /// Whether each turn looks up the entry that the next one begins with, before it copies its match.
    const PRELOADS: bool;
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

/// Decodes symbols into `output` from `at` on, until the block ends or fewer than [`Codes::ROOM`] bytes are left.
/// Returns the end of the bytes written, and whether the block ended.
#[inline(never)]
pub(super) fn decode<C: Codes>(
    bits: &mut Bits<'_>,
    output: &mut [u8],
    at: usize,
    codes: &C,
) -> Result<(usize, bool), InflateError> {
    // A local copy stays in registers.
    let mut own = *bits;
    let result = run(&mut own, output, at, codes);
    *bits = own;
    result
}

#[inline(always)]
fn run<C: Codes>(
    bits: &mut Bits<'_>,
    output: &mut [u8],
    mut at: usize,
    codes: &C,
) -> Result<(usize, bool), InflateError> {
    let mut entry = preload(bits, codes);
    // Bound: every turn but the last writes a byte of the output or more.
    while let Some(room) = output.get_mut(at..).and_then(|rest| rest.get_mut(..C::ROOM)) {
        if !C::PRELOADS {
            entry = next(bits, codes);
        }
        // Bound: `C::LITERALS` turns, 3 or none.
        for slot in room.iter_mut().take(C::LITERALS) {
            if !entry.is_literal() {
                break;
            }
            *slot = entry.byte();
            at = at.wrapping_add(1);
            bits.drop(entry.bits());
            entry = codes.litlen(bits);
        }
        if entry.is_literal() {
            at = put(output, at, bits, entry);
            entry = preload(bits, codes);
            continue;
        }
        if entry.is_special() {
            entry = codes.resolve_litlen(bits, entry);
            if entry.is_literal() {
                at = put(output, at, bits, entry);
                entry = preload(bits, codes);
                continue;
            }
            if entry.is_special() {
                bits.drop(entry.bits());
                return if entry.is_end() { Ok((at, true)) } else { Err(BadSymbol) };
            }
        }
        let length = value::<C>(bits, entry, false);

        // A distance has at most 28 bits: a codeword of 15 bits and 13 extra bits.
        if bits.count() < 28 {
            refill::<C>(bits);
        }
        let mut place = codes.distance(bits);
        if place.is_special() {
            place = codes.resolve_distance(bits, place);
            if place.is_special() {
                return Err(BadDistance);
            }
        }
        let distance = value::<C>(bits, place, true);
        entry = preload(bits, codes);
        at = if C::COMPACT {
            copy_match(output, at, length, distance)?
        } else {
            copy_match_inline(output, at, length, distance)?
        };
    }
    Ok((at, false))
}

/// Refills the buffer and looks up the next literal or length.
#[inline(always)]
fn next<C: Codes>(bits: &mut Bits<'_>, codes: &C) -> Entry {
    refill::<C>(bits);
    codes.litlen(bits)
}

/// Does what [`next`] does if the codes preload. Otherwise it does nothing, and the entry is not used.
#[inline(always)]
fn preload<C: Codes>(bits: &mut Bits<'_>, codes: &C) -> Entry {
    if C::PRELOADS { next(bits, codes) } else { Entry::INVALID }
}

/// Writes a literal at `at` and drops its codeword. Returns the end of the bytes written.
#[inline(always)]
fn put(output: &mut [u8], at: usize, bits: &mut Bits<'_>, entry: Entry) -> usize {
    if let Some(byte) = output.get_mut(at) {
        *byte = entry.byte();
    }
    bits.drop(entry.bits());
    at.wrapping_add(1)
}

/// Takes the codeword and extra bits of a length or distance, and returns its value. `far` is `true` for a distance: a
/// 32-bit buffer may not hold its codeword and extra bits together.
#[inline(always)]
fn value<C: Codes>(bits: &mut Bits<'_>, entry: Entry, far: bool) -> usize {
    if far && REFILLED < 28 {
        bits.drop(entry.code_bits());
        refill::<C>(bits);
        return entry
            .value()
            .wrapping_add(bits.take(entry.bits().wrapping_sub(entry.code_bits())));
    }
    let taken = bits.take(entry.bits());
    entry.value().wrapping_add(taken.wrapping_shr(entry.code_bits()))
}

#[inline(always)]
fn refill<C: Codes>(bits: &mut Bits<'_>) {
    if C::COMPACT {
        bits.refill();
    } else {
        bits.refill_inline();
    }
}
