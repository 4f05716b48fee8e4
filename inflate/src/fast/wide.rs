//! The decoding loop for buffers of 64 bits, far from the ends of the input and of the output.
//!
//! The time that a symbol takes is that of its look-up and of a wrong guess of the processor
//! whether the next symbol is a literal. So both are begun as early as possible: bits are dropped
//! before the test, and a distance is looked up before anything else is done with a length.

use super::entry::{DISTANCES, LENGTHS};
use super::{DISTANCE_BITS, LITLEN_BITS, Tables};
use crate::InflateError::DistanceTooFar;
use crate::bits::{Bits, REFILLED, free_bytes};
use crate::copy::copy;
use crate::copy::steps::{STEP, TWO_STEPS, step};
use crate::symbols::{self, Stop};

/// The maximum number of bits that a turn takes: a literal, and a length and a distance with 5 and
/// 13 extra bits, all of the first level.
const TURN: u32 = LITLEN_BITS + LITLEN_BITS + 5 + DISTANCE_BITS + 13;

/// Whether a refilled buffer has the bits for a turn, and those above its count are enough to look
/// up the next entry.
pub(super) const WIDE: bool = REFILLED >= TURN && usize::BITS >= TURN + LITLEN_BITS;

/// Decodes symbols into `output`, starting at `at`, until the block ends or few bytes of the input
/// or the output are left. Returns the end of the bytes written.
#[inline(never)]
pub(super) fn decode(bits: &mut Bits<'_>, output: &mut [u8], at: usize, tables: &Tables) -> (usize, Stop) {
    let mut window = Window::new(bits);
    let result = decode_window(&mut window, bits, output, at, tables);
    window.store(bits);
    result
}

/// The state of [`Bits`] in the form that takes the fewest instructions, as long as the input has
/// words.
struct Window<'a> {
    /// The input that is not in the buffer yet.
    rest: &'a [u8],
    buffer: usize,
    count: u32,
}

impl<'a> Window<'a> {
    fn new(bits: &Bits<'a>) -> Self {
        Self {
            rest: bits.input.get(bits.next..).unwrap_or_default(),
            buffer: bits.buffer,
            count: bits.count,
        }
    }

    fn store(&self, bits: &mut Bits<'_>) {
        // Refilling leaves a byte or more. With none left, `bits` may have passed the end, and its
        // index is right.
        if !self.rest.is_empty() {
            bits.next = bits.input.len().wrapping_sub(self.rest.len());
        }
        bits.buffer = self.buffer;
        bits.count = self.count;
    }

    /// Returns what [`Window::fill`] takes, if the input has a word.
    #[inline(always)]
    fn next_word(&self) -> Option<usize> {
        Some(usize::from_le_bytes(*self.rest.first_chunk()?))
    }

    /// Refills the buffer with the word that [`Window::next_word`] returned.
    #[inline(always)]
    fn fill(&mut self, ahead: usize) {
        self.rest = self.rest.get(free_bytes(self.count)..).unwrap_or_default();
        self.buffer |= ahead.wrapping_shl(self.count);
        self.count |= REFILLED;
    }

    /// Replaces the buffer by `after`, which is the buffer without the `number` bits of an entry.
    #[inline(always)]
    fn consume(&mut self, number: u32, after: usize) {
        self.buffer = after;
        self.count = self.count.wrapping_sub(number);
    }
}

#[inline(always)]
fn decode_window<'a>(
    bits: &mut Window<'a>,
    all: &mut Bits<'a>,
    output: &mut [u8],
    mut at: usize,
    tables: &Tables,
) -> (usize, Stop) {
    let Some(ahead) = bits.next_word() else {
        return (at, Stop::Full);
    };
    bits.fill(ahead);
    let mut entry = tables.litlen_entry(bits.buffer);
    // Bound: every turn writes a byte of the output or more, or ends the loop.
    loop {
        let mut after = bits.buffer.wrapping_shr(entry.bits());
        if entry.is_literal() {
            let Some(byte) = output.get_mut(at) else { break };
            *byte = entry.byte();
            at = at.wrapping_add(1);
            bits.consume(entry.bits(), after);
            entry = tables.litlen_entry(after);
            after = after.wrapping_shr(entry.bits());
            if entry.is_literal() {
                let Some(byte) = output.get_mut(at) else { break };
                *byte = entry.byte();
                at = at.wrapping_add(1);
                bits.consume(entry.bits(), after);
                entry = tables.litlen_entry(after);
                let Some(ahead) = bits.next_word() else { break };
                bits.fill(ahead);
                if entry.is_literal() {
                    continue;
                }
                after = bits.buffer.wrapping_shr(entry.bits());
            }
        }
        let distance_entry = tables.distance_entry(after);
        if entry.or_is_special(distance_entry) {
            if at >= output.len() {
                break;
            }
            bits.store(all);
            let (end, stop) = symbols::decode(all, output, at, tables, 1);
            *bits = Window::new(all);
            at = end;
            if stop != Stop::Full {
                return (at, stop);
            }
            let Some(ahead) = bits.next_word() else { break };
            bits.fill(ahead);
            entry = tables.litlen_entry(bits.buffer);
            continue;
        }
        if output.get(at..).and_then(<[u8]>::first_chunk::<TWO_STEPS>).is_none() {
            break;
        }
        let Some(ahead) = bits.next_word() else { break };
        let length = entry.value(&LENGTHS, bits.buffer, after);
        bits.consume(entry.bits(), after);
        let rest = after.wrapping_shr(distance_entry.bits());
        let distance = distance_entry.value(&DISTANCES, after, rest);
        bits.consume(distance_entry.bits(), rest);
        entry = tables.litlen_entry(rest);
        bits.fill(ahead);
        let Some(start) = at.checked_sub(distance) else {
            return (at, Stop::Error(DistanceTooFar));
        };
        // Two steps are enough for most matches. A step must not read bytes that it writes itself.
        if length <= TWO_STEPS && distance >= length.min(STEP) {
            step(output, start, at);
            step(output, start.wrapping_add(STEP), at.wrapping_add(STEP));
            at = at.wrapping_add(length);
        } else {
            at = copy(output, at, length, distance);
        }
    }
    (at, Stop::Full)
}

#[cfg(test)]
mod tests {
    use super::{WIDE, Window};
    use crate::bits::Bits;

    #[test]
    fn words_of_64_bits_are_decoded_by_the_fast_loop_and_words_of_32_bits_are_not() {
        assert_eq!(WIDE, usize::BITS == 64);
    }

    #[test]
    fn the_fast_loop_gets_the_next_word_of_the_input_until_less_than_a_word_is_left() {
        let input = (usize::MAX / 3).to_le_bytes();
        assert_eq!(Window::new(&Bits::new(&input)).next_word(), Some(usize::MAX / 3));
        assert_eq!(Window::new(&Bits::new(&input[1..])).next_word(), None);
    }
}
