//! Byte offsets in the guest's disk and in the image file, and conversions of byte counts.

use core::fmt;

/// A byte offset in the disk that the guest sees.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct GuestOffset(pub(crate) u64);

/// A byte offset in the image file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(qcow1_proofs, derive(Hash))]
pub(crate) struct HostOffset(pub(crate) u64);

impl GuestOffset {
    /// Adds `bytes`, saturating: for offsets that are not known to lie inside the disk or the file.
    pub(crate) const fn plus(self, bytes: u64) -> Self {
        Self(self.0.saturating_add(bytes))
    }

    /// Returns the number of bytes from `start` to `self`, or 0 if `start` is after `self`.
    #[cfg(feature = "check")]
    pub(crate) const fn since(self, start: Self) -> u64 {
        self.0.saturating_sub(start.0)
    }

    /// Adds `bytes`: for sums that lie inside a disk or a file, so they do not wrap. Saturating
    /// takes four times the code on 32-bit machines.
    pub(crate) const fn wrapping_add(self, bytes: u64) -> Self {
        Self(self.0.wrapping_add(bytes))
    }

    /// Returns the number of bytes from `start`, which is not after `self`, to `self`.
    pub(crate) const fn wrapping_sub(self, start: Self) -> u64 {
        self.0.wrapping_sub(start.0)
    }
}

impl HostOffset {
    /// Adds `bytes`, saturating: for offsets that are not known to lie inside the disk or the file.
    pub(crate) const fn plus(self, bytes: u64) -> Self {
        Self(self.0.saturating_add(bytes))
    }

    /// Returns the number of bytes from `start` to `self`, or 0 if `start` is after `self`.
    pub(crate) const fn since(self, start: Self) -> u64 {
        self.0.saturating_sub(start.0)
    }

    /// Adds `bytes`: for sums that lie inside a disk or a file, so they do not wrap. Saturating
    /// takes four times the code on 32-bit machines.
    pub(crate) const fn wrapping_add(self, bytes: u64) -> Self {
        Self(self.0.wrapping_add(bytes))
    }
}

/// Returns `number` as a `usize`, or `usize::MAX` if it is larger.
pub(crate) fn saturating_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Returns `number` as a `u32`, or `u32::MAX` if it is larger.
pub(crate) fn saturating_u32(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Returns the lower 32 bits: all of a number that is known to be smaller than 2^32. Saturating
/// takes four times the code on 32-bit machines.
pub(crate) const fn low_u32(number: u64) -> u32 {
    let [a, b, c, d, ..] = number.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Returns an offset in the image's memory as a `usize`. Machines of 16 bits have less memory than
/// its maximum there.
pub(crate) fn index(offset: u32) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// Returns the length of a buffer as a `u64`.
pub(crate) fn byte_count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

impl fmt::Debug for GuestOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GuestOffset({:#x})", self.0)
    }
}

impl fmt::Debug for HostOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostOffset({:#x})", self.0)
    }
}
