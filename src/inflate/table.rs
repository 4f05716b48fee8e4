//! The decoding tables: what an entry says, and how a table is built from the lengths of a code.

use super::InflateError;
use super::bits::{ones, word};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bits that index the first level of the literal/length table.
pub(super) const LITLEN_BITS: u32 = 10;
/// Bits that index the first level of the distance table.
pub(super) const DISTANCE_BITS: u32 = 8;
/// Bits of the longest codeword of the code for code lengths, whose table has one level.
pub(super) const PRECODE_BITS: u32 = 7;
/// Room behind the code lengths, for a run of them is written in pieces of this size.
pub(super) const PIECE: usize = 16;

/// Working memory for [`inflate`](super::inflate). Any bytes will do to start with.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct Tables {
    /// 1,334 is the most that first and second level take, over all complete codes of 288 symbols and 15 bits.
    pub(super) litlen: [Entry; 1334],
    /// Likewise for 32 symbols. The code for code lengths borrows it, as it is done with when this one is built.
    pub(super) distance: [Entry; 402],
    pub(super) sorted: [u16; 288],
    pub(super) lengths: [u8; 320 + PIECE],
}

const _: () = assert!(size_of::<Tables>() <= 8192, "the tables fit 8 KiB");

/// What the bits at the front of the buffer stand for, ready to use.
///
/// Bits 0..8 are how many bits to take, extra bits included. Bits 16..31 are the base of a length or distance, or where
/// a second level starts. Bit 31 marks a literal, which is in bits 8..16. In any other entry bits 8..14 are how many of
/// the bits to take are codeword (in a link: how many bits index the second level) and bits 14 and 15 are flags; there
/// they do not disturb a shift by `entry >> 8`, which looks at no more than 6 bits of it.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(transparent)]
pub(super) struct Entry(u32);

const LITERAL: u32 = 1 << 31;
/// Leads to a second level, if the entry is special too.
const LINK: u32 = 1 << 15;
/// Neither a literal nor a base: a link, the end of the block, or else a codeword that stands for nothing.
const SPECIAL: u32 = 1 << 14;
const END: u32 = 1 << 16;

impl Entry {
    pub(super) const INVALID: Self = Self(SPECIAL);
    pub(super) const END_OF_BLOCK: Self = Self(SPECIAL | END);
    /// For the code of code lengths: the previous length again.
    pub(super) const PREVIOUS: Self = Self(SPECIAL | (3 << 24) | 2);

    pub(super) const fn base(base: u32, extra_bits: u32) -> Self {
        Self((base << 16) | extra_bits)
    }

    /// For the code of code lengths: `length`, `repeat` times or more.
    pub(super) const fn run(length: u32, repeat: u32, extra_bits: u32) -> Self {
        Self((repeat << 24) | (length << 16) | extra_bits)
    }

    fn literal(literal: u32, code_bits: u32) -> Self {
        Self(LITERAL | (literal << 8) | code_bits)
    }

    fn link(bits: u32, start: usize, index_bits: u32) -> Self {
        let start = u32::try_from(start).unwrap_or(0);
        Self((start << 16) | SPECIAL | LINK | (index_bits << 8) | bits)
    }

    /// With the length of its codeword added. Not for literals.
    fn coded(self, code_bits: u32) -> Self {
        Self(self.0.wrapping_add(code_bits | (code_bits << 8)))
    }

    /// Bits to take for codeword and extra bits, in the lowest 8 bits; above them is something else.
    #[inline(always)]
    pub(super) fn bits(self) -> u32 {
        self.0
    }

    /// Bits to take for the codeword, in the lowest 6 bits; above them is something else. In a link, the bits that index
    /// the second level. Not for literals.
    #[inline(always)]
    pub(super) fn code_bits(self) -> u32 {
        self.0 >> 8
    }

    #[inline(always)]
    pub(super) fn is_literal(self) -> bool {
        self.0 & LITERAL != 0
    }

    /// Not for literals.
    #[inline(always)]
    pub(super) fn is_special(self) -> bool {
        self.0 & SPECIAL != 0
    }

    /// For special entries.
    #[inline(always)]
    pub(super) fn is_link(self) -> bool {
        self.0 & LINK != 0
    }

