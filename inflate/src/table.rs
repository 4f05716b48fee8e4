//! Decoding tables of two levels.

use super::bits::{Bits, ones};
use super::compact::SmallTables;
use super::entry::{DISTANCE, DISTANCE_BITS, Entry, LITLEN, LITLEN_BITS, PRECODE, Packed, Short};
use super::fill::fill;
use super::symbols::{Codes, Stop, decode};
use super::wide::{self, WIDE};
use super::work;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Tables of 6,292 bytes. Their initial content is ignored.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct Tables {
    /// 402 is the maximum number of entries of both levels, over all complete codes of 32 symbols and 15 bits. The table of
    /// the code for code lengths is here until this one is built.
    distance: [Entry; 402],
    /// 2,342 is the same for 288 symbols.
    litlen: [Packed; 2342],
}

/// [`Tables`] with the memory in which a block begins.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct FastTables {
    pub(super) tables: Tables,
    pub(super) small: SmallTables,
}

const _: () = assert!(size_of::<FastTables>() == 7324, "as documented");

impl Tables {
    /// Returns the table of the code for code lengths, whose symbols are sorted by codeword.
    pub(super) fn precode(&mut self, counts: &[u16; 16], sorted: &[u16]) -> &[Entry] {
        fill(&PRECODE, counts, sorted, &mut self.distance);
        &self.distance
    }

    /// Fills the tables of a dynamic block, whose symbols are sorted.
    pub(super) fn fill(&mut self, small: &SmallTables) {
        work::tables();
        fill(&LITLEN, &small.lengths.litlen_counts, &small.litlen, &mut self.litlen);
        fill(
            &DISTANCE,
            &small.lengths.distance_counts,
            &small.distance,
            &mut self.distance,
        );
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
