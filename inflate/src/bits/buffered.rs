//! The bit reader with a buffer of one machine word, which is refilled a word at a time.

use super::to_usize;
use crate::FAST_HEADERS;

const WORD: usize = size_of::<usize>();

/// The minimum number of bits in the buffer after a refill.
pub(crate) const REFILLED: u32 = usize::BITS - 8;

// Between two refills at most a literal/length codeword and its extra bits are taken: 15 + 5 bits.
const _: () = assert!(REFILLED >= 20, "a bit buffer has 32 bits or more");

/// The bits of an input slice, least significant first. After the last byte come zeros;
/// [`Bits::is_overrun`] returns whether any of them was taken. Test it before you use a result.
#[derive(Clone, Copy)]
pub(crate) struct Bits<'a> {
    pub(crate) input: &'a [u8],
    /// The index of the first byte that is not in the buffer. It runs on after the end of the
    /// input.
    pub(crate) next: usize,
    /// The next bits. Each bit above `count` is zero or has the value that the next refill gives
    /// it.
    pub(crate) buffer: usize,
    /// The number of bits in the buffer, in the lowest 6 bits. The others are undefined.
    pub(crate) count: u32,
}

impl<'a> Bits<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self {
            input,
            next: 0,
            buffer: 0,
            count: 0,
        }
    }

    /// Fills the buffer to [`REFILLED`] bits or more.
    #[inline(never)]
    pub(crate) fn refill(&mut self) {
        self.refill_inline();
    }

    /// Refills the buffer if it has fewer than `number` bits.
    #[inline(always)]
    pub(crate) fn need(&mut self, number: usize) {
        if self.count() < number {
            if FAST_HEADERS {
                self.refill_inline();
            } else {
                self.refill();
            }
        }
    }

    /// Fills the buffer as [`Bits::refill`] does, a word at a time, inlined for hot loops.
    #[inline(always)]
    pub(crate) fn refill_inline(&mut self) {
        let rest = self.input.get(self.next..).unwrap_or_default();
        let word = match rest.first_chunk() {
            Some(word) => usize::from_le_bytes(*word),
            None => last_word(rest),
        };
        self.next = self.next.wrapping_add(free_bytes(self.count));
        self.buffer |= word.wrapping_shl(self.count);
        self.count |= REFILLED;
    }

    /// Returns the bits in the buffer without taking them.
    #[inline(always)]
    pub(crate) fn peek(&self) -> usize {
        self.buffer
    }

    /// Consumes `number` bits, which must be in the buffer. Only the lowest 6 bits of `number` are
    /// used.
    #[inline(always)]
    pub(crate) fn consume(&mut self, number: u32) {
        self.buffer = self.buffer.wrapping_shr(number);
        self.count = self.count.wrapping_sub(number);
    }

    /// Takes `number` bits, which must be in the buffer and fewer than a word. Only the lowest 6
    /// bits of `number` are used.
    #[inline(always)]
    pub(crate) fn take(&mut self, number: u32) -> usize {
        let before = self.buffer;
        self.consume(number);
        // Cheaper than a mask on processors that have no instruction to make one.
        before ^ self.buffer.wrapping_shl(number)
    }

    /// Skips the rest of a byte of which bits were taken.
    pub(crate) fn align(&mut self) {
        self.consume(self.count & 7);
    }

    /// Copies the next `length` bytes, or as many as fit, to `output`, starting at `at`. The next
    /// bit must be the first of a byte. The bytes after the end of the input are not written.
    pub(crate) fn copy(&mut self, output: &mut [u8], at: usize, length: usize) {
        let to = output.get_mut(at..).unwrap_or_default();
        let length = to.len().min(length);
        let start = self.bytes_taken();
        let from = self.input.get(start..).unwrap_or_default();
        for (to, from) in to.iter_mut().zip(from).take(length) {
            *to = *from;
        }
        self.next = start.wrapping_add(length);
        self.buffer = 0;
        self.count = 0;
    }

    /// Returns the number of bytes taken, rounded up.
    pub(crate) fn bytes_taken(&self) -> usize {
        self.next.wrapping_sub(self.count() >> 3)
    }

    /// Returns whether bits after the end of the input were taken.
    pub(crate) fn is_overrun(&self) -> bool {
        self.bytes_taken() > self.input.len()
    }

    /// Returns the number of bits in the buffer.
    #[inline(always)]
    pub(crate) fn count(&self) -> usize {
        to_usize(self.count & 63)
    }
}

/// Returns the number of whole bytes that fit in a buffer of `count` bits.
#[inline(always)]
pub(crate) fn free_bytes(count: u32) -> usize {
    to_usize((!count & (usize::BITS - 1)) >> 3) & (WORD - 1)
}

/// Returns the last bytes of the input, fewer than a word, as a word.
#[cold]
fn last_word(rest: &[u8]) -> usize {
    // Bound: fewer bytes than a word has.
    rest.iter()
        .rev()
        .fold(0, |word, &byte| word.wrapping_shl(8).wrapping_add(usize::from(byte)))
}
