//! The symbols of a block: literals and matches.

use super::InflateError::{self, BadDistance, BadSymbol};
use super::bits::{Bits, REFILLED, ones};
use super::copy::copy_match;
use super::table::{DISTANCE_BITS, Entry, LITLEN_BITS, Tables};

/// Literals of the first level that may be taken after a refill and leave bits enough for a length.
const LITERALS: u32 = (REFILLED - 20) / LITLEN_BITS;

/// Decodes symbols from `at` on, until the block ends or `output` is full. Returns where that is in `output`.
pub(super) fn decode(
    bits: &mut Bits<'_>,
    output: &mut [u8],
    at: usize,
    tables: &Tables,
) -> Result<usize, InflateError> {
    // A copy, for it to stay in registers.
    let mut own = *bits;
    let result = run(&mut own, output, at, tables);
    *bits = own;
    result
}

#[inline(always)]
fn run(bits: &mut Bits<'_>, output: &mut [u8], mut at: usize, tables: &Tables) -> Result<usize, InflateError> {
    // Bound: every turn but the last writes a byte of the output or more.
    'next: while at < output.len() {
        bits.refill();
        let mut entry = first_level(&tables.litlen, bits, LITLEN_BITS);
        // Bound: 4 turns.
        for _ in 0..LITERALS {
            if !entry.is_literal() {
                break;
            }
            // A full output ends it before bits are taken: they may lie beyond the input.
            let Some(byte) = output.get_mut(at) else { break 'next };
            *byte = entry.byte();
            at = at.wrapping_add(1);
            bits.drop(entry.bits());
            entry = first_level(&tables.litlen, bits, LITLEN_BITS);
        }
        if at >= output.len() {
            break;
        }
        if !entry.is_literal() && entry.is_special() {
            if entry.is_link() {
                entry = second_level(&tables.litlen, bits, entry);
            }
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
        let length = value(bits, entry, false);

        if bits.count() < 28 {
            bits.refill();
        }
        let mut entry = first_level(&tables.distance, bits, DISTANCE_BITS);
        if entry.is_special() {
            if entry.is_link() {
                entry = second_level(&tables.distance, bits, entry);
            }
            if entry.is_special() {
                return Err(BadDistance);
            }
        }
        let distance = value(bits, entry, true);
        at = copy_match(output, at, length, distance)?;
    }
    Ok(at)
}

#[inline(always)]
fn first_level<const N: usize>(table: &[Entry; N], bits: &Bits<'_>, first_bits: u32) -> Entry {
    table
        .get(bits.peek(ones(first_bits)))
        .copied()
        .unwrap_or(Entry::INVALID)
}

/// Takes the bits that led to the link `entry`, and looks up where it leads.
#[inline(always)]
fn second_level<const N: usize>(table: &[Entry; N], bits: &mut Bits<'_>, entry: Entry) -> Entry {
    bits.drop(entry.bits());
    let index = entry.value().wrapping_add(bits.peek(ones(entry.code_bits())));
    table.get(index).copied().unwrap_or(Entry::INVALID)
}

/// Takes the codeword and extra bits of a length or distance, and returns that. `far` where 32 bits may not hold both.
#[inline(always)]
fn value(bits: &mut Bits<'_>, entry: Entry, far: bool) -> usize {
    if far && REFILLED < 28 {
        bits.drop(entry.code_bits());
        bits.refill();
        return entry
            .value()
            .wrapping_add(bits.take(entry.bits().wrapping_sub(entry.code_bits())));
    }
    let extra = bits.peek(ones(entry.bits())).wrapping_shr(entry.code_bits());
    bits.drop(entry.bits());
    entry.value().wrapping_add(extra)
}
