//! The bit reader: a buffer of one machine word, refilled a word at a time.

#[cfg(feature = "fast")]
const WORD: usize = size_of::<usize>();

/// The minimum number of bits in the buffer after a refill.
pub(super) const REFILLED: u32 = usize::BITS - 8;

// Between two refills at most a literal/length codeword and its extra bits are taken: 15 + 5 bits.
const _: () = assert!(REFILLED >= 20, "a bit buffer has 32 bits or more");

/// The bits of an input slice, least significant first. After the last byte come zeros; [`Bits::overrun`] returns
/// whether any of them was taken. Test it before you use a result.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    pub(super) input: &'a [u8],
    /// The index of the first byte that is not in the buffer. It runs on after the end of the input.
    pub(super) next: usize,
    /// The next bits. Each bit above `count` is zero or has the value that the next refill gives it.
    pub(super) buffer: usize,
    /// The number of bits in the buffer, in the lowest 6 bits. The others are undefined.
    pub(super) count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self {
            input,
            next: 0,
            buffer: 0,
            count: 0,
        }
    }

    /// Fills the buffer to [`REFILLED`] bits or more.
    #[inline(never)]
    pub(super) fn refill(&mut self) {
        #[cfg(feature = "fast")]
        self.refill_inline();
        // Bound: a turn for each byte of a word. It is a third of the code for words.
        #[cfg(not(feature = "fast"))]
        while self.count < REFILLED {
            let byte = self.input.get(self.next).copied().unwrap_or(0);
            self.buffer |= usize::from(byte).wrapping_shl(self.count);
            self.count = self.count.wrapping_add(8);
            self.next = self.next.wrapping_add(1);
        }
    }

    /// Fills the buffer as [`Bits::refill`] does.
    #[cfg(not(feature = "fast"))]
    pub(super) fn refill_inline(&mut self) {
        self.refill();
    }

    /// Fills the buffer as [`Bits::refill`] does, a word at a time, inlined for hot loops.
    #[cfg(feature = "fast")]
    #[inline(always)]
    pub(super) fn refill_inline(&mut self) {
        let rest = self.input.get(self.next..).unwrap_or_default();
        let word = match rest.first_chunk() {
            Some(word) => usize::from_le_bytes(*word),
            None => last_word(rest),
        };
        self.next = self.next.wrapping_add(free_bytes(self.count));
        self.buffer |= word.wrapping_shl(self.count);
        self.count |= REFILLED;
    }

    /// Returns the next bits, masked by `mask`, without taking them.
    #[inline(always)]
    pub(super) fn peek(&self, mask: usize) -> usize {
        self.buffer & mask
    }

    /// Drops `number` bits, which must be in the buffer. Only the lowest 6 bits of `number` are used.
    #[inline(always)]
    pub(super) fn drop(&mut self, number: u32) {
        self.buffer = self.buffer.wrapping_shr(number);
        self.count = self.count.wrapping_sub(number);
    }

    /// Takes `number` bits, which must be in the buffer and fewer than a word. Only the lowest 6 bits of `number` are
    /// used.
    #[inline(always)]
    pub(super) fn take(&mut self, number: u32) -> usize {
        let before = self.buffer;
        self.drop(number);
        // Cheaper than a mask on processors that have no instruction to make one.
        before ^ self.buffer.wrapping_shl(number)
    }

    /// Skips to the next whole byte and takes `number` bytes. Returns `None` if the input has fewer.
    pub(super) fn take_bytes(&mut self, number: usize) -> Option<&'a [u8]> {
        let start = self.taken();
        let bytes = self.input.get(start..)?.get(..number)?;
        self.next = start.wrapping_add(number);
        self.buffer = 0;
        self.count = 0;
        Some(bytes)
    }

    /// Returns the number of bytes taken, rounded up.
    pub(super) fn taken(&self) -> usize {
        self.next.wrapping_sub(self.count() >> 3)
    }

    /// Returns whether bits after the end of the input were taken.
    pub(super) fn overrun(&self) -> bool {
        self.taken() > self.input.len()
    }

    /// Returns the number of bits in the buffer.
    #[inline(always)]
    pub(super) fn count(&self) -> usize {
        word(self.count & 63)
    }
}

/// Returns a mask of the lowest `number` bits. `number` is taken modulo the bits of a word.
#[inline(always)]
pub(super) fn ones(number: u32) -> usize {
    !usize::MAX.wrapping_shl(number)
}

/// Converts a `u32` to a `usize`, lossless on every target that [`REFILLED`] admits.
#[inline(always)]
pub(super) fn word(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// Returns the number of whole bytes that fit in a buffer of `count` bits.
#[cfg(feature = "fast")]
#[inline(always)]
pub(super) fn free_bytes(count: u32) -> usize {
    word((!count & (usize::BITS - 1)) >> 3) & (WORD - 1)
}

/// Returns the last bytes of the input, fewer than a word, as a word.
#[cfg(feature = "fast")]
#[cold]
fn last_word(rest: &[u8]) -> usize {
    // Bound: fewer bytes than a word has.
    rest.iter()
        .rev()
        .fold(0, |word, &byte| word.wrapping_shl(8).wrapping_add(usize::from(byte)))
}
