//! The table cache: the fixed-capacity buffer that L1 and L2 words are read through.
//!
//! A *piece* is an aligned part of the file of 2^n bytes, and fills a *slot* of the cache. A slot is empty from the moment that
//! it is chosen for a piece until the piece has been read, so a failed read leaves nothing that could be believed.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::offset::{HostOffset, saturating_usize};
use crate::reader::device_shape::DeviceShape;
use crate::reader::stop::Stop;

/// The number of slots in a set. A cache with fewer than twice as many slots is one set.
const WAYS: usize = 8;

/// The offset of a table word or of a piece, or none.
///
/// None is all zeros, and reads as 3 * 2^62, so that it is near no table word: those are below 2^63 plus the size of a
/// table, in salvage too. It is two words, because an alignment of 8 would cost padding where registers have 32 bits.
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
struct Offset {
    low: u32,
    high: u32,
}

impl Offset {
    const NONE: Self = Self { low: 0, high: 0 };

    /// Creates an offset. The highest two bits are stored flipped.
    const fn new(offset: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = (offset ^ 3 << 62).to_le_bytes();
        Self {
            low: u32::from_le_bytes([a, b, c, d]),
            high: u32::from_le_bytes([e, f, g, h]),
        }
    }

    /// Returns the offset, or 3 * 2^62 for none.
    fn get(self) -> u64 {
        (u64::from(self.high).wrapping_shl(32) | u64::from(self.low)) ^ 3 << 62
    }
}

/// The tag of a slot: which piece of the file it holds. It lies in lent memory.
#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub(crate) struct Tag {
    /// Where the piece starts in the file; none for an empty slot.
    start: Offset,
    /// Where the slot starts in the memory of all slots.
    slot: usize,
}

impl Tag {
    const fn empty(slot: usize) -> Self {
        Self {
            start: Offset::NONE,
            slot,
        }
    }
}

/// The kind of table that a word is looked up in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    L1,
    L2,
}

pub(crate) struct TableCache<'m> {
    pub(crate) device: DeviceShape,
    slots: &'m mut [u8],
    /// In sets. The tag used last is the first of its set. Where there is one slot, its tag is `single` and this is empty, so
    /// that the minimum of memory holds nothing but a block.
    tags: &'m mut [Tag],
    single: Tag,
    /// The pieces looked up last, for each kind of table: most words are found in them.
    recent_l1_piece: Tag,
    recent_l2_piece: Tag,
    /// The piece that is read next, and the slot chosen for it. It means nothing but between a miss and its publishing.
    filling: Tag,
    split_word: SplitWord,
    slot_shift: u8,
}

/// The bytes that have been read of a word that lies across two pieces. A cache of one slot never holds both pieces.
struct SplitWord {
    at: Offset,
    bytes: [u8; 8],
    len: u8,
}

impl SplitWord {
    const fn new(at: Offset) -> Self {
        Self {
            at,
            bytes: [0; 8],
            len: 0,
        }
    }
}

impl<'m> TableCache<'m> {
    /// Creates a cache of `tags.len()` slots, or of one where `tags` is empty, each of 2^`slot_shift` bytes in `slots`.
    pub(crate) fn new(device: DeviceShape, slots: &'m mut [u8], tags: &'m mut [Tag], slot_shift: u8) -> Self {
        let slot_size = 1_usize.wrapping_shl(slot_shift.into());
        let mut slot = 0_usize;
        for tag in tags.iter_mut() {
            *tag = Tag::empty(slot);
            slot = slot.wrapping_add(slot_size);
        }
        Self {
            device,
            slots,
            tags,
            single: Tag::empty(0),
            recent_l1_piece: Tag::empty(0),
            recent_l2_piece: Tag::empty(0),
            filling: Tag::empty(0),
            split_word: SplitWord::new(Offset::NONE),
            slot_shift,
        }
    }

