//! The bit reader: a buffer of one machine word, refilled a word at a time.

/// The minimum number of bits in the buffer after a refill.
pub(super) const REFILLED: u32 = usize::BITS - 8;

const WORD: usize = size_of::<usize>();
// Between two refills at most a literal/length codeword and its extra bits are taken: 15 + 5 bits.
const _: () = assert!(REFILLED >= 20, "a bit buffer has 32 bits or more");

/// The bits of an input slice, least significant first. After the last byte come zeros; [`Bits::overrun`] returns
/// whether any of them was taken. Test it before you use a result.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    input: &'a [u8],
    /// The input that is not in the buffer yet.
    rest: &'a [u8],
    /// The next bits. Each bit above `count` is zero or has the value that the next refill gives it.
    pub(super) buffer: usize,
    /// The number of bits in the buffer, in the lowest 6 bits. The others are undefined.
    count: u32,
    /// The number of zero bytes supplied after the end of the input.
    supplied: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self {
            input,
            rest: input,
            buffer: 0,
            count: 0,
            supplied: 0,
        }
    }

    /// Fills the buffer to [`REFILLED`] bits or more.
    #[inline(never)]
    pub(super) fn refill(&mut self) {
        self.refill_inline();
    }

    /// Fills the buffer as [`Bits::refill`] does, inlined for hot loops.
    #[inline(always)]
    pub(super) fn refill_inline(&mut self) {
        if let Some(ahead) = self.ahead() {
            self.fill(ahead);
            return;
        }
        let bytes = self.free_bytes();
        let next = last_word(self.rest);
        self.supplied = self.supplied.wrapping_add(bytes.saturating_sub(self.rest.len()));
        self.rest = self.rest.get(bytes..).unwrap_or_default();
        self.add(next);
    }

    /// Returns what [`Bits::fill`] takes, if the input has as many bytes.
    #[inline(always)]
    pub(super) fn ahead(&self) -> Option<usize> {
        Some(usize::from_le_bytes(*self.rest.first_chunk()?))
    }

    /// Fills the buffer to [`REFILLED`] bits or more with the bytes that [`Bits::ahead`] returned.
    #[inline(always)]
    pub(super) fn fill(&mut self, ahead: usize) {
        self.rest = self.rest.get(self.free_bytes()..).unwrap_or_default();
        self.add(ahead);
    }

    /// Returns the number of whole bytes that fit in the buffer.
    #[inline(always)]
    fn free_bytes(&self) -> usize {
        word((!self.count & (usize::BITS - 1)) >> 3) & (WORD - 1)
    }

    /// Adds a word to the buffer, without a branch. The bits that do not fit stay above `count`.
    #[inline(always)]
    fn add(&mut self, next: usize) {
        self.buffer |= next.wrapping_shl(self.count);
        self.count |= REFILLED;
    }

    /// Replaces the buffer by `after`, which is the buffer without `number` bits.
    #[inline(always)]
    pub(super) fn dropped(&mut self, number: u32, after: usize) {
        self.buffer = after;
        self.count = self.count.wrapping_sub(number);
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
        let unread = self
            .rest
            .len()
            .checked_add(self.count() >> 3)?
            .checked_sub(self.supplied)?;
        let start = self.input.len().checked_sub(unread)?;
        let (bytes, rest) = self.input.get(start..)?.split_at_checked(number)?;
        *self = Self {
            input: self.input,
            rest,
            buffer: 0,
            count: 0,
            supplied: 0,
        };
        Some(bytes)
    }

    /// Returns the number of bytes taken, rounded up.
    pub(super) fn taken(&self) -> usize {
        let read = self
            .input
            .len()
            .wrapping_sub(self.rest.len())
            .wrapping_add(self.supplied);
        read.wrapping_sub(self.count() >> 3)
    }

    /// Returns whether bits after the end of the input were taken.
    pub(super) fn overrun(&self) -> bool {
        self.supplied.wrapping_mul(8) > self.count()
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

/// Returns the last bytes of the input, fewer than a word, as a word.
#[cold]
fn last_word(rest: &[u8]) -> usize {
    // Bound: fewer bytes than a word has.
    rest.iter()
        .rev()
        .fold(0, |word, &byte| word.wrapping_shl(8).wrapping_add(usize::from(byte)))
}
