//! The symbols of a block: literals and matches.

use super::InflateError::{self, BadDistance, BadSymbol, DistanceTooFar};
use super::SMALL_BUILD;
use super::bits::Bits;
use super::copy::copy;

/// The meaning of a literal/length codeword and its extra bits.
pub(super) enum Token {
    Literal(u8),
    Length(usize),
    /// The end of the block.
    End,
    /// The bits are no codeword, or one that a block must not have.
    Bad,
}

/// The two codes of a block.
pub(super) trait Codes {
    /// Refills `bits` and takes a token.
    fn take_litlen(&self, bits: &mut Bits<'_>) -> Token;
    /// Refills `bits` and takes a distance. Returns `None` if the next bits are not the codeword of
    /// a distance.
    fn take_distance(&self, bits: &mut Bits<'_>) -> Option<usize>;
}

/// Why decoding stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The output is full, or as many symbols as requested are decoded.
    Full,
    /// The block ended.
    End,
    Error(InflateError),
}

/// Decodes at most `limit` symbols into `output`, starting at `at`. Returns the end of the bytes
/// written, which may be after the end of `output` if a match is cut.
// It returns two words in registers. A `Result` would take memory and a register for its address.
#[cfg_attr(feature = "fast", inline(never))]
pub(super) fn decode<C: Codes>(
    caller_bits: &mut Bits<'_>,
    output: &mut [u8],
    mut at: usize,
    codes: &C,
    mut limit: usize,
) -> (usize, Stop) {
    // A local copy of a buffer stays in registers. The small build has no buffer.
    let mut local_bits = *caller_bits;
    let bits = if SMALL_BUILD {
        &mut *caller_bits
    } else {
        &mut local_bits
    };
    let mut stop = Stop::Full;
    // Bound: every turn but the last writes a byte of the output or more.
    while at < output.len() && limit != 0 {
        match decode_symbol(bits, output, at, codes) {
            Ok(end) => at = end,
            Err(why) => {
                stop = why;
                break;
            }
        }
        // In the small build, `limit` is always `usize::MAX`, more than the symbols of any output.
        if !SMALL_BUILD {
            limit = limit.wrapping_sub(1);
        }
    }
    if !SMALL_BUILD {
        *caller_bits = local_bits;
    }
    (at, stop)
}

/// Decodes a literal or a match to `at`, which must be inside of the output. Returns the end of the
/// bytes written.
#[inline(always)]
fn decode_symbol<C: Codes>(bits: &mut Bits<'_>, output: &mut [u8], at: usize, codes: &C) -> Result<usize, Stop> {
    match codes.take_litlen(bits) {
        Token::Literal(literal) => {
            if let Some(byte) = output.get_mut(at) {
                *byte = literal;
            }
            Ok(at.wrapping_add(1))
        }
        Token::Length(length) => {
            let distance = codes.take_distance(bits).ok_or(Stop::Error(BadDistance))?;
            if distance > at {
                return Err(Stop::Error(DistanceTooFar));
            }
            Ok(copy(output, at, length, distance))
        }
        Token::End => Err(Stop::End),
        Token::Bad => Err(Stop::Error(BadSymbol)),
    }
}
