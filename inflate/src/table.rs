//! Decoding tables of two levels.

use super::InflateError;
use super::bits::{Bits, ones};
use super::entry::{DISTANCE, DISTANCE_BITS, Entry, LITLEN, LITLEN_BITS, Packed, Short};
use super::fill::fill;
use super::lengths::{CodeLengths, Sizes};
use super::order::sort;
use super::symbols::{Codes, Stop, decode};
use super::wide::{self, WIDE};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Working memory of 7,260 bytes. Its initial content is ignored.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct Tables {
    /// 402 is the maximum number of entries of both levels, over all complete codes of 32 symbols and 15 bits. The table of
    /// the code for code lengths is here until this one is built.
    distance: [Entry; 402],
    /// 2,342 is the same for 288 symbols.
    litlen: [Packed; 2342],
    lengths: CodeLengths,
    sorted: [u16; 288],
}

const _: () = assert!(size_of::<Tables>() == 7260, "as documented");

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
    pub(super) fn decode(&self, bits: &mut Bits<'_>, output: &mut [u8], at: usize) -> (usize, Stop) {
        let (at, stop) = if WIDE {
            wide::decode(bits, output, at, self)
        } else {
            (at, Stop::Full)
        };
        if stop == Stop::Full {
            decode(bits, output, at, self, usize::MAX)
        } else {
            (at, stop)
        }
    }

    /// Returns the entry of the first level for a buffer.
    #[inline(always)]
    pub(super) fn litlen_entry(&self, buffer: usize) -> Short {
        let index = buffer & ones(LITLEN_BITS);
        self.litlen.get(index).copied().unwrap_or(Packed::INVALID).unpack()
    }

    /// Returns the entry of the first level for a buffer.
    #[inline(always)]
    pub(super) fn distance_entry(&self, buffer: usize) -> Entry {
        let index = buffer & ones(DISTANCE_BITS);
        self.distance.get(index).copied().unwrap_or(Entry::INVALID)
    }
}

impl Codes for Tables {
    #[inline(always)]
    fn litlen(&self, bits: &mut Bits<'_>) -> Entry {
        let mut entry = self.litlen_entry(bits.buffer);
        if entry.is_link() {
            bits.drop(LITLEN_BITS);
            let second = self.litlen.get(1 << LITLEN_BITS..).unwrap_or_default();
            let index = entry.start().wrapping_add(bits.peek(ones(entry.bits() & 15)));
            entry = second.get(index).copied().unwrap_or(Packed::INVALID).unpack();
        }
        entry.entry()
    }

    #[inline(always)]
    fn distance(&self, bits: &mut Bits<'_>) -> Entry {
        let entry = self.distance_entry(bits.buffer);
        if !entry.is_special() || !entry.is_link() {
            return entry;
        }
        bits.drop(entry.bits());
        let index = entry.value().wrapping_add(bits.peek(ones(entry.code_bits())));
        self.distance.get(index).copied().unwrap_or(Entry::INVALID)
    }
}
