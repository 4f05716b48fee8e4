//! The decoding loop for buffers of 64 bits, far from the ends of the input and of the output.
//!
//! The time that a symbol takes is that of its look-up and of a wrong guess of the processor whether the next symbol is a
//! literal. So both are begun as early as possible: bits are dropped before the test, and a distance is looked up before
//! anything else is done with a length.

use super::InflateError::DistanceTooFar;
use super::bits::{Bits, REFILLED};
use super::copy::{STEP, TWO_STEPS, copy_any, step};
use super::entry::{DISTANCE_BITS, Entry, LITLEN_BITS, Short};
use super::symbols::{self, Stop};
use super::table::Tables;

/// The maximum number of bits that a turn takes: a literal, and a length and a distance with 5 and 13 extra bits, all of
/// the first level.
const TURN: u32 = LITLEN_BITS + LITLEN_BITS + 5 + DISTANCE_BITS + 13;

/// Whether a refilled buffer has the bits for a turn, and those above its count are enough to look up the next entry.
pub(super) const WIDE: bool = REFILLED >= TURN && usize::BITS >= TURN + LITLEN_BITS;

/// Decodes symbols into `output` from `at` on, until the block ends or few bytes of the input or the output are left.
/// Returns the end of the bytes written.
#[inline(never)]
pub(super) fn decode(bits: &mut Bits<'_>, output: &mut [u8], at: usize, tables: &Tables) -> (usize, Stop) {
    // A local copy stays in registers.
    let mut own = *bits;
    let result = run(&mut own, output, at, tables);
    *bits = own;
    result
}

#[inline(always)]
fn run(bits: &mut Bits<'_>, output: &mut [u8], mut at: usize, tables: &Tables) -> (usize, Stop) {
    let Some(ahead) = bits.ahead() else {
        return (at, Stop::Full);
    };
    bits.fill(ahead);
    let mut entry = tables.litlen_entry(bits.buffer);
    // Bound: every turn writes a byte of the output or more, or ends the loop.
    loop {
        let mut after = bits.buffer.wrapping_shr(entry.bits());
        if entry.is_literal() {
            let Some(byte) = output.get_mut(at) else { break };
            *byte = entry.byte();
            at = at.wrapping_add(1);
            bits.dropped(entry.bits(), after);
            entry = tables.litlen_entry(after);
            after = after.wrapping_shr(entry.bits());
            if entry.is_literal() {
                let Some(byte) = output.get_mut(at) else { break };
                *byte = entry.byte();
                at = at.wrapping_add(1);
                bits.dropped(entry.bits(), after);
                entry = tables.litlen_entry(after);
                let Some(ahead) = bits.ahead() else { break };
                bits.fill(ahead);
                if entry.is_literal() {
                    continue;
                }
                after = bits.buffer.wrapping_shr(entry.bits());
            }
        }
        let place = tables.distance_entry(after);
        if entry.or_is_special(place) {
            if at >= output.len() {
                break;
            }
            // The address of `bits` must not leave this function: they would not stay in registers.
            let mut own = *bits;
            let (end, stop) = symbols::decode(&mut own, output, at, tables, 1);
            *bits = own;
            at = end;
            if stop != Stop::Full {
                return (at, stop);
            }
            let Some(ahead) = bits.ahead() else { break };
            bits.fill(ahead);
            entry = tables.litlen_entry(bits.buffer);
            continue;
        }
        if output.get(at..).and_then(<[u8]>::first_chunk::<TWO_STEPS>).is_none() {
            break;
        }
        let Some(ahead) = bits.ahead() else { break };
        let length = length(entry, bits.buffer, after);
        bits.dropped(entry.bits(), after);
        let rest = after.wrapping_shr(place.bits());
        let distance = distance(place, after, rest);
        bits.dropped(place.bits(), rest);
        entry = tables.litlen_entry(rest);
        bits.fill(ahead);
        let Some(start) = at.checked_sub(distance) else {
            return (at, Stop::Error(DistanceTooFar));
        };
        // Two steps are enough for most matches. A step must not read bytes that it writes itself.
        if length <= TWO_STEPS && distance >= length.min(STEP) {
            step(output, start, at);
            step(output, start.wrapping_add(STEP), at.wrapping_add(STEP));
            at = at.wrapping_add(length);
        } else {
            at = copy_any(output, at, length, distance);
        }
    }
    (at, Stop::Full)
}

/// Returns the length of an entry. `before` and `after` are the buffer before and after its bits are dropped.
#[inline(always)]
fn length(entry: Short, before: usize, after: usize) -> usize {
    let taken = before ^ after.wrapping_shl(entry.bits());
    let (length, code_bits) = entry.length();
    length.value().wrapping_add(taken.wrapping_shr(code_bits))
}

/// Returns the distance of an entry. `before` and `after` are the buffer before and after its bits are dropped.
#[inline(always)]
fn distance(entry: Entry, before: usize, after: usize) -> usize {
    let taken = before ^ after.wrapping_shl(entry.bits());
    entry.value().wrapping_add(taken.wrapping_shr(entry.code_bits()))
}
