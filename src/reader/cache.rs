//! The table cache: the fixed-capacity buffer that L1 and L2 words are read through.
//!
//! The file is seen as aligned *slots* of 2^n bytes, each of up to 32 *lines* that are filled on their own. A lookup
//! that stands alone reads one line; work that goes on in order reads the rest of a table in one request. A line is
//! marked invalid before it is filled and published only after its read succeeded.

use zerocopy::byteorder::native_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::offset::HostOffset;

/// log2 of the number of lines in the largest slot: the bits of [`Tag::valid`].
pub(crate) const MAX_LINES_SHIFT: u32 = 5;

/// Slots among which an address has its place; a cache with fewer has them all in one set.
const WAYS: usize = 8;

/// Which part of the file a slot holds. Lies in lent memory, so it has no alignment of its own.
#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Tag {
    /// The host offset in slots.
    number: U64,
    /// A bit for each line that holds what the file holds.
    valid: U32,
    /// When it was last used, by [`Cache::clock`].
    used: U32,
}

impl Tag {
    /// Of a part that no file has.
    pub(crate) const UNUSED: Self = Self {
        number: U64::from_bytes([0xff; 8]),
        valid: U32::ZERO,
        used: U32::ZERO,
    };
}

/// Lines of a slot that are to be filled from the file.
#[derive(Clone, Copy)]
pub(crate) struct Fill {
    slot: usize,
    /// A bit for each line, adjacent.
    lines: u32,
    /// Where the first line starts in the file.
    pub(crate) host: HostOffset,
    /// The bytes of all the lines.
    pub(crate) len: u64,
}

/// Whose words are looked up. Work of any kind goes back and forth between the two.
#[derive(Clone, Copy)]
pub(crate) enum Table {
    L1,
    L2,
}

pub(crate) struct Cache<'m> {
    slots: &'m mut [u8],
    /// Empty where there is one slot, whose tag is `single`: so the least memory holds nothing but a block.
    tags: &'m mut [Tag],
    single: Tag,
    line_shift: u8,
    slot_shift: u8,
    /// The slots used last for each level of tables, tried first.
    recent: [usize; 2],
    clock: u32,
}

impl<'m> Cache<'m> {
    /// A cache of `tags.len()` slots, or of one where `tags` is empty, each of 2^`slot_shift` bytes in `slots`.
    pub(crate) fn new(slots: &'m mut [u8], tags: &'m mut [Tag], line_shift: u8, slot_shift: u8) -> Self {
        tags.fill(Tag::UNUSED);
        Self {
            slots,
            tags,
            single: Tag::UNUSED,
            line_shift,
            slot_shift,
            recent: [0; 2],
            clock: 0,
        }
    }

    /// The bytes of the file from `at` on, as many as are cached in one piece; at least one, or `None`.
    pub(crate) fn get(&mut self, at: HostOffset, table: Table) -> Option<&[u8]> {
        let slot = self.find(self.number(at), table)?;
        self.clock = self.clock.wrapping_add(1);
        let clock = self.clock;
        let (line, within) = (self.line_in_slot(at), self.within_slot(at));
        let tag = self.tags_mut().get_mut(slot)?;
        tag.used.set(clock);
        let valid = tag.valid.get().wrapping_shr(line).trailing_ones();
        if valid == 0 {
            return None;
        }
        *self.recent_mut(table) = slot;
        let lines_end = usize::try_from(line.wrapping_add(valid))
            .ok()?
            .wrapping_shl(self.line_shift.into());
        let start = slot.wrapping_shl(self.slot_shift.into());
        // Slots lie inside lent memory, so no sum of these wraps.
        self.slots
            .get(start.wrapping_add(within)..start.wrapping_add(lines_end))
    }

    /// Chooses the lines that hold the `len` bytes from `at` on, as far as one slot has them, and marks them invalid.
    pub(crate) fn prepare(&mut self, at: HostOffset, len: u64, table: Table) -> Fill {
        let number = self.number(at);
        let slot = self.find(number, table).unwrap_or_else(|| self.evict(number));
        let first = self.line_in_slot(at);
        let within = at.0 & self.slot_size().wrapping_sub(1);
        let last_byte = within
            .saturating_add(len.saturating_sub(1))
            .min(self.slot_size().wrapping_sub(1));
        // Below 2^MAX_LINES_SHIFT, as every line of a slot.
        let last = u32::try_from(last_byte.wrapping_shr(self.line_shift.into())).unwrap_or(first);
        let count = last.saturating_sub(first).saturating_add(1);
        let lines = u32::MAX.wrapping_shr(32_u32.saturating_sub(count)).wrapping_shl(first);
        if let Some(tag) = self.tags_mut().get_mut(slot) {
            tag.valid.set(tag.valid.get() & !lines);
        }
        let line_mask = u64::MAX.wrapping_shl(self.line_shift.into());
        Fill {
            slot,
            lines,
            host: HostOffset(at.0 & line_mask),
            len: u64::from(count).wrapping_shl(self.line_shift.into()),
        }
    }

