//! The canonical order of a code's symbols, and the check of its lengths.

use super::InflateError;
use super::work;

/// The lengths of a code's codewords, by symbol, and the number of symbols with each length.
pub(super) struct Code<'l> {
    pub(super) lengths: &'l [u8],
    pub(super) counts: &'l [u16; 16],
    /// Whether the code may have only one codeword, of one bit, or none. As in zlib, the two codes of a block may, and
    /// the code for code lengths may not. All other incomplete codes are refused.
    pub(super) may_be_lone: bool,
}

/// Checks that a code is neither over-subscribed nor incomplete.
fn check(counts: &[u16; 16], may_be_lone: bool) -> Result<(), InflateError> {
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
    Ok(())
}

/// Sorts the symbols of a code by codeword: by length, then by value.
///
/// The first `code.counts[0]` places of `sorted` are those of the symbols without a codeword; they may stay unwritten.
///
/// # Errors
/// `OversubscribedCode`, or `IncompleteCode` if the code is not a lone codeword that it may be.
#[inline(never)]
pub(super) fn sort(code: &Code<'_>, sorted: &mut [u16]) -> Result<(), InflateError> {
    let &Code {
        lengths,
        counts,
        may_be_lone,
    } = code;
    check(counts, may_be_lone)?;
    let mut next = [0_u16; 16];
    let mut sum = 0_u16;
    // Bound: 16 turns.
    for (next, &count) in next.iter_mut().zip(counts) {
        *next = sum;
        sum = sum.wrapping_add(count);
    }
    let (eights, tail) = lengths.as_chunks::<8>();
    // Bound: 36 turns of 8 symbols. Often none of the 8 has a codeword, or all have the same length.
    for (first, eight) in (0..288).step_by(8).zip(eights) {
        let [length, ..] = *eight;
        if *eight != [length; 8] {
            place(first, eight, &mut next, sorted);
        } else if length != 0 {
            place_run(first, length, &mut next, sorted);
        }
    }
    place(u16::try_from(lengths.len() & !7).unwrap_or(0), tail, &mut next, sorted);
    Ok(())
}

/// Writes 8 symbols of the same length to their places. `next` is the next place for each length.
fn place_run(first: u16, length: u8, next: &mut [u16; 16], sorted: &mut [u16]) {
    work::steps(1);
    let Some(next) = next.get_mut(usize::from(length & 15)) else {
        return;
    };
    if let Some(slots) = sorted
        .get_mut(usize::from(*next)..)
        .and_then(<[u16]>::first_chunk_mut::<8>)
    {
        *slots = [0, 1, 2, 3, 4, 5, 6, 7].map(|offset| first.wrapping_add(offset));
    }
    *next = next.wrapping_add(8);
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
