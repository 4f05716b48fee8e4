//! The memory that a caller lends to the decoder.

use core::fmt;

use zerocopy::FromBytes;

use super::compact::SmallTables;
use super::table::{FastTables, Tables};

/// The working memory of [`inflate`](super::inflate), in bytes that the caller lends.
///
/// The bytes may have any content and any alignment, and mean nothing between two calls.
///
/// ```
/// use qcow1_inflate::Workspace;
///
/// let mut memory = [0; Workspace::SMALL];
/// assert!(Workspace::new(&mut memory).is_some());
/// assert!(Workspace::new(&mut memory[1..]).is_none());
/// ```
pub struct Workspace<'m>(pub(super) Memory<'m>);

/// The tables that the memory holds.
pub(super) enum Memory<'m> {
    Fast(&'m mut FastTables),
    Small(&'m mut SmallTables),
}

impl Memory<'_> {
    /// Returns the memory in which a block begins, and the tables if there are any.
    pub(super) fn parts(&mut self) -> (&mut SmallTables, Option<&mut Tables>) {
        match self {
            Self::Fast(fast) => (&mut fast.small, Some(&mut fast.tables)),
            Self::Small(small) => (small, None),
        }
    }
}

impl<'m> Workspace<'m> {
    /// The minimum number of bytes to decode any stream: 1,035.
    pub const SMALL: usize = size_with_alignment::<SmallTables>();

    /// The minimum number of bytes to decode any stream two to five times as fast: 7,327.
    pub const FAST: usize = size_with_alignment::<FastTables>();

    /// Returns a workspace in `memory`: a fast one if it has [`Workspace::FAST`] bytes or more, else a small one.
    /// Returns `None` if it has fewer than [`Workspace::SMALL`] bytes.
    #[must_use]
    pub fn new(memory: &'m mut [u8]) -> Option<Self> {
        // Fewer bytes than these would do at some alignments. The choice must not depend on the alignment.
        let is_fast = memory.len() >= Self::FAST;
        if memory.len() < Self::SMALL {
            return None;
        }
        let skip = memory.as_ptr().align_offset(ALIGNMENT);
        let memory = memory.get_mut(skip..)?;
        if is_fast {
            let (tables, _) = FastTables::mut_from_prefix(memory).ok()?;
            Some(Self(Memory::Fast(tables)))
        } else {
            let (tables, _) = SmallTables::mut_from_prefix(memory).ok()?;
            Some(Self(Memory::Small(tables)))
        }
    }
}

impl fmt::Debug for Workspace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.0 {
            Memory::Fast(_) => "fast",
            Memory::Small(_) => "small",
        };
        f.debug_tuple("Workspace").field(&kind).finish()
    }
}

/// The alignment of both, so that there is one choice of bytes.
const ALIGNMENT: usize = 4;
const _: () = assert!(align_of::<SmallTables>() <= ALIGNMENT && align_of::<FastTables>() <= ALIGNMENT);
const _: () = assert!(Workspace::SMALL == 1035 && Workspace::FAST == 7327, "as documented");

/// Returns the number of bytes that hold a `T`, whatever the alignment of the memory.
const fn size_with_alignment<T>() -> usize {
    size_of::<T>().saturating_add(ALIGNMENT - 1)
}
