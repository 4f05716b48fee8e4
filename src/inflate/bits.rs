//! The bit reader: a machine word of bits, refilled a word at a time.

/// Bits that are in the buffer after any refill.
pub(super) const REFILLED: u32 = usize::BITS - 8;

const WORD: usize = size_of::<usize>();
// The longest thing taken between two refills is a literal/length codeword and its extra bits.
const _: () = assert!(REFILLED >= 20, "a bit buffer has 32 bits or more");

/// Bits of an input slice, least significant first. Beyond the last byte come zeros: [`Bits::overrun`] tells whether
/// any of them was taken, which it is enough to ask before a result is believed.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    input: &'a [u8],
    /// What of the input is not in the buffer yet.
    rest: &'a [u8],
    /// The next bits. Above `count` there may be more of them, exactly those that the next refill puts there.
    buffer: usize,
    /// How many bits are in the buffer, in the lowest 6 bits (5 where words have 32 bits); above them is anything.
    count: u32,
    /// Zero bytes supplied so far, beyond the input's end.
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

    /// The same, for loops that refill often: each use adds the code once more.
    #[inline(always)]
    pub(super) fn refill_inline(&mut self) {
        // As many whole bytes as fit, without a branch on how many: what else the word holds stays above `count`.
        let bytes = word((!self.count & (usize::BITS - 1)) >> 3) & (WORD - 1);
        let next = if let Some(next) = self.rest.first_chunk() {
            self.rest = self.rest.get(bytes..).unwrap_or_default();
            usize::from_le_bytes(*next)
        } else {
            let next = last_word(self.rest);
            self.supplied = self.supplied.wrapping_add(bytes.saturating_sub(self.rest.len()));
            self.rest = self.rest.get(bytes..).unwrap_or_default();
            next
        };
        self.buffer |= next.wrapping_shl(self.count);
        self.count |= REFILLED;
    }

    /// The next bits, `mask` of them, without taking them.
    #[inline(always)]
    pub(super) fn peek(&self, mask: usize) -> usize {
        self.buffer & mask
    }

    /// Takes `number` bits that are in the buffer. Only the bits of `number` that `count` has matter.
    #[inline(always)]
    pub(super) fn drop(&mut self, number: u32) {
        self.buffer = self.buffer.wrapping_shr(number);
        self.count = self.count.wrapping_sub(number);
    }

    /// Takes and returns `number` bits that are in the buffer, fewer than a word.
    #[inline(always)]
    pub(super) fn take(&mut self, number: u32) -> usize {
        let before = self.buffer;
        self.drop(number);
        // Cheaper than a mask where there is no instruction for one.
        before ^ self.buffer.wrapping_shl(number)
    }

    /// Skips to a whole byte, then takes `number` bytes.
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

    /// Whether bits beyond the end of the input were taken.
    pub(super) fn overrun(&self) -> bool {
        self.supplied.wrapping_mul(8) > self.count()
    }

    #[inline(always)]
    pub(super) fn count(&self) -> usize {
        let [count, ..] = self.count.to_le_bytes();
        usize::from(count)
    }
}

/// The lowest `number` bits set. Only so many bits of `number` matter as it takes to count a word's bits.
#[inline(always)]
pub(super) fn ones(number: u32) -> usize {
    !usize::MAX.wrapping_shl(number)
}

/// A `u32` as a `usize`, which holds it on every target that [`REFILLED`] admits.
#[inline(always)]
pub(super) fn word(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// The last bytes of the input, fewer than a word, as a word.
#[cold]
fn last_word(rest: &[u8]) -> usize {
    // Bound: fewer bytes than a word has.
    rest.iter()
        .rev()
        .fold(0, |word, &byte| word.wrapping_shl(8) | usize::from(byte))
}
