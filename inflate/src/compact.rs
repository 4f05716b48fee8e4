//! The decoder without tables: it compares codewords instead of looking them up.

use super::bits::{Bits, REFILLED, low_mask, to_usize};
use super::lengths::CodeLengths;
use super::symbols::{Codes, Token};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Working memory of 1,032 bytes. Its initial content is ignored.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct SmallTables {
    /// The code of distances. While the code lengths are read, the code for them.
    pub(super) distance: [u16; ENDS + 32],
    /// The code of literals and lengths.
    pub(super) litlen: [u16; ENDS + 288],
    pub(super) lengths: CodeLengths,
}

/// The number of words before the symbols of a code, which are sorted by codeword: by length, then
/// by value.
///
/// Word `bits` is the number of symbols whose codewords have `bits` bits or fewer. So it is the end
/// of those of `bits` bits, and the start of those of one bit more. Word 0 is 0: no codeword has 0
/// bits.
pub(super) const ENDS: usize = 16;

const _: () = assert!(size_of::<SmallTables>() == 1032, "as documented");

/// The codes of a block, without tables.
pub(super) enum Compact<'t> {
    /// The codes of a block of type 1 (RFC 1951, section 3.2.6). A stream may switch to them every
    /// few bits, so they need no setup.
    Fixed,
    /// The codes of a dynamic block.
    Dynamic(&'t SmallTables),
}

impl Codes for Compact<'_> {
    fn take_litlen(&self, bits: &mut Bits<'_>) -> Token {
        bits.refill();
        let symbol = match self {
            Self::Fixed => take_fixed_litlen(bits),
            Self::Dynamic(tables) => take_symbol(bits, &tables.litlen),
        };
        match (u8::try_from(symbol), symbol) {
            (Ok(literal), _) => Token::Literal(literal),
            (_, 256) => Token::End,
            (_, 285) => Token::Length(258),
            (_, 257..285) => Token::Length(take_extra_bits(bits, symbol.wrapping_sub(257), 2).wrapping_add(3)),
            _ => Token::Bad,
        }
    }

    fn take_distance(&self, bits: &mut Bits<'_>) -> Option<usize> {
        bits.refill();
        let symbol = match self {
            Self::Fixed => take_fixed_distance(bits),
            Self::Dynamic(tables) => take_symbol(bits, &tables.distance),
        };
        if symbol >= 30 {
            return None;
        }
        if REFILLED < 15 + 13 {
            bits.refill();
        }
        Some(take_extra_bits(bits, symbol, 1).wrapping_add(1))
    }
}

/// Takes the extra bits of a length or a distance, whose bases and numbers of extra bits (RFC 1951,
/// section 3.2.5) are a floating-point format: a symbol has `mantissa` bits of mantissa and an
/// exponent. Returns the value, from 0.
#[inline(never)]
fn take_extra_bits(bits: &mut Bits<'_>, symbol: usize, mantissa: u32) -> usize {
    // The first two exponents have no extra bits.
    let exponent = symbol.wrapping_shr(mantissa).saturating_sub(1);
    let exponent = u32::try_from(exponent).unwrap_or(0);
    let significand = symbol.wrapping_sub(to_usize(exponent.wrapping_shl(mantissa)));
    significand.wrapping_shl(exponent).wrapping_add(bits.take(exponent))
}

/// Takes a fixed literal/length codeword and returns its symbol.
fn take_fixed_litlen(bits: &mut Bits<'_>) -> usize {
    let code = peek_codeword(bits, 9);
    let (symbol, code_bits) = match code {
        0..0x060 => ((code >> 2).wrapping_add(256), 7),
        0x060..0x180 => ((code >> 1).wrapping_sub(0x030), 8),
        0x180..0x190 => ((code >> 1).wrapping_add(280 - 0x0c0), 8),
        _ => (code.wrapping_sub(0x190 - 144), 9),
    };
    bits.consume(code_bits);
    symbol
}

/// Takes a fixed distance codeword and returns its symbol. Takes nothing if it is one of the two
/// that mean no distance.
fn take_fixed_distance(bits: &mut Bits<'_>) -> usize {
    let symbol = peek_codeword(bits, 5);
    if symbol < 30 {
        bits.consume(5);
    }
    symbol
}

/// Returns the next `number` bits with the first bit highest, which is how codewords are stored.
fn peek_codeword(bits: &Bits<'_>, number: u32) -> usize {
    (bits.peek() & low_mask(number))
        .reverse_bits()
        .wrapping_shr(usize::BITS.wrapping_sub(number))
}

/// Takes a codeword of `code` and returns its symbol. If the next bits are no codeword, takes
/// nothing and returns a symbol that no alphabet has.
// Not inlined in the small decoder, where three calls would triple it.
#[cfg_attr(not(feature = "fast"), inline(never))]
pub(super) fn take_symbol(bits: &mut Bits<'_>, code: &[u16]) -> usize {
    let Some((ends, symbols)) = code.split_first_chunk::<ENDS>() else {
        return usize::MAX;
    };
    let [_, longer @ ..] = ends;
    let mut ahead = bits.peek();
    // The place of the symbol if its codeword has as many bits as were seen. One bit more doubles
    // the distance between the codeword and the last shorter one, and so that between the symbol
    // and the end of the shorter ones.
    let mut place = 0_usize;
    let mut end = 0;
    // Bound: 15 turns.
    for (code_bits, &next_end) in (1..16).zip(longer) {
        place = place.wrapping_mul(2).wrapping_sub(end).wrapping_add(ahead & 1);
        end = usize::from(next_end);
        if place < end {
            bits.consume(code_bits);
            return symbols.get(place).copied().map_or(usize::MAX, usize::from);
        }
        ahead >>= 1;
    }
    usize::MAX
}
