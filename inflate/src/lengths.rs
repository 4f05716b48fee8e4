//! The code lengths at the front of a dynamic block.

use super::InflateError::{self, BadLengthRepeat, IncompleteCode, NoEndOfBlock, TooManyCodes};
use super::bits::{Bits, low_byte};
use super::compact::{ENDS, SmallTables, take_symbol};
use super::order::{add_length, count_lengths, sort_symbols};
use super::tables::Tables;
use super::{FAST_HEADERS, SMALL_BUILD, work};

/// The number of bytes that a run of equal lengths writes at a time.
const PIECE: usize = 8;

/// The lengths of both codes of a block, and space for what the last run of equal lengths writes
/// past its end.
pub(super) type CodeLengths = [u8; 320 + PIECE];

impl SmallTables {
    /// Reads the code lengths of a dynamic block and sorts the symbols of its two codes. The code
    /// for code lengths is looked up in `tables`, if there are any.
    pub(super) fn read_header(&mut self, bits: &mut Bits<'_>, tables: Option<&mut Tables>) -> Result<(), InflateError> {
        let Self {
            distance,
            litlen,
            lengths,
        } = self;
        bits.refill();
        let header = bits.take(14);
        let litlens = (header & 31).wrapping_add(257);
        let distances = ((header >> 5) & 31).wrapping_add(1);
        let precodes = (header >> 10).wrapping_add(4);
        if litlens > 286 || distances > 30 {
            return Err(TooManyCodes);
        }
        work::count_block();

        // Until the code lengths are read, their space holds those of their own code. Bound: 19
        // turns.
        for (at, &symbol) in ORDER.iter().enumerate() {
            bits.need(3);
            let length = if at < precodes { bits.take(3) } else { 0 };
            if let Some(slot) = lengths.get_mut(usize::from(symbol)) {
                *slot = low_byte(length);
            }
        }
        let (precode_lengths, _) = lengths.split_at_mut_checked(ORDER.len()).unwrap_or_default();
        if FAST_HEADERS && let Some(counts) = distance.first_chunk_mut() {
            count_lengths(precode_lengths, counts);
        }
        sort_symbols(precode_lengths, distance)?;
        // Unlike the other two, this code must be complete. A code with two codewords or more is.
        if distance[ENDS - 1] < 2 {
            return Err(IncompleteCode);
        }
        let precode = match tables {
            Some(tables) => {
                tables.fill_precode(distance);
                Precode::Table(tables)
            }
            None => Precode::Sorted(distance),
        };
        let number = litlens.wrapping_add(distances);
        // A local copy of a buffer stays in registers. The small build has no buffer.
        let caller_bits = bits;
        let mut local_bits = *caller_bits;
        let bits = if SMALL_BUILD {
            &mut *caller_bits
        } else {
            &mut local_bits
        };
        let result = if FAST_HEADERS && let Some(counts) = litlen.first_chunk_mut() {
            let all = lengths.get_mut(..number.wrapping_add(PIECE)).unwrap_or_default();
            read_lengths_fast(bits, all, &precode, counts)
        } else {
            read_lengths(bits, lengths.get_mut(..number).unwrap_or_default(), &precode)
        };
        if !SMALL_BUILD {
            *caller_bits = local_bits;
        }
        result?;

        let all = lengths.get(..number).unwrap_or_default();
        let (litlen_lengths, rest) = all.split_at_checked(litlens).unwrap_or_default();
        if litlen_lengths.get(256) == Some(&0) {
            return Err(NoEndOfBlock);
        }
        let distance_lengths = rest.get(..distances).unwrap_or_default();
        if FAST_HEADERS && let Some(counts) = distance.first_chunk_mut::<ENDS>() {
            count_lengths(distance_lengths, counts);
            for (both, distance) in litlen.iter_mut().zip(counts) {
                *both = both.wrapping_sub(*distance);
            }
        }
        sort_symbols(litlen_lengths, litlen)?;
        sort_symbols(distance_lengths, distance)
    }
}

/// Fills `lengths` with code lengths.
#[inline(always)]
fn read_lengths(bits: &mut Bits<'_>, lengths: &mut [u8], precode: &Precode<'_>) -> Result<(), InflateError> {
    let mut slots = lengths.iter_mut();
    // The last code length. At first it is none, which cannot be repeated.
    let mut length = usize::MAX;
    // Bound: a turn for each length, at most 316, since a run has at least one.
    while !slots.as_slice().is_empty() {
        // A codeword and its extra bits have at most 7 + 7 bits.
        bits.need(14);
        let symbol = precode.take(bits);
        let mut repeat = 1;
        if symbol < 16 {
            length = symbol;
        } else {
            let (least, extra_bits) = match symbol {
                16 => (3, 2),
                17 => (3, 3),
                _ => (11, 7),
            };
            repeat = bits.take(extra_bits).wrapping_add(least);
            if symbol != 16 {
                length = 0;
            }
            if length > 15 {
                return Err(BadLengthRepeat);
            }
        }
        // Bound: 138 turns, the longest run.
        for _ in 0..repeat {
            work::count_steps(1);
            match slots.next() {
                Some(slot) => *slot = low_byte(length),
                None => return Err(BadLengthRepeat),
            }
        }
    }
    Ok(())
}

/// Fills `lengths` as [`read_lengths`] does, and counts them. Counting here takes no time beside
/// the look-ups; later it would. A run may write past its end, into the last [`PIECE`] bytes of
/// `lengths`.
#[inline(always)]
fn read_lengths_fast(
    bits: &mut Bits<'_>,
    lengths: &mut [u8],
    precode: &Precode<'_>,
    counts: &mut [u16; ENDS],
) -> Result<(), InflateError> {
    *counts = [0; ENDS];
    let number = lengths.len().saturating_sub(PIECE);
    let mut filled = 0_usize;
    let mut previous = None;
    // Bound: `number` turns, at most 316, since a run has at least one length.
    while filled < number {
        // A codeword and its extra bits have at most 7 + 7 bits.
        bits.need(14);
        let symbol = precode.take(bits);
        work::count_steps(1);
        // Most are single lengths, for which the loop below is too slow.
        if let Ok(length @ 0..16) = u8::try_from(symbol) {
            if let Some(slot) = lengths.get_mut(filled) {
                *slot = length;
            }
            add_length(counts, length, 1);
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
        add_length(counts, length, u16::try_from(repeat).unwrap_or(0));
        // Bound: 18 turns, since no run is longer than 138. The next run overwrites what this one
        // writes past its end.
        loop {
            work::count_steps(1);
            if let Some(piece) = lengths.get_mut(filled..).and_then(<[u8]>::first_chunk_mut::<PIECE>) {
                *piece = [length; PIECE];
            }
            filled = filled.wrapping_add(PIECE);
            if filled >= end {
                break;
            }
        }
        filled = end;
        previous = Some(length);
    }
    Ok(())
}

impl Precode<'_> {
    /// Takes a codeword and returns its symbol.
    #[inline(always)]
    fn take(&self, bits: &mut Bits<'_>) -> usize {
        match self {
            Precode::Table(tables) => tables.take_precode(bits),
            Precode::Sorted(code) => take_symbol(bits, code),
        }
    }
}

/// The code for code lengths.
enum Precode<'t> {
    Table(&'t Tables),
    /// Its symbols, sorted by codeword.
    Sorted(&'t [u16]),
}

/// The order in which the lengths of the code for code lengths are stored (RFC 1951, section
/// 3.2.7).
const ORDER: [u8; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