    /// For special entries that are no links.
    pub(super) fn is_end(self) -> bool {
        self.0 & END != 0
    }

    /// The literal.
    #[inline(always)]
    pub(super) fn byte(self) -> u8 {
        let [_, byte, ..] = self.0.to_le_bytes();
        byte
    }

    /// The code length of a run, and how often it repeats at least.
    #[inline(always)]
    pub(super) fn length_and_repeat(self) -> (u8, usize) {
        let [_, _, length, repeat] = self.0.to_le_bytes();
        (length, usize::from(repeat))
    }

    /// The base of a length or distance, or where a second level starts. Not for literals.
    #[inline(always)]
    pub(super) fn value(self) -> usize {
        word(self.0 >> 16)
    }
}

/// What the symbols of a code mean.
pub(super) struct Alphabet {
    /// Bits that index the first level.
    pub(super) first_bits: u32,
    /// The first so many symbols are literals.
    pub(super) literals: u16,
    /// The others are these.
    pub(super) others: &'static [Entry],
    /// Whether one codeword of one bit, or none, is a code. zlib grants that to distances and to literals and lengths,
    /// and refuses every other incomplete code; some decoders grant it to the code for code lengths too.
    pub(super) may_be_lone: bool,
}

/// Fills `table` from the `lengths` of a code's symbols; `counts` says how many there are of each length.
pub(super) fn build(
    alphabet: &Alphabet,
    lengths: &[u8],
    counts: &[u16; 16],
    sorted: &mut [u16; 288],
    table: &mut [Entry],
) -> Result<(), InflateError> {
    let longest = check(counts, alphabet.may_be_lone)?;
    sort(lengths, counts, sorted);
    let mut symbols = sorted.get(usize::from(counts[0])..).unwrap_or_default().iter();
    let mut code = Codeword { value: 0, index: 0 };

    // A table for codewords of up to n bits is two copies of the one for n - 1, and then those of n bits are put in,
    // each in one place. A complete code leaves no place out, and one that is allowed to be incomplete the second.
    if let Some(start) = table.first_chunk_mut() {
        *start = [Entry::INVALID; 2];
    }
    // Below the shortest codeword there is nothing to copy, unless there is hardly a code.
    let mut started = longest <= 1;
    // Bound: 10 turns, with no more codewords in all than there are symbols.
    for (bits, &count) in (1..=alphabet.first_bits).zip(counts.iter().skip(1)) {
        code.lengthen();
        if started {
            double(table, 1_usize.wrapping_shl(bits) >> 1);
        }
        if count == 0 {
            continue;
        }
        started = true;
        for &symbol in symbols.by_ref().take(usize::from(count)) {
            if let Some(slot) = table.get_mut(code.index) {
                *slot = alphabet.entry(symbol, bits);
            }
            code.advance(bits);
        }
    }

    let first_mask = ones(alphabet.first_bits);
    let mut free = first_mask.wrapping_add(1);
    let mut level = Level {
        prefix: usize::MAX,
        start: 0,
        bits: 0,
    };
    // Bound: 8 turns, with no more codewords in all than there are symbols.
    for bits in alphabet.first_bits.wrapping_add(1)..=longest {
        let own_bits = bits.wrapping_sub(alphabet.first_bits);
        code.lengthen();
        let mut left = counts.get(word(bits)).copied().unwrap_or(0);
        for &symbol in symbols.by_ref().take(usize::from(left)) {
            let index = code.index;
            if index & first_mask != level.prefix {
                let bits = second_level_bits(counts, bits, left, own_bits);
                level = Level {
                    prefix: index & first_mask,
                    start: free,
                    bits,
                };
                free = free.wrapping_add(1_usize.wrapping_shl(bits));
                if let Some(slot) = table.get_mut(level.prefix) {
                    *slot = Entry::link(alphabet.first_bits, level.start, level.bits);
                }
            }
            let end = level.start.wrapping_add(1_usize.wrapping_shl(level.bits));
            let start = level.start.wrapping_add(index.wrapping_shr(alphabet.first_bits));
            let entry = alphabet.entry(symbol, own_bits);
            // Bound: 128 places, the size of the largest second level.
            for slot in table
                .get_mut(start..end)
                .unwrap_or_default()
                .iter_mut()
                .step_by(1_usize.wrapping_shl(own_bits))
            {
                *slot = entry;
            }
            code.advance(bits);
            left = left.wrapping_sub(1);
        }
    }
    Ok(())
}

