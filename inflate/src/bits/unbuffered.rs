//! The bit reader without a buffer. Each call loads the bytes that it needs.

use super::{low_byte, low_mask, to_usize};

/// The minimum number of bits that [`Bits::peek`] returns.
pub(crate) const REFILLED: u32 = 17;

// `Bits::peek` loads three bytes, of which up to 7 bits were taken.
const _: () = assert!(usize::BITS >= 24, "a word holds three bytes");

/// The bits of an input slice, least significant first. After the last byte come zeros;
/// [`Bits::is_overrun`] returns whether any of them was taken. Test it before you use a result.
#[derive(Clone, Copy)]
pub(crate) struct Bits<'a> {
    input: &'a [u8],
    /// The index of the byte with the next bit. It runs on after the end of the input.
    next: usize,
    /// The number of bits of that byte that were taken: 7 or fewer.
    used: u32,
}

impl<'a> Bits<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self {
            input,
            next: 0,
            used: 0,
        }
    }

    /// Does nothing, as there is no buffer.
    #[inline(always)]
    pub(crate) fn refill(&mut self) {}

    /// Does nothing, as there is no buffer.
    #[inline(always)]
    pub(crate) fn need(&mut self, _: usize) {}

    /// Returns the next bits without taking them: [`REFILLED`] or more.
    #[inline(never)]
    pub(crate) fn peek(&self) -> usize {
        let mut bits = 0_usize;
        // Bound: 3 turns.
        for ahead in (0..3).rev() {
            let byte = self.input.get(self.next.wrapping_add(ahead)).copied().unwrap_or(0);
            bits = bits.wrapping_shl(8) | usize::from(byte);
        }
        bits.wrapping_shr(self.used)
    }

    /// Consumes `number` bits.
    #[inline(never)]
    pub(crate) fn consume(&mut self, number: u32) {
        let used = self.used.wrapping_add(number);
        self.next = self.next.wrapping_add(to_usize(used >> 3));
        self.used = used & 7;
    }

    /// Takes `number` bits, at most 16.
    #[inline(never)]
    pub(crate) fn take(&mut self, number: u32) -> usize {
        let bits = self.peek() & low_mask(number);
        self.consume(number);
        bits
    }

    /// Skips the rest of a byte of which bits were taken.
    pub(crate) fn align(&mut self) {
        self.next = self.bytes_taken();
        self.used = 0;
    }

    /// Copies the next `length` bytes, or as many as fit, to `output`, starting at `at`.
    pub(crate) fn copy(&mut self, output: &mut [u8], at: usize, length: usize) {
        // Bound: 65,535 turns, the longest stored block.
        for to in output.iter_mut().skip(at).take(length) {
            *to = low_byte(self.take(8));
        }
    }

    /// Returns the number of bytes taken, rounded up.
    pub(crate) fn bytes_taken(&self) -> usize {
        self.next.wrapping_add(to_usize(self.used.wrapping_add(7) >> 3))
    }

    /// Returns whether bits after the end of the input were taken.
    pub(crate) fn is_overrun(&self) -> bool {
        self.bytes_taken() > self.input.len()
    }
}
