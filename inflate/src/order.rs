//! The canonical order of a code's symbols, and the check of its lengths.

use super::work;
use super::{InflateError, LARGE};

/// Whether a code may be incomplete, as in zlib.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Incomplete {
    Refused,
    /// The code may have only one codeword, of one bit, or none.
    Lone,
}

/// Sorts the symbols of a code by codeword: by length, then by value.
///
/// `lengths` are the lengths of the codewords by symbol. `counts` gets the numbers of symbols with each length; in
/// large code, they must have been counted before. The first `counts[0]` places of `sorted` are those of the symbols without a codeword; they may stay unwritten.
///
/// # Errors
/// `OversubscribedCode`, or `IncompleteCode` if `incomplete` does not permit the code.
#[inline(never)]
pub(super) fn sort(
    lengths: &[u8],
    counts: &mut [u16; 16],
    sorted: &mut [u16],
    incomplete: Incomplete,
) -> Result<(), InflateError> {
    if !LARGE {
        count(lengths, counts);
    }
    let mut next = [0; 16];
    let mut used = 0_u16;
    let mut longest = 0;
    let mut free = 1_u32;
    // Bound: 16 turns.
    for (bits, (next, &count)) in (0..16).zip(next.iter_mut().zip(&*counts)) {
        *next = used;
        used = used.wrapping_add(count);
        if bits != 0 {
            free = free
                .wrapping_mul(2)
                .checked_sub(count.into())
                .ok_or(InflateError::OversubscribedCode)?;
            if count != 0 {
                longest = bits;
            }
        }
    }
    if free != 0 && (incomplete == Incomplete::Refused || longest > 1) {
        return Err(InflateError::IncompleteCode);
    }
    each(lengths, |first, length, number| {
        work::steps(1);
        if let Some(next) = next.get_mut(usize::from(length & 15)) {
            let slots = sorted.get_mut(usize::from(*next)..).unwrap_or_default();
            // Bound: `number` turns, one or eight.
            for (symbol, slot) in (first..first.wrapping_add(number)).zip(slots) {
                *slot = symbol;
            }
            *next = next.wrapping_add(number);
        }
    });
    Ok(())
}

/// Counts the symbols with each length.
#[inline(always)]
pub(super) fn count(lengths: &[u8], counts: &mut [u16; 16]) {
    *counts = [0; 16];
    each(lengths, |_, length, number| add(counts, length, number));
}

/// Adds `number` symbols with a length.
#[inline(always)]
pub(super) fn add(counts: &mut [u16; 16], length: u8, number: u16) {
    if let Some(count) = counts.get_mut(usize::from(length & 15)) {
        *count = count.wrapping_add(number);
    }
}

/// Calls `run` with the first symbol of each run of symbols with equal lengths, the length, and the number of symbols:
/// one, or in large code also eight.
#[inline(always)]
fn each(lengths: &[u8], mut run: impl FnMut(u16, u8, u16)) {
    let symbols = 0..320;
    if LARGE {
        let (eights, tail) = lengths.as_chunks::<8>();
        // Bound: 39 turns of 8 symbols. Often none of the 8 has a codeword, or all have the same length.
        for (first, eight) in symbols.clone().step_by(8).zip(eights) {
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
        // Bound: 316 turns, the maximum number of lengths.
        for (symbol, &length) in symbols.zip(lengths) {
            run(symbol, length, 1);
        }
    }
}
