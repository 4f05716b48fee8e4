//! The results of a check: findings and a summary.

use core::fmt;

use crate::error::Corrupt;
use crate::offset::GuestOffset;

/// A flaw that a check found: in one place, or the same flaw in several places in sequence.
///
/// `Display` describes it in full.
///
/// ```
/// use qcow1::{Finding, Image};
///
/// let file: &[u8] = include_bytes!("../../../tests/data/plain.qcow");
/// let truncated = &file[..file.len() - 4096];
/// let mut memory = [0; 4096];
/// let mut image = Image::open(truncated, &mut memory)?;
/// image.check(|finding: Finding| match finding.corrupt.guest_offset() {
///     Some(guest) => println!("{} guest bytes at {guest:#x}: {finding}", finding.guest_len),
///     None => println!("{finding}"),
/// })?;
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Finding {
    /// The flaw, and the first place that has it.
    pub corrupt: Corrupt,
    /// The number of clusters, L2 tables or L1 entries that have the flaw, at least 1. Their guest
    /// offsets are adjacent; their host offsets need not be.
    pub count: u64,
    /// The number of guest bytes that they cover, starting at [`Corrupt::guest_offset`]; 0 if that
    /// is `None`.
    pub guest_len: u64,
}

impl Finding {
    /// Creates a finding of one flaw, of the guest bytes up to `end`.
    pub(crate) fn new(corrupt: Corrupt, end: GuestOffset) -> Self {
        Self {
            corrupt,
            count: 1,
            guest_len: end.since(corrupt.guest()),
        }
    }

    /// Extends the finding up to `end` if `corrupt` is the same flaw in the guest bytes that
    /// follow. Returns `true` if it was extended.
    pub(crate) fn join(&mut self, corrupt: &Corrupt, end: GuestOffset) -> bool {
        let start = self.corrupt.guest();
        let joins = self.corrupt.is_like(corrupt) && start.plus(self.guest_len) == corrupt.guest();
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

/// The summary of a check: the number of findings, and what the image consists of.
///
/// ```
/// use qcow1::{CheckSummary, Image};
///
/// let file: &[u8] = include_bytes!("../../../tests/data/sparse.qcow");
/// let mut memory = [0; 4096];
/// let mut image = Image::open(file, &mut memory)?;
/// let CheckSummary { findings, data_bytes, hole_bytes, .. } = image.check(|finding| println!("{finding}"))?;
/// println!("{findings} findings, {data_bytes} bytes of data, {hole_bytes} bytes of holes");
/// # assert_eq!((findings, data_bytes + hole_bytes), (0, image.size()));
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct CheckSummary {
    /// The number of findings that were reported.
    pub findings: u64,
    /// The number of guest bytes in plain clusters.
    pub data_bytes: u64,
    /// The number of guest bytes in compressed clusters.
    pub compressed_bytes: u64,
    /// The number of guest bytes that this image does not store.
    pub hole_bytes: u64,
    /// The number of bytes of the file that nothing refers to, in gaps of at least a cluster.
    /// Smaller gaps are alignment. 0 without a usage map.
    pub unreachable_bytes: u64,
}

impl CheckSummary {
    /// Returns the summary of a raw disk, which cannot have flaws.
    pub(crate) fn raw(size: u64) -> Self {
        Self {
            data_bytes: size,
            ..Self::default()
        }
    }
}
