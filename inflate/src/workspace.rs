//! The memory that a caller lends to the decoder.

use core::fmt;

use zerocopy::FromBytes;

use super::compact::SmallTables;
use super::tables::Tables;

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
pub struct Workspace<'m> {
    pub(super) small: &'m mut SmallTables,
    pub(super) tables: Option<&'m mut Tables>,
}

/// The alignment of both kinds of memory.
const ALIGNMENT: usize = 4;
const _: () = assert!(align_of::<SmallTables>() <= ALIGNMENT && align_of::<Tables>() <= ALIGNMENT);
const _: () = assert!(size_of::<SmallTables>().is_multiple_of(ALIGNMENT), "the tables follow");

impl<'m> Workspace<'m> {
    /// The minimum number of bytes to decode any stream: 1,035.
    pub const SMALL: usize = size_of::<SmallTables>() + ALIGNMENT - 1;

    /// The minimum number of bytes to decode any stream two to five times as fast: 6,523. Equal to
    /// [`Workspace::SMALL`] in a build without the feature `fast`.
    pub const FAST: usize = Self::SMALL + size_of::<Tables>();

    /// Returns a workspace in `memory`: a fast one if it has [`Workspace::FAST`] bytes or more,
    /// else a small one. Returns `None` if it has fewer than [`Workspace::SMALL`] bytes.
    #[must_use]
    pub fn new(memory: &'m mut [u8]) -> Option<Self> {
        // Fewer bytes would be enough at some alignments, but the choice must not depend on the
        // alignment.
        if memory.len() < Self::SMALL {
            return None;
        }
        #[cfg(feature = "fast")]
        let is_fast = memory.len() >= Self::FAST;
        let skip = memory.as_ptr().align_offset(ALIGNMENT);
        let (small, _rest) = SmallTables::mut_from_prefix(memory.get_mut(skip..)?).ok()?;
        #[cfg(feature = "fast")]
        let tables = match Tables::mut_from_prefix(_rest) {
            Ok((tables, _)) if is_fast => Some(tables),
            _ => None,
        };
        #[cfg(not(feature = "fast"))]
        let tables = None;
        Some(Self { small, tables })
    }
}

const _: () = assert!(Workspace::SMALL == 1035, "as documented");
#[cfg(feature = "fast")]
const _: () = assert!(Workspace::FAST == 6523, "as documented");

impl fmt::Debug for Workspace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workspace")
            .field("is_fast", &self.tables.is_some())
            .finish()
    }
}
