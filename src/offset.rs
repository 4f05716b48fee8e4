//! Byte offsets: in the guest's disk, and in the image file.

use core::fmt;

/// A byte offset in the disk that the guest sees.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct GuestOffset(pub(crate) u64);

/// A byte offset in the image file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct HostOffset(pub(crate) u64);

impl GuestOffset {
    pub(crate) const fn plus(self, bytes: u64) -> Self {
        Self(self.0.saturating_add(bytes))
    }

    /// The bytes from `start` up to here; 0 where `start` is not below.
    pub(crate) const fn since(self, start: Self) -> u64 {
        self.0.saturating_sub(start.0)
    }
}

impl HostOffset {
    pub(crate) const fn plus(self, bytes: u64) -> Self {
        Self(self.0.saturating_add(bytes))
    }

    /// The bytes from `start` up to here; 0 where `start` is not below.
    pub(crate) const fn since(self, start: Self) -> u64 {
        self.0.saturating_sub(start.0)
    }
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
