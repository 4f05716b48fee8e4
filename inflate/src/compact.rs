//! Decoding with little memory or none: codewords are compared, not looked up.

use super::bits::{Bits, REFILLED, ones};
use super::lengths::CodeLengths;
use super::symbols::{Codes, Token};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Working memory of 1,032 bytes. Its initial content is ignored.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct SmallTables {
    pub(super) lengths: CodeLengths,
    /// The literal/length symbols, sorted by codeword.
    pub(super) litlen: [u16; 288],
    /// The distance symbols, sorted by codeword. While the code lengths are read, the symbols of their code.
    pub(super) distance: [u16; 32],
}

const _: () = assert!(size_of::<SmallTables>() == 1032, "as documented");

/// The codes of a block, without tables.
pub(super) enum Compact<'t> {
    /// The codes of a block of type 1 (RFC 1951, section 3.2.6). A stream may switch to them every few bits, so they
    /// must cost nothing to set up.
    Fixed,
    /// The codes of a dynamic block.
    Dynamic(&'t SmallTables),
}

impl Codes for Compact<'_> {
    fn litlen(&self, bits: &mut Bits<'_>) -> Token {
        bits.refill();
        let (symbol, code_bits) = match self {
            Self::Fixed => fixed_litlen(bits),
            Self::Dynamic(tables) => walk(bits, &tables.lengths.litlen_counts, &tables.litlen),
        };
        bits.drop(code_bits);
        match (u8::try_from(symbol), symbol) {
            (Ok(literal), _) => Token::Literal(literal),
            (_, 256) => Token::End,
            (_, 285) => Token::Length(258),
            (_, 257..285) => Token::Length(with_extra(bits, symbol.wrapping_sub(257), 2).wrapping_add(3)),
            _ => Token::Bad,
        }
    }

    fn distance(&self, bits: &mut Bits<'_>) -> Option<usize> {
        bits.refill();
        let (symbol, code_bits) = match self {
            Self::Fixed => (small(codeword(bits, 5)), 5),
            Self::Dynamic(tables) => walk(bits, &tables.lengths.distance_counts, &tables.distance),
        };
        if symbol >= 30 {
            return None;
        }
        bits.drop(code_bits);
        if REFILLED < 15 + 13 {
            bits.refill();
        }
        Some(with_extra(bits, symbol, 1).wrapping_add(1))
    }
}

/// Takes the extra bits of a length or a distance, whose bases and numbers of extra bits (RFC 1951, section 3.2.5) are a
/// floating-point format: a symbol has `mantissa` bits of mantissa and an exponent. Returns the value, from 0.
#[inline(never)]
fn with_extra(bits: &mut Bits<'_>, symbol: u16, mantissa: u32) -> usize {
    let symbol = usize::from(symbol);
    let hidden = 1_usize.wrapping_shl(mantissa);
    let Some(exponent) = symbol.wrapping_shr(mantissa).checked_sub(1) else {
        return symbol;
    };
    let exponent = u32::try_from(exponent).unwrap_or(0);
    let base = hidden | (symbol & hidden.wrapping_sub(1));
    base.wrapping_shl(exponent).wrapping_add(bits.take(exponent))
}

/// Returns the literal/length symbol of the next fixed codeword, and the codeword's length.
fn fixed_litlen(bits: &Bits<'_>) -> (u16, u32) {
    let code = small(codeword(bits, 9));
    match code {
        0..0x060 => ((code >> 2).wrapping_add(256), 7),
        0x060..0x180 => ((code >> 1).wrapping_sub(0x030), 8),
        0x180..0x190 => ((code >> 1).wrapping_add(280 - 0x0c0), 8),
        _ => (code.wrapping_sub(0x190 - 144), 9),
    }
}

/// Returns the next `number` bits with the first bit highest, which is how codewords are stored.
fn codeword(bits: &Bits<'_>, number: u32) -> usize {
    bits.peek(ones(number))
        .reverse_bits()
        .wrapping_shr(usize::BITS.wrapping_sub(number))
}

/// Converts a codeword of 15 bits or fewer.
fn small(code: usize) -> u16 {
    u16::try_from(code).unwrap_or(u16::MAX)
}

/// Returns the symbol of the next codeword, and the codeword's length.
///
/// `symbols` are sorted by codeword, after `counts[0]` symbols without one. If the next bits are no codeword, the
/// symbol is one that no alphabet has.
pub(super) fn walk(bits: &Bits<'_>, counts: &[u16; 16], symbols: &[u16]) -> (u16, u32) {
    let mut ahead = bits.peek(ones(15));
    let mut first = usize::from(counts[0]);
    // The difference from the first codeword of this length. Below `count`, it is the place of the symbol.
    let mut offset = 0_usize;
    // Bound: 15 turns.
    for (code_bits, &count) in (1..16).zip(counts.iter().skip(1)) {
        let count = usize::from(count);
        offset = offset.wrapping_mul(2).wrapping_add(ahead & 1);
        ahead >>= 1;
        if offset < count {
            let symbol = symbols.get(first.wrapping_add(offset)).copied().unwrap_or(u16::MAX);
            return (symbol, code_bits);
        }
        offset = offset.wrapping_sub(count);
        first = first.wrapping_add(count);
    }
    (u16::MAX, 0)
}
