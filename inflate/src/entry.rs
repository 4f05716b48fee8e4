//! The meaning of a codeword, and the three alphabets of the format.

use super::bits::word;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bits that index the first level of the literal/length table.
pub(super) const LITLEN_BITS: u32 = 11;
/// Bits that index the first level of the distance table.
pub(super) const DISTANCE_BITS: u32 = 8;
/// Bits of the longest codeword of the code for code lengths, whose table has one level.
pub(super) const PRECODE_BITS: u32 = 7;

/// The decoded meaning of the bits at the front of the buffer.
///
/// Bits 0..6 are the number of bits to take, extra bits included. Bit 7 marks a special entry. Bits 16..31 are the base
/// of a length or distance, or the start of a second level. Bit 31 marks a literal, whose value is in bits 8..16. In
/// other entries, bits 8..14 are the number of codeword bits (in a link, of index bits of the second level), and bit 15
/// marks a link. That does not change a shift by `entry >> 8`, because a shift uses only its lowest 6 bits or fewer.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(transparent)]
pub(super) struct Entry(u32);

const LITERAL: u32 = 1 << 31;
/// A link to a second level. Set only in special entries.
const LINK: u32 = 1 << 15;
/// Neither a literal nor a base: a link, the end of the block, or a codeword without a symbol.
const SPECIAL: u32 = 1 << 7;
const END: u32 = 1 << 16;

impl Entry {
    pub(super) const INVALID: Self = Self(SPECIAL);
    pub(super) const END_OF_BLOCK: Self = Self(SPECIAL | END);
    /// In the code for code lengths: repeats the previous length.
    pub(super) const PREVIOUS: Self = Self(SPECIAL | (3 << 24) | 2);

    /// Returns a length or distance: `base` plus the extra bits.
    pub(super) const fn base(base: u32, extra_bits: u32) -> Self {
        Self((base << 16) | extra_bits)
    }

    /// In the code for code lengths: returns a run of `length`, whose repeat count is `repeat` plus the extra bits.
    pub(super) const fn run(length: u32, repeat: u32, extra_bits: u32) -> Self {
        Self((repeat << 24) | (length << 16) | extra_bits)
    }

    fn literal(literal: u32, code_bits: u32) -> Self {
        Self(LITERAL | (literal << 8) | code_bits)
    }

    /// Returns the entry with `code_bits`, the length of its codeword, added. Must not be called on a literal.
    fn coded(self, code_bits: u32) -> Self {
        Self(self.0.wrapping_add(code_bits | (code_bits << 8)))
    }

    /// Returns the number of codeword and extra bits, in the lowest 6 bits. The others are undefined.
    #[inline(always)]
    pub(super) fn bits(self) -> u32 {
        self.0
    }

    /// Returns the number of codeword bits (in a link, of index bits of the second level), in the lowest 6 bits, or 8
    /// if the entry is not special. The others are undefined. Must not be called on a literal.
    #[inline(always)]
    pub(super) fn code_bits(self) -> u32 {
        self.0 >> 8
    }

    #[inline(always)]
    pub(super) fn is_literal(self) -> bool {
        self.0 & LITERAL != 0
    }

    /// Returns whether the entry is special. Must not be called on a literal.
    #[inline(always)]
    pub(super) fn is_special(self) -> bool {
        self.0 & SPECIAL != 0
    }

    /// Returns whether a special entry is a link.
    #[inline(always)]
    pub(super) fn is_link(self) -> bool {
        self.0 & LINK != 0
    }

    /// Returns whether a special entry that is not a link ends the block.
    pub(super) fn is_end(self) -> bool {
        self.0 & END != 0
    }

    /// Returns the value of a literal.
    #[inline(always)]
    pub(super) fn byte(self) -> u8 {
        let [_, byte, ..] = self.0.to_le_bytes();
        byte
    }

    /// Returns the code length of a run, and its minimum repeat count.
    #[inline(always)]
    pub(super) fn length_and_repeat(self) -> (u8, usize) {
        let [_, _, length, repeat] = self.0.to_le_bytes();
        (length, usize::from(repeat))
    }

    /// Returns the base of a length or distance, or the start of a second level. Must not be called on a literal.
    #[inline(always)]
    pub(super) fn value(self) -> usize {
        word(self.0 >> 16)
    }
}

/// An entry of the literal/length table, which takes half the memory of an [`Entry`].
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(transparent)]
pub(super) struct Packed(u16);

impl Packed {
    /// A place that no codeword has.
    pub(super) const INVALID: Self = Self(0xf080);

    #[inline(always)]
    pub(super) fn unpack(self) -> Short {
        Short(self.0.into())
    }
}

