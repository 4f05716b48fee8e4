//! The canonical order of a code's symbols, and the check of its lengths.

use super::InflateError;
use super::entry::Alphabet;
use super::work;

/// The lengths of a code's codewords, by symbol, and the number of symbols with each length.
pub(super) struct Code<'l> {
    pub(super) lengths: &'l [u8],
    pub(super) counts: &'l [u16; 16],
}

/// Checks that a code is neither over-subscribed nor incomplete, and returns the length of its longest codeword.
fn check(counts: &[u16; 16], may_be_lone: bool) -> Result<u32, InflateError> {
    let mut longest = 0;
    let mut free = 1_u32;
    // Bound: 15 turns.
    for (bits, &count) in (1..16).zip(counts.iter().skip(1)) {
        free = free
            .wrapping_mul(2)
            .checked_sub(u32::from(count))
            .ok_or(InflateError::OversubscribedCode)?;
        if count != 0 {
            longest = bits;
        }
    }
    if free != 0 && !(may_be_lone && longest <= 1) {
        return Err(InflateError::IncompleteCode);
    }
    Ok(longest)
}

/// Sorts the symbols of a code by codeword: by length, then by value. Returns the length of the longest codeword.
///
/// The first `code.counts[0]` places of `sorted` are those of the symbols without a codeword; they may stay unwritten.
///
/// # Errors
/// `OversubscribedCode`, or `IncompleteCode` if `alphabet` does not permit it.
#[inline(never)]
pub(super) fn sort(alphabet: &Alphabet, code: &Code<'_>, sorted: &mut [u16]) -> Result<u32, InflateError> {
    let &Code { lengths, counts } = code;
    let longest = check(counts, alphabet.may_be_lone)?;
    let mut next = [0_u16; 16];
    let mut sum = 0_u16;
    // Bound: 16 turns.
    for (next, &count) in next.iter_mut().zip(counts) {
        *next = sum;
        sum = sum.wrapping_add(count);
    }
    let (eights, tail) = lengths.as_chunks::<8>();
    // Bound: 36 turns of 8 symbols. Often none of the 8 has a codeword.
    for (first, eight) in (0..288).step_by(8).zip(eights) {
        if *eight != [0; 8] {
            place(first, eight, &mut next, sorted);
        }
    }
    place(u16::try_from(lengths.len() & !7).unwrap_or(0), tail, &mut next, sorted);
    Ok(longest)
}

/// Writes the symbols `first` and following to their places. `next` is the next place for each length.
#[inline(always)]
fn place(first: u16, lengths: &[u8], next: &mut [u16; 16], sorted: &mut [u16]) {
    // Bound: 8 turns, the maximum length of `lengths`.
    for (offset, &length) in (0..8).zip(lengths) {
        work::steps(1);
        let Some(next) = next.get_mut(usize::from(length & 15)) else {
            continue;
        };
        if let Some(slot) = sorted.get_mut(usize::from(*next)) {
            *slot = first.wrapping_add(offset);
        }
        *next = next.wrapping_add(1);
    }
}