impl Alphabet {
    /// The entry of a symbol whose codeword has `code_bits` bits more than were taken already.
    #[inline(always)]
    fn entry(&self, symbol: u16, code_bits: u32) -> Entry {
        match symbol.checked_sub(self.literals) {
            None => Entry::literal(u32::from(symbol), code_bits),
            Some(other) => match self.others.get(usize::from(other)) {
                Some(entry) => entry.coded(code_bits),
                None => Entry::INVALID,
            },
        }
    }
}

/// A codeword, as the number that it counts up to and as an index: its first bit is the highest of one, the lowest of
/// the other.
struct Codeword {
    value: u32,
    index: usize,
}

impl Codeword {
    /// One bit more, a zero.
    #[inline(always)]
    fn lengthen(&mut self) {
        self.value = self.value.wrapping_shl(1);
    }

    /// The next one of `bits` bits. After the last one the index is 0.
    #[inline(always)]
    fn advance(&mut self, bits: u32) {
        self.value = self.value.wrapping_add(1);
        // Counting up turns over the last ones and the zero before them: in the index, so many of the highest bits.
        let kept = (ones(bits) >> 1).wrapping_shr(self.value.trailing_zeros());
        self.index ^= ones(bits) ^ kept;
    }
}

/// The second level being filled: the first-level index that leads there, where it starts, and its index bits.
struct Level {
    prefix: usize,
    start: usize,
    bits: u32,
}

/// Refuses codes that are over-subscribed or incomplete, and returns the length of the longest codeword.
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

/// Puts the symbols in the order of their codewords: by length, then by value. Those without a codeword come first, and
/// may be left out.
fn sort(lengths: &[u8], counts: &[u16; 16], sorted: &mut [u16; 288]) {
    let mut next = [0_u16; 16];
    let mut sum = 0_u16;
    // Bound: 16 turns.
    for (next, &count) in next.iter_mut().zip(counts) {
        *next = sum;
        sum = sum.wrapping_add(count);
    }
    let (eights, tail) = lengths.as_chunks::<8>();
    // Bound: 36 turns of 8. Where no symbol of 8 has a codeword, which is common, there is nothing to do.
    for (first, eight) in (0..288).step_by(8).zip(eights) {
        if *eight != [0; 8] {
            place(first, eight, &mut next, sorted);
        }
    }
    place(u16::try_from(lengths.len() & !7).unwrap_or(0), tail, &mut next, sorted);
}

/// Puts symbols from `first` on in their places: `next` is the next place for each length.
#[inline(always)]
fn place(first: u16, lengths: &[u8], next: &mut [u16; 16], sorted: &mut [u16; 288]) {
    // Bound: 8 turns, for that is how long `lengths` is at most.
    for (offset, &length) in (0..8).zip(lengths) {
        let Some(next) = next.get_mut(usize::from(length & 15)) else {
            continue;
        };
        if let Some(slot) = sorted.get_mut(usize::from(*next)) {
            *slot = first.wrapping_add(offset);
        }
        *next = next.wrapping_add(1);
    }
}

/// Copies the first `size` entries behind themselves.
#[inline(always)]
fn double(table: &mut [Entry], size: usize) {
    if let Some((done, rest)) = table.split_at_mut_checked(size)
        && let Some(copy) = rest.get_mut(..size)
    {
        copy.copy_from_slice(done);
    }
}

/// How many bits index a second level that starts with a codeword of `bits` bits, `own_bits` of them its own, when
/// `left` codewords of that length are left: as many as give room to all the codewords that share its prefix.
fn second_level_bits(counts: &[u16; 16], bits: u32, left: u16, own_bits: u32) -> u32 {
    let mut index_bits = own_bits;
    let mut used = u32::from(left);
    // Bound: 8 turns, as no codeword has more than 15 bits.
    for &count in counts.iter().skip(word(bits).wrapping_add(1)) {
        if used >= 1_u32.wrapping_shl(index_bits) {
            break;
        }
        index_bits = index_bits.wrapping_add(1);
        used = used.wrapping_mul(2).wrapping_add(u32::from(count));
    }
    index_bits
}