/// The decoded meaning of a literal or length codeword.
///
/// Bits 0..6 are the number of bits to take, extra bits included (in a link, the number of index bits of the second
/// level). Bit 6 marks a literal, bit 7 a special entry. Bits 8..16 are the literal, the index of a length in
/// [`LENGTHS`], or half the offset of a second level from the end of the first. The other bits are zero.
#[derive(Clone, Copy)]
pub(super) struct Short(u32);

const SHORT_LITERAL: u32 = 1 << 6;
/// In a special entry: not a link. A link has at most 293 / 2 in bits 8..16.
const SHORT_NO_LINK: u32 = 0xf000;
const SHORT_END: u32 = 1 << 8;

impl Short {
    /// Returns the number of codeword and extra bits, in the lowest 6 bits. The others are undefined.
    #[inline(always)]
    pub(super) fn bits(self) -> u32 {
        self.0
    }

    #[inline(always)]
    pub(super) fn is_literal(self) -> bool {
        self.0 & SHORT_LITERAL != 0
    }

    /// Returns whether this entry or that of a distance is special.
    #[inline(always)]
    pub(super) fn or_is_special(self, distance: Entry) -> bool {
        (self.0 | distance.0) & SPECIAL != 0
    }

    #[inline(always)]
    pub(super) fn is_link(self) -> bool {
        self.0 & SPECIAL != 0 && self.0 < SHORT_NO_LINK
    }

    /// Returns the value of a literal.
    #[inline(always)]
    pub(super) fn byte(self) -> u8 {
        let [_, byte, ..] = self.0.to_le_bytes();
        byte
    }

    /// Returns the offset of the second level from the end of the first. Must be called on a link only.
    pub(super) fn start(self) -> usize {
        usize::from(self.byte()).wrapping_mul(2)
    }

    /// Returns the base of a length, and the number of its codeword bits in the lowest 6 bits. Must be called on a length
    /// only.
    #[inline(always)]
    pub(super) fn length(self) -> (Entry, u32) {
        let length = LENGTHS
            .get(usize::from(self.byte() & 31))
            .copied()
            .unwrap_or(Entry::INVALID);
        (length, self.0.wrapping_sub(length.0))
    }

    /// Returns the entry with the same meaning. Must not be called on a link.
    #[inline(always)]
    pub(super) fn entry(self) -> Entry {
        if self.is_literal() {
            return Entry::literal(self.byte().into(), self.0 & 0x3f);
        }
        if self.0 & SPECIAL != 0 {
            let end = if self.0 & SHORT_END == 0 { 0 } else { END };
            return Entry(SPECIAL | end | (self.0 & 0x3f));
        }
        let (length, code_bits) = self.length();
        length.coded(code_bits & 0x3f)
    }

    /// Returns the entry in 16 bits.
    fn pack(self) -> Packed {
        let [low, high, ..] = self.0.to_le_bytes();
        Packed(u16::from_le_bytes([low, high]))
    }
}

/// What a table consists of.
pub(super) trait TableEntry: Copy {
    /// A place that no codeword has.
    const UNUSED: Self;

    /// Returns the entry of a symbol. `code_bits` is the number of codeword bits not taken yet.
    fn symbol(alphabet: &Alphabet, symbol: u16, code_bits: u32) -> Self;

    /// Returns a link to a second level, which `index_bits` bits index. It starts `start` entries after the end of the
    /// first level.
    fn link(alphabet: &Alphabet, start: usize, index_bits: u32) -> Self;
}

impl TableEntry for Entry {
    const UNUSED: Self = Self::INVALID;

    #[inline(always)]
    fn symbol(alphabet: &Alphabet, symbol: u16, code_bits: u32) -> Self {
        alphabet.entry(symbol, code_bits)
    }

    #[inline(always)]
    fn link(alphabet: &Alphabet, start: usize, index_bits: u32) -> Self {
        let start = u32::try_from(start)
            .unwrap_or(0)
            .wrapping_add(1_u32.wrapping_shl(alphabet.first_bits));
        Self(start.wrapping_shl(16) | SPECIAL | LINK | index_bits.wrapping_shl(8) | alphabet.first_bits)
    }
}

impl TableEntry for Packed {
    const UNUSED: Self = Self::INVALID;

    #[inline(always)]
    fn symbol(alphabet: &Alphabet, symbol: u16, code_bits: u32) -> Self {
        let value = u32::from(symbol).wrapping_shl(8);
        let short = match symbol.checked_sub(alphabet.literals) {
            None => value | SHORT_LITERAL | code_bits,
            Some(0) => SPECIAL | SHORT_NO_LINK | SHORT_END | code_bits,
            Some(other) => {
                let extra = alphabet
                    .others
                    .get(usize::from(other))
                    .map_or(0, |length| length.0 & 0x3f);
                value.wrapping_add(code_bits).wrapping_add(extra)
            }
        };
        Short(short).pack()
    }