    /// Reads the big-endian word of the file at `at` into `word`. Bytes past the end of the file are zeros.
    ///
    /// # Errors
    /// [`Stop::Miss`]: read the piece that [`TableCache::missing`] names, publish it, and call again.
    pub(crate) fn word(&mut self, at: HostOffset, table: Table, word: &mut u64) -> Result<(), Stop> {
        if let Some(bytes) = self.recent(at, table).first_chunk() {
            *word = u64::from_be_bytes(*bytes);
            return Ok(());
        }
        self.find_word(at, table, word)
    }

    /// Does the same for a word that is not in the piece looked up last.
    // Not inlined, so that the usual case has no registers to push.
    #[inline(never)]
    fn find_word(&mut self, at: HostOffset, table: Table, word: &mut u64) -> Result<(), Stop> {
        let within = at.0 & self.slot_size().wrapping_sub(1);
        let bytes = if at >= self.device.end || within > self.slot_size().wrapping_sub(8) {
            // Bound: a word lies in two pieces at most.
            while !self.complete_split_word(at, table) {
                self.look_up(at.plus(self.split_word.len.into()), table)?;
            }
            self.split_word.bytes
        } else {
            self.look_up(at, table)?;
            self.recent(at, table).first_chunk().copied().unwrap_or_default()
        };
        *word = u64::from_be_bytes(bytes);
        Ok(())
    }

    /// Returns the bytes of the file from `at` to the end of the piece looked up last in this kind of table; none where `at` is
    /// outside that piece.
    pub(crate) fn recent(&self, at: HostOffset, table: Table) -> &[u8] {
        let tag = match table {
            Table::L1 => &self.recent_l1_piece,
            Table::L2 => &self.recent_l2_piece,
        };
        let within = at.0.wrapping_sub(tag.start.get());
        if within >= self.slot_size() {
            return &[];
        }
        // Slots lie inside lent memory, so no sum of these wraps.
        let start = tag.slot.wrapping_add(saturating_usize(within));
        let end = tag.slot.wrapping_add(saturating_usize(self.slot_size()));
        self.slots.get(start..end).unwrap_or_default()
    }

    /// Adds what the recent piece has to `split_word`, a word that lies across two pieces or past the end of the file. Returns
    /// whether the word is complete. Its first bytes survive a miss of the second piece.
    #[cold]
    fn complete_split_word(&mut self, at: HostOffset, table: Table) -> bool {
        if self.split_word.at.get() != at.0 {
            self.split_word = SplitWord::new(Offset::new(at.0));
        }
        // Bound: each turn takes a byte of 8.
        while self.split_word.len < 8 {
            let len = self.split_word.len;
            let from = at.plus(len.into());
            let byte = if from >= self.device.end {
                0
            } else if let Some(&byte) = self.recent(from, table).first() {
                byte
            } else {
                return false;
            };
            if let Some(next) = self.split_word.bytes.get_mut(usize::from(len)) {
                *next = byte;
            }
            self.split_word.len = len.wrapping_add(1);
        }
        true
    }

    /// Makes the piece that holds `at` the recent one.
    ///
    /// # Errors
    /// [`Stop::Miss`], and then a slot has been chosen for the piece.
    fn look_up(&mut self, at: HostOffset, table: Table) -> Result<(), Stop> {
        let start = at.0 & !self.slot_size().wrapping_sub(1);
        let Some(found) = self.promote(start) else {
            self.evict(start);
            return Err(Stop::Miss);
        };
        match table {
            Table::L1 => self.recent_l1_piece = found,
            Table::L2 => self.recent_l2_piece = found,
        }
        Ok(())
    }

    /// Moves the tag of the piece that starts at `start` to the front of its set and returns it; `None` if no slot holds it.
    fn promote(&mut self, start: u64) -> Option<Tag> {
        let set = self.set(start);
        let wanted = Offset::new(start);
        let way = set.iter().position(|tag| tag.start == wanted)?;
        let (before, found) = set.split_at_mut_checked(way)?;
        let found = found.first_mut()?;
        for tag in before {
            core::mem::swap(tag, found);
        }
        set.first().copied()
    }

