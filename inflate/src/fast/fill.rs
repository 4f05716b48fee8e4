//! Fills decoding tables from the lengths of a code.

use super::entry::{Alphabet, Entry, Packed};
use crate::bits::{low_mask, to_usize};
use crate::compact::ENDS;
use crate::work;

/// Fills `table` with the codewords of a code.
///
/// `first_bits` bits index the first level. `code` has the ends and the symbols, see [`ENDS`].
// Separate from `sort_symbols`, so that the stack frames of both do not add up.
#[inline(never)]
pub(super) fn fill(alphabet: &Alphabet, first_bits: u32, code: &[u16], table: &mut [Packed]) {
    let Some((ends, mut symbols)) = code.split_first_chunk::<ENDS>() else {
        return;
    };
    // The numbers of symbols by the length of their codewords: the differences of the ends.
    let mut counts = *ends;
    for (count, before) in counts.iter_mut().skip(1).zip(ends) {
        *count = count.wrapping_sub(*before);
    }
    let longest = (0..16)
        .zip(&counts)
        .rfind(|(_, count)| **count != 0)
        .map_or(0, |(bits, _)| bits);
    let mut codeword = Codeword { value: 0, index: 0 };

    // The table for codewords of up to n bits is two copies of that for n - 1, in which each
    // codeword of n bits has one place. A complete code leaves no place unwritten. An incomplete
    // code has one codeword or none: the places that it leaves stay unused.
    if let Some(start) = table.first_chunk_mut() {
        *start = [Packed::UNUSED; 2];
    }
    // There is nothing to copy until the shortest codeword. But an incomplete code has one codeword,
    // of one bit, or none (`order.rs` checks that), and its unused places are copied too.
    let mut started = longest <= 1;
    // Bound: 11 turns, and over all turns no more codewords than symbols.
    for (bits, &count) in (1..=first_bits).zip(counts.iter().skip(1)) {
        codeword.lengthen();
        if started {
            double(table, 1_usize.wrapping_shl(bits) >> 1);
        }
        if count == 0 {
            continue;
        }
        started = true;
        let (own, rest) = symbols.split_at_checked(usize::from(count)).unwrap_or_default();
        symbols = rest;
        for &symbol in own {
            work::count_steps(1);
            if let Some(slot) = table.get_mut(codeword.index) {
                *slot = Entry::symbol(alphabet, symbol, bits).pack();
            }
            codeword.advance(bits);
        }
    }

    let first_mask = low_mask(first_bits);
    let first_size = first_mask.wrapping_add(1);
    // The start of the next second level.
    let mut free = first_size;
    let mut level = Level {
        prefix: usize::MAX,
        start: 0,
        index_bits: 0,
    };
    // Bound: 7 turns, for codewords of 9 to 15 bits, and over all turns no more codewords than
    // symbols.
    for bits in first_bits.wrapping_add(1)..=longest {
        let own_bits = bits.wrapping_sub(first_bits);
        codeword.lengthen();
        let mut left = counts.get(to_usize(bits)).copied().unwrap_or(0);
        let (own, rest) = symbols.split_at_checked(usize::from(left)).unwrap_or_default();
        symbols = rest;
        for &symbol in own {
            let index = codeword.index;
            if index & first_mask != level.prefix {
                let index_bits = second_level_bits(&counts, bits, left, own_bits);
                level = Level {
                    prefix: index & first_mask,
                    start: free,
                    index_bits,
                };
                free = free.wrapping_add(1_usize.wrapping_shl(index_bits));
                work::count_steps(1);
                if let Some(slot) = table.get_mut(level.prefix) {
                    let after_first = level.start.wrapping_sub(first_size);
                    *slot = Entry::link(after_first, level.index_bits).pack();
                }
            }
            let end = level.start.wrapping_add(1_usize.wrapping_shl(level.index_bits));
            let first_place = level.start.wrapping_add(index.wrapping_shr(first_bits));
            let entry = Entry::symbol(alphabet, symbol, own_bits).pack();
            // Bound: 64 turns. The largest second level has 128 places, and a codeword takes at
            // most every second one.
            for slot in table
                .get_mut(first_place..end)
                .unwrap_or_default()
                .iter_mut()
                .step_by(1_usize.wrapping_shl(own_bits))
            {
                work::count_steps(1);
                *slot = entry;
            }
            codeword.advance(bits);
            left = left.wrapping_sub(1);
        }
    }
}

/// A codeword, as a number and as an index: its first bit is the highest of the number and the
/// lowest of the index.
struct Codeword {
    value: u32,
    index: usize,
}

impl Codeword {
    /// Appends a zero bit. In the index, it is the highest bit, so the index stays the same.
    #[inline(always)]
    fn lengthen(&mut self) {
        self.value = self.value.wrapping_shl(1);
    }

    /// Steps to the next codeword of `bits` bits. After the last one the index is 0.
    #[inline(always)]
    fn advance(&mut self, bits: u32) {
        self.value = self.value.wrapping_add(1);
        // Counting up inverts the last ones and the zero before them, which are the highest bits of
        // the index. The mask has the lower bits, which stay the same.
        let unchanged = (low_mask(bits) >> 1).wrapping_shr(self.value.trailing_zeros());
        self.index ^= low_mask(bits) ^ unchanged;
    }
}

/// The second level that is being filled.
struct Level {
    /// The index of its link in the first level.
    prefix: usize,
    /// The place of its first entry in the table.
    start: usize,
    index_bits: u32,
}

/// Copies the first `size` entries to the `size` places after them.
#[inline(always)]
fn double(table: &mut [Packed], size: usize) {
    if let Some((done, rest)) = table.split_at_mut_checked(size)
        && let Some(copy) = rest.get_mut(..size)
    {
        work::count_steps(size);
        copy.copy_from_slice(done);
    }
}

/// Returns the number of index bits that a second level needs for all codewords with its prefix.
///
/// Its first codeword has `bits` bits, of which `own_bits` come after the prefix. `left` codewords
/// of that length remain, with the first.
fn second_level_bits(counts: &[u16; 16], bits: u32, left: u16, own_bits: u32) -> u32 {
    let mut index_bits = own_bits;
    // How many places of a level with `index_bits` bits are taken by the remaining codewords that
    // have at most so many bits after the prefix. With one bit more, each takes twice as many.
    let mut used = u32::from(left);
    // Bound: 6 turns, for codewords of 10 to 15 bits.
    for &count in counts.iter().skip(to_usize(bits).wrapping_add(1)) {
        if used >= 1_u32.wrapping_shl(index_bits) {
            break;
        }
        index_bits = index_bits.wrapping_add(1);
        used = used.wrapping_mul(2).wrapping_add(u32::from(count));
    }
    index_bits
}
