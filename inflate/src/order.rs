//! The canonical order of a code's symbols, and the check of its lengths.

use super::InflateError::{self, IncompleteCode, OversubscribedCode};
use super::compact::ENDS;
use super::{FAST_HEADERS, work};

/// Sorts the symbols of a code by codeword: by length, then by value.
///
/// `lengths` are the lengths of the codewords by symbol. `code` gets the ends and the symbols, see
/// [`ENDS`]. With the feature `fast`, its first words must be the numbers of symbols with each
/// length.
///
/// # Errors
/// `OversubscribedCode`, and `IncompleteCode` unless the code has only one codeword, of one bit, or
/// none. zlib accepts these too.
#[inline(never)]
pub(super) fn sort_symbols(lengths: &[u8], code: &mut [u16]) -> Result<(), InflateError> {
    let Some((ends, symbols)) = code.split_first_chunk_mut::<ENDS>() else {
        return Ok(());
    };
    if !FAST_HEADERS {
        count_lengths(lengths, ends);
    }
    // At first, the word of a length is the start of its symbols. Each symbol that is written makes
    // it larger by one.
    let mut start = 0_u32;
    // A codeword takes the place of this many codewords of 15 bits.
    let mut places = PLACES;
    let mut taken = 0_u32;
    let [no_bits, more_bits @ ..] = &mut *ends;
    *no_bits = 0;
    // Bound: 15 turns.
    for word in more_bits {
        places >>= 1;
        let count = u32::from(*word);
        *word = low_half(start);
        start = start.wrapping_add(count);
        taken = taken.wrapping_add(count.wrapping_mul(places));
    }
    if taken > PLACES {
        return Err(OversubscribedCode);
    }
    // The second number is that of codewords of one bit only.
    if taken != PLACES && taken != start.wrapping_mul(PLACES / 2) {
        return Err(IncompleteCode);
    }
    for_each_run(lengths, |first, length, number| {
        work::count_steps(1);
        if length != 0
            && let Some(end) = ends.get_mut(usize::from(length & 15))
        {
            let slots = symbols.get_mut(usize::from(*end)..).unwrap_or_default();
            // Bound: `number` turns, one or eight.
            for (after, slot) in (0..number).zip(slots) {
                *slot = first.wrapping_add(after);
            }
            *end = end.wrapping_add(number);
        }
    });
    Ok(())
}

/// Returns the lowest 16 bits.
#[inline(always)]
fn low_half(value: u32) -> u16 {
    let [low, high, ..] = value.to_le_bytes();
    u16::from_le_bytes([low, high])
}

/// The number of places for codewords of 15 bits.
const PLACES: u32 = 1 << 15;

/// Counts the symbols with each length.
#[inline(always)]
pub(super) fn count_lengths(lengths: &[u8], counts: &mut [u16; ENDS]) {
    *counts = [0; ENDS];
    for_each_run(lengths, |_, length, number| add_length(counts, length, number));
}

/// Adds `number` symbols with a length.
#[inline(always)]
pub(super) fn add_length(counts: &mut [u16; ENDS], length: u8, number: u16) {
    if let Some(count) = counts.get_mut(usize::from(length & 15)) {
        *count = count.wrapping_add(number);
    }
}

/// Calls `run` with the first symbol of each run of symbols with equal lengths, the length, and the
/// number of symbols: one, or with the feature `fast` also eight.
#[inline(always)]
fn for_each_run(lengths: &[u8], mut run: impl FnMut(u16, u8, u16)) {
    if FAST_HEADERS {
        let (eights, tail) = lengths.as_chunks::<8>();
        // Bound: 39 turns of 8 symbols. Often none of the 8 has a codeword, or all have the same
        // length.
        for (first, eight) in (0..320).step_by(8).zip(eights) {
            let [length, ..] = *eight;
            if *eight == [length; 8] {
                run(first, length, 8);
            } else {
                for (symbol, &length) in (first..first.wrapping_add(8)).zip(eight) {
                    run(symbol, length, 1);
                }
            }
        }
        let first = u16::try_from(lengths.len() & !7).unwrap_or(0);
        for (symbol, &length) in (first..first.wrapping_add(8)).zip(tail) {
            run(symbol, length, 1);
        }
    } else {
        let mut symbol = 0_u16;
        // Bound: 316 turns, the maximum number of lengths.
        for &length in lengths {
            run(symbol, length, 1);
            symbol = symbol.wrapping_add(1);
        }
    }
}
