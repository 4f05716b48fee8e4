//! The entries of tables: the decoded meaning of the bits at the front of the buffer.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::bits::to_usize;

/// An entry of a table, as it is stored.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(transparent)]
pub(crate) struct Packed(u16);

impl Packed {
    /// A place that no codeword has.
    pub(super) const UNUSED: Self = Self(0xf080);

    #[inline(always)]
    pub(super) fn unpack(self) -> Entry {
        Entry(self.0.into())
    }
}

/// An entry of a table.
///
/// Bits 0..6 are the number of bits to take, extra bits included (in a link, the number of index
/// bits of the second level). Bit 6 marks a literal, bit 7 a special entry. Bits 8..16 are the
/// literal, the index of a length or distance in [`LENGTHS`] or [`DISTANCES`], or half the offset
/// of a second level from the end of the first. The other bits are zero. The flags do not change a
/// shift by the entry, which uses 6 bits or fewer.
#[derive(Clone, Copy)]
pub(super) struct Entry(u32);

const LITERAL: u32 = 1 << 6;
/// A link to a second level, the end of the block, or a codeword without a symbol.
const SPECIAL: u32 = 1 << 7;
/// In a special entry: not a link. A link has at most 293 / 2 in bits 8..16.
const NO_LINK: u32 = 0xf000;
/// In a special entry that is not a link: the end of the block.
const END: u32 = 1 << 8;

impl Entry {
    /// Returns the entry of a symbol. `code_bits` is the number of codeword bits not taken yet.
    #[inline(always)]
    pub(super) fn symbol(alphabet: &Alphabet, symbol: u16, code_bits: u32) -> Self {
        let value = u32::from(symbol).wrapping_shl(8);
        let Some(other) = symbol.checked_sub(alphabet.literals) else {
            return Self(value | LITERAL | code_bits);
        };
        let value = u32::from(other).wrapping_shl(8);
        match alphabet.others.get(usize::from(other)) {
            Some(Base(SPECIAL)) => Self(SPECIAL | NO_LINK | END | code_bits),
            Some(base) => Self(value.wrapping_add(base.0 & 0x3f).wrapping_add(code_bits)),
            None => Packed::UNUSED.unpack(),
        }
    }

    /// Returns a link to a second level, which `index_bits` bits index. It starts `start` entries
    /// after the end of the first level.
    pub(super) fn link(start: usize, index_bits: u32) -> Self {
        let start = u32::try_from(start).unwrap_or(0);
        Self(start.wrapping_shl(7) | SPECIAL | index_bits)
    }

    #[inline(always)]
    pub(super) fn pack(self) -> Packed {
        let [low, high, ..] = self.0.to_le_bytes();
        Packed(u16::from_le_bytes([low, high]))
    }

    /// Returns the number of codeword and extra bits, or of index bits of a link, in the lowest 6
    /// bits. The others are undefined.
    #[inline(always)]
    pub(super) fn bits(self) -> u32 {
        self.0
    }

    #[inline(always)]
    pub(super) fn is_literal(self) -> bool {
        self.0 & LITERAL != 0
    }

    /// Returns whether the entry is not that of a literal, a length or a distance.
    #[inline(always)]
    pub(super) fn is_special(self) -> bool {
        self.0 & SPECIAL != 0
    }

    /// Returns whether any of two entries is special.
    #[inline(always)]
    pub(super) fn or_is_special(self, other: Self) -> bool {
        (self.0 | other.0) & SPECIAL != 0
    }

    #[inline(always)]
    pub(super) fn is_link(self) -> bool {
        self.is_special() && self.0 < NO_LINK
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

    /// Returns the offset of the second level from the end of the first. Must be called on a link
    /// only.
    pub(super) fn start(self) -> usize {
        usize::from(self.byte()).wrapping_mul(2)
    }

    /// Returns the length or distance of an entry. `before` and `after` are the buffer before and
    /// after its bits are dropped.
    #[inline(always)]
    pub(super) fn value(self, bases: &[Base; 32], before: usize, after: usize) -> usize {
        let base = bases.get(usize::from(self.byte() & 31)).map_or(0, |base| base.0);
        let taken = before ^ after.wrapping_shl(self.0);
        let extra = taken.wrapping_shr(self.0.wrapping_sub(base));
        to_usize(base >> 16).wrapping_add(extra)
    }

    /// Returns the base of a length or distance, and the number of its extra bits.
    #[inline(always)]
    pub(super) fn base(self, bases: &[Base; 32]) -> (usize, u32) {
        let base = bases.get(usize::from(self.byte() & 31)).map_or(0, |base| base.0);
        (to_usize(base >> 16), base & 0x3f)
    }
}

/// The base of a length or distance in bits 16..32, and the number of its extra bits in bits 0..6.
#[derive(Clone, Copy)]
pub(super) struct Base(u32);

const fn base(base: u32, extra_bits: u32) -> Base {
    Base((base << 16) | extra_bits)
}

/// The symbols of a code and their meaning.
pub(super) struct Alphabet {
    /// The number of literals, which are the first symbols.
    literals: u16,
    /// The other symbols.
    others: &'static [Base],
}

pub(super) const PRECODE: Alphabet = Alphabet {
    literals: 19,
    others: &[],
};
pub(super) const LITLEN: Alphabet = Alphabet {
    literals: 256,
    others: &LENGTHS,
};
pub(super) const DISTANCE: Alphabet = Alphabet {
    literals: 0,
    others: &DISTANCES,
};

/// The lengths, from symbol 256 on, which is the end of a block. The last two are in no dynamic
/// block.
#[rustfmt::skip]
pub(super) static LENGTHS: [Base; 32] = [
    Base(SPECIAL),
    base(3, 0), base(4, 0), base(5, 0), base(6, 0), base(7, 0), base(8, 0), base(9, 0), base(10, 0),
    base(11, 1), base(13, 1), base(15, 1), base(17, 1), base(19, 2), base(23, 2), base(27, 2), base(31, 2),
    base(35, 3), base(43, 3), base(51, 3), base(59, 3), base(67, 4), base(83, 4), base(99, 4), base(115, 4),
    base(131, 5), base(163, 5), base(195, 5), base(227, 5), base(258, 0), base(0, 0), base(0, 0),
];

/// The distances. The last two are in no dynamic block.
#[rustfmt::skip]
pub(super) static DISTANCES: [Base; 32] = [
    base(1, 0), base(2, 0), base(3, 0), base(4, 0), base(5, 1), base(7, 1), base(9, 2), base(13, 2),
    base(17, 3), base(25, 3), base(33, 4), base(49, 4), base(65, 5), base(97, 5), base(129, 6), base(193, 6),
    base(257, 7), base(385, 7), base(513, 8), base(769, 8), base(1025, 9), base(1537, 9),
    base(2049, 10), base(3073, 10), base(4097, 11), base(6145, 11), base(8193, 12), base(12289, 12),
    base(16385, 13), base(24577, 13), base(0, 0), base(0, 0),
];

#[cfg(test)]
mod tests {
    use super::{DISTANCE, Entry};

    #[test]
    fn two_entries_are_decoded_in_the_fast_loop_unless_one_is_special() {
        let distance = Entry::symbol(&DISTANCE, 3, 5);
        let link = Entry::link(2, 3);
        assert!(!distance.or_is_special(distance));
        assert!(distance.or_is_special(link));
        assert!(link.or_is_special(distance));
    }
}
