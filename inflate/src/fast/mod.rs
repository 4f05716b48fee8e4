//! Decoding with tables of two levels.

mod entry;
mod fill;
mod wide;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::bits::{Bits, REFILLED, low_mask};
use crate::compact::SmallTables;
use crate::symbols::{Codes, Stop, Token, decode};
use crate::work;
use entry::{DISTANCE, DISTANCES, Entry, LENGTHS, LITLEN, PRECODE, Packed};
use fill::fill;
use wide::WIDE;

/// Bits that index the first level of the literal/length table.
const LITLEN_BITS: u32 = 11;
/// Bits that index the first level of the distance table.
const DISTANCE_BITS: u32 = 8;

/// Bits of the longest codeword of the code for code lengths, whose table has one level.
const PRECODE_BITS: u32 = 7;

/// Tables of 5,488 bytes. Their initial content is ignored.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct Tables {
    /// 402 is the maximum number of entries of both levels, over all complete codes of 32 symbols
    /// and 15 bits.
    distance: [Packed; 402],
    /// 2,342 is the same for 288 symbols. The table of the code for code lengths is here until this
    /// one is built.
    litlen: [Packed; 2342],
}

impl Tables {
    /// Fills the table of the code for code lengths, whose symbols are sorted by codeword.
    pub(crate) fn fill_precode(&mut self, code: &[u16]) {
        fill(&PRECODE, PRECODE_BITS, code, &mut self.litlen);
    }

    /// Takes a codeword of the code for code lengths and returns its symbol.
    #[inline(always)]
    pub(crate) fn take_precode(&self, bits: &mut Bits<'_>) -> usize {
        let index = bits.peek() & low_mask(PRECODE_BITS);
        let entry = self.litlen.get(index).copied().unwrap_or(Packed::UNUSED).unpack();
        bits.consume(entry.bits());
        entry.byte().into()
    }

    /// Fills the tables of a dynamic block, whose symbols are sorted by codeword.
    pub(crate) fn fill(&mut self, small: &SmallTables) {
        work::count_tables();
        fill(&LITLEN, LITLEN_BITS, &small.litlen, &mut self.litlen);
        fill(&DISTANCE, DISTANCE_BITS, &small.distance, &mut self.distance);
    }

    /// Decodes symbols into `output`, starting at `at`, until the block ends or `output` is full.
    /// Returns the end of the bytes written.
    pub(crate) fn decode(&self, bits: &mut Bits<'_>, output: &mut [u8], at: usize) -> (usize, Stop) {
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
    fn litlen_entry(&self, buffer: usize) -> Entry {
        entry(&self.litlen, buffer & low_mask(LITLEN_BITS))
    }

    /// Returns the entry of the first level for a buffer.
    #[inline(always)]
    fn distance_entry(&self, buffer: usize) -> Entry {
        entry(&self.distance, buffer & low_mask(DISTANCE_BITS))
    }
}

#[inline(always)]
fn entry(table: &[Packed], index: usize) -> Entry {
    table.get(index).copied().unwrap_or(Packed::UNUSED).unpack()
}

/// Looks up the next codeword in a table of which `first_bits` bits index the first level. Drops
/// the bits that lead to the second level.
#[inline(always)]
fn look_up(bits: &mut Bits<'_>, table: &[Packed], first_bits: u32) -> Entry {
    bits.refill_inline();
    let first = entry(table, bits.peek() & low_mask(first_bits));
    if !first.is_link() {
        return first;
    }
    bits.consume(first_bits);
    let index = bits.peek() & low_mask(first.bits() & 0xf);
    let second = 1_usize.wrapping_shl(first_bits).wrapping_add(first.start());
    entry(table, second.wrapping_add(index))
}

impl Codes for Tables {
    #[inline(always)]
    fn take_litlen(&self, bits: &mut Bits<'_>) -> Token {
        let entry = look_up(bits, &self.litlen, LITLEN_BITS);
        let before = bits.buffer;
        bits.consume(entry.bits());
        if entry.is_literal() {
            Token::Literal(entry.byte())
        } else if !entry.is_special() {
            Token::Length(entry.value(&LENGTHS, before, bits.buffer))
        } else if entry.is_end() {
            Token::End
        } else {
            Token::Bad
        }
    }

    #[inline(always)]
    fn take_distance(&self, bits: &mut Bits<'_>) -> Option<usize> {
        let entry = look_up(bits, &self.distance, DISTANCE_BITS);
        if entry.is_special() {
            return None;
        }
        if REFILLED < 15 + 13 {
            // The buffer may lack extra bits, so they are taken by themselves.
            let (base, extra_bits) = entry.base(&DISTANCES);
            bits.consume((entry.bits() & 0x3f).wrapping_sub(extra_bits));
            bits.refill_inline();
            return Some(base.wrapping_add(bits.take(extra_bits)));
        }
        let before = bits.buffer;
        bits.consume(entry.bits());
        Some(entry.value(&DISTANCES, before, bits.buffer))
    }
}