    /// Where the first `len` bytes of what `fill` names are to be put.
    pub(crate) fn target(&mut self, fill: &Fill, len: usize) -> Option<&mut [u8]> {
        let start = u64::from(fill.lines.trailing_zeros()).wrapping_shl(self.line_shift.into());
        let range = self.slot_range(fill.slot)?;
        let (_, bytes) = self
            .slots
            .get_mut(range)?
            .split_at_mut_checked(usize::try_from(start).ok()?)?;
        bytes.get_mut(..len)
    }

    /// Makes known what `fill` names: it has been read.
    pub(crate) fn publish(&mut self, fill: &Fill) {
        if let Some(tag) = self.tags_mut().get_mut(fill.slot) {
            tag.valid.set(tag.valid.get() | fill.lines);
        }
    }

    /// Forgets all that it holds.
    pub(crate) fn forget(&mut self) {
        self.tags_mut().fill(Tag::UNUSED);
    }

    /// The first slot's bytes, for another use; what it held is forgotten.
    pub(crate) fn borrow_slot(&mut self) -> &mut [u8] {
        if let Some(tag) = self.tags_mut().first_mut() {
            tag.valid = U32::ZERO;
        }
        self.slots
    }

    /// The slot that has been given to `number`.
    fn find(&mut self, number: u64, table: Table) -> Option<usize> {
        let recent = *self.recent_mut(table);
        if self.tags().get(recent).is_some_and(|tag| tag.number.get() == number) {
            return Some(recent);
        }
        let (start, set) = self.set(number);
        let way = set.iter().position(|tag| tag.number.get() == number)?;
        Some(start.wrapping_add(way))
    }

    fn recent_mut(&mut self, table: Table) -> &mut usize {
        let [l1, l2] = &mut self.recent;
        match table {
            Table::L1 => l1,
            Table::L2 => l2,
        }
    }

    /// Gives the slot of `number`'s set that was not used for longest to `number`.
    fn evict(&mut self, number: u64) -> usize {
        let clock = self.clock;
        let (start, set) = self.set(number);
        let age = |tag: &Tag| clock.wrapping_sub(tag.used.get());
        let mut oldest = 0;
        let mut oldest_age = 0;
        for (way, tag) in set.iter().enumerate() {
            if tag.valid == U32::ZERO {
                oldest = way;
                break;
            }
            if age(tag) >= oldest_age {
                (oldest, oldest_age) = (way, age(tag));
            }
        }
        let slot = start.wrapping_add(oldest);
        if let Some(tag) = self.tags_mut().get_mut(slot) {
            *tag = Tag {
                number: U64::new(number),
                valid: U32::ZERO,
                used: U32::new(clock),
            };
        }
        slot
    }

    /// The tags among which `number` has its place, and the index of the first.
    fn set(&self, number: u64) -> (usize, &[Tag]) {
        let tags = self.tags();
        let sets = tags.len().wrapping_shr(WAYS.trailing_zeros());
        if sets <= 1 {
            return (0, tags);
        }
        // Tables lie at regular distances, so the number is hashed (by 2^64 over the golden ratio) before it is
        // scaled to the number of sets; no division, which small machines lack.
        let hash = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_shr(32);
        let sets = u64::try_from(sets).unwrap_or(u64::MAX);
        let set = hash.wrapping_mul(sets).wrapping_shr(32);
        let start = usize::try_from(set).unwrap_or(0).wrapping_mul(WAYS);
        (
            start,
            tags.get(start..).and_then(|rest| rest.get(..WAYS)).unwrap_or(&[]),
        )
    }

    fn tags(&self) -> &[Tag] {
        if self.tags.is_empty() {
            core::slice::from_ref(&self.single)
        } else {
            self.tags
        }
    }

    fn tags_mut(&mut self) -> &mut [Tag] {
        if self.tags.is_empty() {
            core::slice::from_mut(&mut self.single)
        } else {
            self.tags
        }
    }

    fn slot_size(&self) -> u64 {
        1_u64.wrapping_shl(self.slot_shift.into())
    }

    fn number(&self, at: HostOffset) -> u64 {
        at.0.wrapping_shr(self.slot_shift.into())
    }

    fn line_in_slot(&self, at: HostOffset) -> u32 {
        // At most 2^MAX_LINES_SHIFT lines in a slot.
        u32::try_from(self.within_slot(at).wrapping_shr(self.line_shift.into())).unwrap_or(0)
    }

    fn within_slot(&self, at: HostOffset) -> usize {
        usize::try_from(at.0 & self.slot_size().wrapping_sub(1)).unwrap_or(0)
    }

    fn slot_range(&self, slot: usize) -> Option<core::ops::Range<usize>> {
        let size = 1_usize.checked_shl(self.slot_shift.into())?;
        let start = slot.checked_mul(size)?;
        Some(start..start.checked_add(size)?)
    }
}