    /// Chooses the slot that was not used for the longest time, in the set of `start`, for the piece there.
    fn evict(&mut self, start: u64) {
        // Words found in the recent piece of the L1 do not move its tag, and yet all look-ups begin there. Without one, an
        // empty tag would be moved.
        if self.recent_l1_piece.start != Offset::NONE {
            self.promote(self.recent_l1_piece.start.get());
        }
        let Some(oldest) = self.set(start).last_mut() else {
            return;
        };
        let slot = oldest.slot;
        oldest.start = Offset::NONE;
        self.filling = Tag {
            start: Offset::new(start),
            slot,
        };
        for recent in [&mut self.recent_l1_piece, &mut self.recent_l2_piece] {
            if recent.slot == slot {
                recent.start = Offset::NONE;
            }
        }
    }

    /// Returns the number of the first block of the piece that is read next, and the buffer for its blocks.
    pub(crate) fn missing(&mut self) -> (u64, &mut [u8]) {
        let start = HostOffset(self.filling.start.get());
        let len = self.device.readable(start, saturating_usize(self.slot_size()));
        (self.device.lba(start), self.filled().get_mut(..len).unwrap_or_default())
    }

    /// Takes in what [`TableCache::missing`] named, once it has been read. Bytes past the end of the file become zeros.
    pub(crate) fn publish(&mut self) {
        let filling = self.filling;
        let start = filling.start.get();
        let stored = saturating_usize(self.device.end.since(HostOffset(start)));
        self.filled().get_mut(stored..).unwrap_or_default().fill(0);
        // The slot is the last of its set, as when it was chosen: no look-up finds and moves an empty one.
        if let Some(tag) = self.set(start).last_mut() {
            *tag = filling;
        }
        self.promote(start);
    }

    /// Returns the slot that is being filled.
    fn filled(&mut self) -> &mut [u8] {
        let len = saturating_usize(self.slot_size());
        let rest = self.slots.get_mut(self.filling.slot..).unwrap_or_default();
        rest.get_mut(..len).unwrap_or_default()
    }

    /// Forgets everything.
    // Not inlined: two calls would double it.
    #[inline(never)]
    pub(crate) fn forget(&mut self) {
        for tag in self.tags_mut() {
            tag.start = Offset::NONE;
        }
        self.recent_l1_piece.start = Offset::NONE;
        self.recent_l2_piece.start = Offset::NONE;
        self.split_word = SplitWord::new(Offset::NONE);
    }

    /// Returns the slot of a cache of one, for another use, and forgets what it held.
    pub(crate) fn borrow_slot(&mut self) -> &mut [u8] {
        self.forget();
        self.slots
    }

    /// Returns the set of tags for the piece that starts at `start`.
    fn set(&mut self, start: u64) -> &mut [Tag] {
        // At most 16: the mask changes nothing, but saves machines of 32 bits half of a shift.
        let number = start.wrapping_shr(u32::from(self.slot_shift) & 31);
        let tags = self.tags_mut();
        let sets = tags.len().wrapping_shr(WAYS.trailing_zeros());
        if sets <= 1 {
            return tags;
        }
        // Tables lie at regular distances, so the number is hashed (by 2^32 over the golden ratio) before it is scaled to the
        // number of sets. There is no division, which small machines lack.
        let hash = (number & 0xffff_ffff).wrapping_mul(0x9e37_79b9) & 0xffff_ffff;
        let sets = u64::try_from(sets).unwrap_or(u64::MAX);
        let set = saturating_usize(hash.wrapping_mul(sets).wrapping_shr(32));
        let tags = tags.get_mut(set.wrapping_mul(WAYS)..);
        tags.and_then(|rest| rest.get_mut(..WAYS)).unwrap_or_default()
    }

    fn tags_mut(&mut self) -> &mut [Tag] {
        if self.tags.is_empty() {
            core::slice::from_mut(&mut self.single)
        } else {
            self.tags
        }
    }

    /// Returns the size of a slot in bytes, at most 2^16.
    fn slot_size(&self) -> u64 {
        1_u32.wrapping_shl(self.slot_shift.into()).into()
    }
}
