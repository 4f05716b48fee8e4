//! The code lengths at the front of a dynamic block.

use super::InflateError::{self, BadLengthRepeat, NoEndOfBlock, TooManyCodes};
use super::bits::{Bits, ones};
use super::compact::walk;
use super::entry::{Entry, PRECODE, PRECODE_BITS};
use super::order::{Code, sort};
use super::table::Tables;
use super::work;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The number of bytes that a run of equal lengths writes at a time.
const PIECE: usize = 8;

/// The numbers of code lengths of a block.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    /// Those of the literal/length code.
    litlens: usize,
    /// Those of both codes.
    all: usize,
}

/// Memory for the code lengths of a block.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(super) struct CodeLengths {
    pub(super) litlen_counts: [u16; 16],
    pub(super) distance_counts: [u16; 16],
    /// The lengths of both codes, and space for what the last run of equal lengths writes past its end.
    lengths: [u8; 320 + PIECE],
}

impl CodeLengths {
    /// Reads the lengths of a dynamic block's two codes. [`CodeLengths::codes`] returns them afterwards.
    ///
    /// `sorted` is scratch space for the symbols of the code for code lengths. The code is looked up in `tables`, if there
    /// are any.
    pub(super) fn read(
        &mut self,
        bits: &mut Bits<'_>,
        sorted: &mut [u16; 32],
        tables: Option<&mut Tables>,
    ) -> Result<Sizes, InflateError> {
        bits.refill();
        let litlens = bits.take(5).wrapping_add(257);
        let distances = bits.take(5).wrapping_add(1);
        let precodes = bits.take(4).wrapping_add(4);
        if litlens > 286 || distances > 30 {
            return Err(TooManyCodes);
        }
        work::block();
        self.precode(bits, precodes, sorted)?;
        let precode = match tables {
            Some(tables) => Precode::Table(tables.precode(&self.distance_counts, sorted)),
            None => Precode::Sorted(sorted),
        };
        let all = litlens.wrapping_add(distances);
        self.expand(bits, all, &precode)?;
        if self.lengths.get(256) == Some(&0) {
            return Err(NoEndOfBlock);
        }

        self.distance_counts = [0; 16];
        // Bound: 30 turns.
        for &length in self.lengths.get(litlens..all).unwrap_or_default() {
            let length = usize::from(length & 15);
            if let (Some(both), Some(own)) = (self.litlen_counts.get_mut(length), self.distance_counts.get_mut(length))
            {
                *both = both.wrapping_sub(1);
                *own = own.wrapping_add(1);
            }
        }
        Ok(Sizes { litlens, all })
    }

    /// Returns the code of literals and lengths, and that of distances.
    pub(super) fn codes(&self, sizes: Sizes) -> (Code<'_>, Code<'_>) {
        let lengths = self.lengths.get(..sizes.all).unwrap_or_default();
        let (litlen, distance) = lengths.split_at_checked(sizes.litlens).unwrap_or_default();
        let litlen = Code {
            lengths: litlen,
            counts: &self.litlen_counts,
            may_be_lone: true,
        };
        let distance = Code {
            lengths: distance,
            counts: &self.distance_counts,
            may_be_lone: true,
        };
        (litlen, distance)
    }

    /// Reads `number` lengths of the code for code lengths and sorts its symbols. `distance_counts` gets the numbers of
    /// symbols of each length.
    fn precode(&mut self, bits: &mut Bits<'_>, number: usize, sorted: &mut [u16]) -> Result<(), InflateError> {
        // Both arrays are scratch space until the code lengths themselves are read.
        let counts = &mut self.distance_counts;
        let lengths = self.lengths.get_mut(..ORDER.len()).unwrap_or_default();
        lengths.fill(0);
        *counts = [0; 16];
        // Bound: 19 symbols. A refilled buffer holds eight lengths of three bits.
        for eight in ORDER.get(..number).unwrap_or_default().chunks(8) {
            bits.refill();
            for &symbol in eight {
                let length = bits.take(3);
                if let (Some(slot), Some(count)) = (lengths.get_mut(usize::from(symbol)), counts.get_mut(length)) {
                    *slot = u8::try_from(length).unwrap_or(0);
                    *count = count.wrapping_add(1);
                }
            }
        }
        counts[0] = counts[0].wrapping_add(u16::try_from(lengths.len().wrapping_sub(number)).unwrap_or(0));
        let code = Code {
            lengths,
            counts,
            may_be_lone: false,
        };
        sort(&code, sorted)
    }

    /// Reads `number` code lengths of both codes, and counts each length in `litlen_counts`.
    fn expand(&mut self, bits: &mut Bits<'_>, number: usize, precode: &Precode<'_>) -> Result<(), InflateError> {
        let Self {
            litlen_counts: counts,
            distance_counts: precode_counts,
            lengths,
        } = self;
        *counts = [0; 16];
        let mut filled = 0_usize;
        // Not a length, so that repeating it is refused.
        let mut previous = 16_u8;
        // Bound: `number` turns, at most 316, since a run has at least one length.
        while filled < number {
            // A codeword and its extra bits have at most 7 + 7 bits.
            if bits.count() < 14 {
                bits.refill();
            }
            let entry = match precode {
                Precode::Table(table) => table
                    .get(bits.peek(ones(PRECODE_BITS)))
                    .copied()
                    .unwrap_or(Entry::INVALID),
                Precode::Sorted(sorted) => {
                    let (symbol, code_bits) = walk(bits, precode_counts, *sorted);
                    PRECODE.entry(symbol, code_bits)
                }
            };
            let extra = bits.peek(ones(entry.bits())).wrapping_shr(entry.code_bits());
            bits.drop(entry.bits());
            work::steps(1);
            let (length, repeat) = entry.length_and_repeat();
            // Most entries are single lengths, for which the loop below is too slow.
            if repeat == 1 {
                if let (Some(slot), Some(count)) = (lengths.get_mut(filled), counts.get_mut(usize::from(length & 15))) {
                    *slot = length;
                    *count = count.wrapping_add(1);
                }
                filled = filled.wrapping_add(1);
                previous = length;
                continue;
            }
            let length = if entry.is_special() { previous } else { length };
            let repeat = repeat.wrapping_add(extra);
            let end = filled.wrapping_add(repeat);
            let Some(count) = counts.get_mut(usize::from(length)) else {
                return Err(BadLengthRepeat);
            };
            if end > number {
                return Err(BadLengthRepeat);
            }
            *count = count.wrapping_add(u16::try_from(repeat).unwrap_or(0));
            // Bound: 18 turns, since no run is longer than 138. The next run overwrites what this one writes past its
            // end.
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
            filled = end;
            previous = length;
        }
        Ok(())
    }
}

/// The code for code lengths.
enum Precode<'t> {
    Table(&'t [Entry]),
    /// Its symbols, sorted by codeword.
    Sorted(&'t [u16; 32]),
}

/// The order in which the lengths of the code for code lengths are stored (RFC 1951, section 3.2.7).
const ORDER: [u8; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
