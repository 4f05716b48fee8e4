//! What a check finds.

use core::fmt;

use crate::error::Corrupt;
use crate::offset::GuestOffset;

/// Something that is wrong with an image: in one place, or in the same way in several that follow each other.
///
/// Its `Display` says it in full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Finding {
    /// What is wrong, and where it begins.
    pub corrupt: Corrupt,
    /// The number of clusters, L2 tables or L1 entries, at least 1. They follow each other in the guest, and each has
    /// the flaw of `corrupt`; their host offsets may be anywhere.
    pub count: u64,
    /// The number of guest bytes that they are for, from [`Corrupt::guest_offset`] on; 0 where that is `None`.
    pub guest_len: u64,
}

impl Finding {
    /// One flaw of the guest bytes up to `end`.
    pub(crate) fn new(corrupt: Corrupt, end: GuestOffset) -> Self {
        Self {
            corrupt,
            count: 1,
            guest_len: end.since(corrupt.guest()),
        }
    }

    /// Goes on up to `end`, if `corrupt` is the same flaw in the guest bytes that follow.
    pub(crate) fn join(&mut self, corrupt: &Corrupt, end: GuestOffset) -> bool {
        let start = self.corrupt.guest();
        let joins = self.corrupt.flaw() == corrupt.flaw() && start.plus(self.guest_len) == corrupt.guest();
        if joins {
            self.count = self.count.wrapping_add(1);
            self.guest_len = end.since(start);
        }
        joins
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.corrupt, f)?;
        match self.corrupt.guest_offset() {
            Some(guest) if self.count > 1 => {
                let (count, end) = (self.count, guest.saturating_add(self.guest_len));
                write!(f, " (first of {count} in sequence, up to guest offset {end:#x})")
            }
            _ => Ok(()),
        }
    }
}

/// What a check has seen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct CheckSummary {
    /// The number of findings that were reported.
    pub findings: u64,
    /// Guest bytes stored as they are.
    pub data_bytes: u64,
    /// Guest bytes stored deflated.
    pub compressed_bytes: u64,
    /// Guest bytes stored nowhere in this image.
    pub hole_bytes: u64,
    /// Bytes of the file that nothing leads to, in gaps of a cluster or more: smaller gaps are alignment. 0 without a
    /// usage map.
    pub unreachable_bytes: u64,
}

impl CheckSummary {
    /// Of a raw disk, in which nothing can be wrong.
    pub(crate) fn raw(size: u64) -> Self {
        Self {
            data_bytes: size,
            ..Self::default()
        }
    }
}
