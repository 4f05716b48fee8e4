//! The code lengths at the front of a dynamic block.

use super::InflateError::{self, BadLengthRepeat, NoEndOfBlock, TooManyCodes};
use super::LARGE;
use super::bits::Bits;
use super::compact::{SmallTables, walk};
use super::order::{Incomplete, add, count, sort};
use super::tables::Tables;
use super::work;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The number of bytes that a run of equal lengths writes at a time.
const PIECE: usize = 8;

/// Memory for the code lengths of a block.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(super) struct CodeLengths {
    pub(super) litlen_counts: [u16; 16],
    /// While the code lengths are read, the counts of their code.
    pub(super) distance_counts: [u16; 16],
    /// The lengths of both codes, and space for what the last run of equal lengths writes past its end.
    lengths: [u8; 320 + PIECE],
}

impl SmallTables {
    /// Reads the code lengths of a dynamic block and sorts the symbols of its two codes. The code for code lengths is
    /// looked up in `tables`, if there are any.
    pub(super) fn read(&mut self, bits: &mut Bits<'_>, tables: Option<&mut Tables>) -> Result<(), InflateError> {
        let Self {
            lengths:
                CodeLengths {
                    litlen_counts,
                    distance_counts,
                    lengths,
                },
            litlen,
            distance,
        } = self;
        bits.refill();
        let litlens = bits.take(5).wrapping_add(257);
        let distances = bits.take(5).wrapping_add(1);
        let precodes = bits.take(4).wrapping_add(4);
        if litlens > 286 || distances > 30 {
            return Err(TooManyCodes);
        }
        work::block();

        // All of these arrays are scratch space until the code lengths themselves are read.
        let (precode_lengths, _) = lengths.split_at_mut_checked(ORDER.len()).unwrap_or_default();
        precode_lengths.fill(0);
        // Bound: 19 turns.
        for &symbol in ORDER.get(..precodes).unwrap_or_default() {
            if bits.count() < 3 {
                bits.refill();
            }
            let length = bits.take(3);
            if let Some(slot) = precode_lengths.get_mut(usize::from(symbol)) {
                *slot = u8::try_from(length).unwrap_or(0);
            }
        }
        if LARGE {
            count(precode_lengths, distance_counts);
        }
        sort(precode_lengths, distance_counts, distance, Incomplete::Refused)?;
        let precode = match tables {
            Some(tables) => {
                tables.fill_precode(distance_counts, distance);
                Precode::Table(tables)
            }
            None => Precode::Sorted(distance_counts, distance),
        };
        let all = lengths.get_mut(..litlens.wrapping_add(distances).wrapping_add(PIECE));
        let all = all.unwrap_or_default();
        // A local copy stays in registers.
        let mut own = *bits;
        let result = expand(&mut own, all, &precode, litlen_counts);
        *bits = own;
        result?;

        let (litlen_lengths, rest) = all.split_at_checked(litlens).unwrap_or_default();
        if litlen_lengths.get(256) == Some(&0) {
            return Err(NoEndOfBlock);
        }
        let distance_lengths = rest.get(..distances).unwrap_or_default();
        if LARGE {
            count(distance_lengths, distance_counts);
            for (both, distance) in litlen_counts.iter_mut().zip(&*distance_counts) {
                *both = both.wrapping_sub(*distance);
            }
        }
        sort(litlen_lengths, litlen_counts, litlen, Incomplete::Lone)?;
        sort(distance_lengths, distance_counts, distance, Incomplete::Lone)
    }
}

/// Reads code lengths into `lengths`, except for the last [`PIECE`] bytes, which are space for more of a run. In large
/// code it counts them: beside the look-ups that takes no time, and later it would.
#[inline(always)]
fn expand(
    bits: &mut Bits<'_>,
    lengths: &mut [u8],
    precode: &Precode<'_>,
    counts: &mut [u16; 16],
) -> Result<(), InflateError> {
    *counts = [0; 16];
    let number = lengths.len().saturating_sub(PIECE);
    let mut filled = 0_usize;
    let mut previous = None;
    // Bound: `number` turns, at most 316, since a run has at least one length.
    while filled < number {
        // A codeword and its extra bits have at most 7 + 7 bits.
        if bits.count() < 14 {
            // Small machines get less code, others registers.
            if LARGE {
                bits.refill_inline();
            } else {
                bits.refill();
            }
        }
        let (symbol, code_bits) = match precode {
            Precode::Table(tables) => tables.precode(bits),
            Precode::Sorted(counts, sorted) => walk(bits, counts, *sorted),
        };
        bits.drop(code_bits);
        work::steps(1);
        // Most are single lengths, for which the loop below is too slow.
        if let Ok(length @ 0..16) = u8::try_from(symbol) {
            if let Some(slot) = lengths.get_mut(filled) {
                *slot = length;
            }
            if LARGE {
                add(counts, length, 1);
            }
            filled = filled.wrapping_add(1);
            previous = Some(length);
            continue;
        }
        let (length, least, extra_bits) = match symbol {
            16 => (previous, 3, 2),
            17 => (Some(0), 3, 3),
            _ => (Some(0), 11, 7),
        };
        let repeat = bits.take(extra_bits).wrapping_add(least);
        let end = filled.wrapping_add(repeat);
        let Some(length) = length.filter(|_| end <= number) else {
            return Err(BadLengthRepeat);
        };
        if LARGE {
            add(counts, length, u16::try_from(repeat).unwrap_or(0));
            // Bound: 18 turns, since no run is longer than 138. The next run overwrites what this one writes past its end.
            loop {
                work::steps(1);
                if let Some(piece) = lengths.get_mut(filled..).and_then(<[u8]>::first_chunk_mut::<PIECE>) {
                    *piece = [length; PIECE];
                }
                filled = filled.wrapping_add(PIECE);
                if filled >= end {
                    break;
                }
            }
        } else {
            lengths.get_mut(filled..end).unwrap_or_default().fill(length);
        }
        filled = end;
        previous = Some(length);
    }
    Ok(())
}

/// The code for code lengths.
enum Precode<'t> {
    Table(&'t Tables),
    /// The numbers of symbols of each length, and the symbols, sorted by codeword.
    Sorted(&'t [u16; 16], &'t [u16; 32]),
}

/// The order in which the lengths of the code for code lengths are stored (RFC 1951, section 3.2.7).
const ORDER: [u8; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
