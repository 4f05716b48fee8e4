//! Decoding tables of two levels.

use super::InflateError;
use super::bits::{Bits, REFILLED, ones};
use super::copy::TWO_STEPS;
use super::entry::{DISTANCE, DISTANCE_BITS, Entry, LITLEN, LITLEN_BITS};
use super::fill::fill;
use super::lengths::{CodeLengths, Sizes};
use super::order::sort;
use super::symbols::{Codes, decode};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Working memory of 7,912 bytes. Its initial content is ignored.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct Tables {
    /// 1,334 is the maximum number of entries of both levels, over all complete codes of 288 symbols and 15 bits.
    litlen: [Entry; 1334],
    /// 402 is the same for 32 symbols. The table of the code for code lengths is here until this one is built.
    distance: [Entry; 402],
    lengths: CodeLengths,
    sorted: [u16; 288],
}

const _: () = assert!(size_of::<Tables>() == 7912, "as documented");

/// Whether a refilled buffer holds three literals of the first level, a length and its extra bits.
const WIDE: bool = REFILLED >= 3 * LITLEN_BITS + 20;

impl Tables {
    /// Returns the memory for code lengths, and the scratch space to read them in.
    pub(super) fn lengths(&mut self) -> (&mut CodeLengths, &mut [Entry], &mut [u16]) {
        (&mut self.lengths, &mut self.distance, &mut self.sorted)
    }

    /// Builds the tables of a dynamic block from its code lengths.
    pub(super) fn build(&mut self, sizes: Sizes) -> Result<(), InflateError> {
        let (litlen, distance) = self.lengths.codes(sizes);
        let longest = sort(&LITLEN, &litlen, &mut self.sorted)?;
        fill(&LITLEN, litlen.counts, longest, &self.sorted, &mut self.litlen);
        let longest = sort(&DISTANCE, &distance, &mut self.sorted)?;
        fill(&DISTANCE, distance.counts, longest, &self.sorted, &mut self.distance);
        Ok(())
    }

    /// Decodes symbols into `output` from `at` on, until the block ends or `output` is full. Returns the end of the
    /// bytes written.
    pub(super) fn decode(&self, bits: &mut Bits<'_>, output: &mut [u8], mut at: usize) -> Result<usize, InflateError> {
        let mut ended = false;
        if WIDE {
            (at, ended) = decode(bits, output, at, &Lookup::<true>(self))?;
        }
        if !ended {
            (at, _) = decode(bits, output, at, &Lookup::<false>(self))?;
        }
        Ok(at)
    }
}

/// The codes of a block, in tables. A wide turn takes up to three literals and a match, and needs space for them.
struct Lookup<'t, const WIDE: bool>(&'t Tables);

impl<const WIDE: bool> Codes for Lookup<'_, WIDE> {
    const COMPACT: bool = false;
    const PRELOADS: bool = WIDE;
    const LITERALS: usize = if WIDE { 3 } else { 0 };
    const ROOM: usize = if WIDE { Self::LITERALS + TWO_STEPS } else { 1 };

    #[inline(always)]
    fn litlen(&self, bits: &Bits<'_>) -> Entry {
        first_level(&self.0.litlen, bits, LITLEN_BITS)
    }

    #[inline(always)]
    fn distance(&self, bits: &Bits<'_>) -> Entry {
        first_level(&self.0.distance, bits, DISTANCE_BITS)
    }

    #[inline(always)]
    fn resolve_litlen(&self, bits: &mut Bits<'_>, entry: Entry) -> Entry {
        second_level(&self.0.litlen, bits, entry)
    }

    #[inline(always)]
    fn resolve_distance(&self, bits: &mut Bits<'_>, entry: Entry) -> Entry {
        second_level(&self.0.distance, bits, entry)
    }
}

#[inline(always)]
fn first_level<const N: usize>(table: &[Entry; N], bits: &Bits<'_>, first_bits: u32) -> Entry {
    table
        .get(bits.peek(ones(first_bits)))
        .copied()
        .unwrap_or(Entry::INVALID)
}

/// Follows `entry` if it is a link: drops the bits that led to it and returns the entry of the second level.
#[inline(always)]
fn second_level<const N: usize>(table: &[Entry; N], bits: &mut Bits<'_>, entry: Entry) -> Entry {
    if !entry.is_link() {
        return entry;
    }
    bits.drop(entry.bits());
    let index = entry.value().wrapping_add(bits.peek(ones(entry.code_bits())));
    table.get(index).copied().unwrap_or(Entry::INVALID)
}