    #[inline(always)]
    fn link(_: &Alphabet, start: usize, index_bits: u32) -> Self {
        let start = u32::try_from(start).unwrap_or(0);
        Short(start.wrapping_shl(7) | SPECIAL | index_bits).pack()
    }
}

/// The symbols of a code and their meaning.
pub(super) struct Alphabet {
    /// Bits that index the first level.
    pub(super) first_bits: u32,
    /// The number of literals, which are the first symbols.
    pub(super) literals: u16,
    /// The entries of the other symbols.
    pub(super) others: &'static [Entry],
}

impl Alphabet {
    /// Returns the entry of a symbol. `code_bits` is the number of codeword bits not taken yet.
    #[inline(always)]
    pub(super) fn entry(&self, symbol: u16, code_bits: u32) -> Entry {
        match symbol.checked_sub(self.literals) {
            None => Entry::literal(u32::from(symbol), code_bits),
            Some(other) => match self.others.get(usize::from(other)) {
                Some(entry) => entry.coded(code_bits),
                None => Entry::INVALID,
            },
        }
    }
}

pub(super) const PRECODE: Alphabet = Alphabet {
    first_bits: PRECODE_BITS,
    literals: 0,
    others: &RUNS,
};
pub(super) const LITLEN: Alphabet = Alphabet {
    first_bits: LITLEN_BITS,
    literals: 256,
    others: &LENGTHS,
};
pub(super) const DISTANCE: Alphabet = Alphabet {
    first_bits: DISTANCE_BITS,
    literals: 0,
    others: &DISTANCES,
};

/// The symbols of the code for code lengths.
#[rustfmt::skip]
static RUNS: [Entry; 19] = [
    Entry::run(0, 1, 0), Entry::run(1, 1, 0), Entry::run(2, 1, 0), Entry::run(3, 1, 0),
    Entry::run(4, 1, 0), Entry::run(5, 1, 0), Entry::run(6, 1, 0), Entry::run(7, 1, 0),
    Entry::run(8, 1, 0), Entry::run(9, 1, 0), Entry::run(10, 1, 0), Entry::run(11, 1, 0),
    Entry::run(12, 1, 0), Entry::run(13, 1, 0), Entry::run(14, 1, 0), Entry::run(15, 1, 0),
    Entry::PREVIOUS, Entry::run(0, 3, 3), Entry::run(0, 11, 7),
];

/// The literal/length symbols from 256 on. The last two have codewords in the fixed code but no meaning.
#[rustfmt::skip]
static LENGTHS: [Entry; 32] = [
    Entry::END_OF_BLOCK,
    Entry::base(3, 0), Entry::base(4, 0), Entry::base(5, 0), Entry::base(6, 0),
    Entry::base(7, 0), Entry::base(8, 0), Entry::base(9, 0), Entry::base(10, 0),
    Entry::base(11, 1), Entry::base(13, 1), Entry::base(15, 1), Entry::base(17, 1),
    Entry::base(19, 2), Entry::base(23, 2), Entry::base(27, 2), Entry::base(31, 2),
    Entry::base(35, 3), Entry::base(43, 3), Entry::base(51, 3), Entry::base(59, 3),
    Entry::base(67, 4), Entry::base(83, 4), Entry::base(99, 4), Entry::base(115, 4),
    Entry::base(131, 5), Entry::base(163, 5), Entry::base(195, 5), Entry::base(227, 5),
    Entry::base(258, 0), Entry::INVALID, Entry::INVALID,
];

/// The distance symbols. The last two have codewords in the fixed code but no meaning.
#[rustfmt::skip]
static DISTANCES: [Entry; 32] = [
    Entry::base(1, 0), Entry::base(2, 0), Entry::base(3, 0), Entry::base(4, 0),
    Entry::base(5, 1), Entry::base(7, 1), Entry::base(9, 2), Entry::base(13, 2),
    Entry::base(17, 3), Entry::base(25, 3), Entry::base(33, 4), Entry::base(49, 4),
    Entry::base(65, 5), Entry::base(97, 5), Entry::base(129, 6), Entry::base(193, 6),
    Entry::base(257, 7), Entry::base(385, 7), Entry::base(513, 8), Entry::base(769, 8),
    Entry::base(1025, 9), Entry::base(1537, 9), Entry::base(2049, 10), Entry::base(3073, 10),
    Entry::base(4097, 11), Entry::base(6145, 11), Entry::base(8193, 12), Entry::base(12289, 12),
    Entry::base(16385, 13), Entry::base(24577, 13), Entry::INVALID, Entry::INVALID,
];
