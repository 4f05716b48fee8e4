//! The bit reader. With the feature `fast` it has a buffer. Without, it has none, which takes less
//! code.

#[cfg(feature = "fast")]
mod buffered;
#[cfg(not(feature = "fast"))]
mod unbuffered;

#[cfg(feature = "fast")]
pub(super) use buffered::{Bits, REFILLED, free_bytes};
#[cfg(not(feature = "fast"))]
pub(super) use unbuffered::{Bits, REFILLED};

/// Returns a mask of the lowest `number` bits. `number` is taken modulo the bits of a word.
#[inline(always)]
pub(super) fn low_mask(number: u32) -> usize {
    !usize::MAX.wrapping_shl(number)
}

/// Converts a number of bits or bytes below 2^16, or of bits in a buffer.
#[inline(always)]
pub(super) fn to_usize(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// Returns the lowest 8 bits.
#[inline(always)]
pub(super) fn low_byte(value: usize) -> u8 {
    value.to_le_bytes()[0]
}
