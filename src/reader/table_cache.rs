//! The table cache: the fixed-capacity buffer that L1 and L2 words are read through.
//!
//! The file is seen as aligned pieces of 2^n bytes, each of which has room in a *slot*. A slot has no piece from the
//! moment that it is chosen for one until that has been read, so a failed read leaves nothing that could be believed.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::offset::{HostOffset, saturating_usize};
use crate::reader::device_shape::DeviceShape;
use crate::reader::stop::Stop;

/// Slots among which a piece has its place; a cache with fewer than twice as many has them all in one set.
const WAYS: usize = 8;

/// The offset of a table word, or none, which is zeros. A word is at less than 2^63 and the size of a table.
///
/// Two words: what has it takes no alignment of 8 where registers have 32 bits.
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
struct Offset {
    low: u32,
    high: u32,
}

impl Offset {
    const NONE: Self = Self { low: 0, high: 0 };

    /// With the highest two bits flipped, so that none is no word's.
    const fn new(offset: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = (offset ^ 3 << 62).to_le_bytes();
        Self {
            low: u32::from_le_bytes([a, b, c, d]),
            high: u32::from_le_bytes([e, f, g, h]),
        }
    }

    /// The offset; 3 * 2^62 for none, past every word of a table, in salvage too.
    fn get(self) -> u64 {
        (u64::from(self.high).wrapping_shl(32) | u64::from(self.low)) ^ 3 << 62
    }
}

/// Which piece of the file a slot holds. Lies in lent memory.
#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub(crate) struct Tag {
    /// Where the piece starts in the file, if there is one.
    start: Offset,
    /// Where the slot starts in the memory for slots.
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

/// The table that a word is looked up in. Work of any kind goes back and forth between the two.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    L1,
    L2,
}

pub(crate) struct TableCache<'m> {
    pub(crate) device: DeviceShape,
    slots: &'m mut [u8],
    /// In sets; in each, the tag used last comes first. Empty where there is one slot, whose tag is `single`, so that the
    /// minimum of memory holds nothing but a block.
    tags: &'m mut [Tag],
    single: Tag,
    /// The pieces looked up last in the L1, and in any L2 table: most words are found here.
    recent_l1: Tag,
    recent_l2: Tag,
    /// The piece that is to be read next, and the slot chosen for it.
    filling: Tag,
    split_word: SplitWord,
    slot_shift: u8,
}

/// A word that lies across two pieces, as far as it has been read: with one slot, they are never there together.
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
    /// A cache of `tags.len()` slots, or of one where `tags` is empty, each of 2^`slot_shift` bytes in `slots`.
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
            recent_l1: Tag::empty(0),
            recent_l2: Tag::empty(0),
            filling: Tag::empty(0),
            split_word: SplitWord::new(Offset::NONE),
            slot_shift,
        }
    }

    /// Puts the big-endian word of the file at `at` into `word`. Past its end are zeros.
    ///
    /// # Errors
    /// [`Stop::Miss`]: the piece that [`TableCache::missing`] names has to be read before it is asked again.
    pub(crate) fn word(&mut self, at: HostOffset, table: Table, word: &mut u64) -> Result<(), Stop> {
        if let Some(bytes) = self.recent(at, table).first_chunk() {
            *word = u64::from_be_bytes(*bytes);
            return Ok(());
        }
        self.find_word(at, table, word)
    }

    /// The same for a word that is not in the piece looked up last.
    #[inline(never)]
    fn find_word(&mut self, at: HostOffset, table: Table, word: &mut u64) -> Result<(), Stop> {
        let within = at.0 & self.slot_size().wrapping_sub(1);
        let bytes = if at >= self.device.end || within > self.slot_size().wrapping_sub(8) {
            self.split_word(at, table)?;
            self.split_word.bytes
        } else {
            self.look_up(at, table)?;
            self.recent(at, table).first_chunk().copied().unwrap_or_default()
        };
        *word = u64::from_be_bytes(bytes);
        Ok(())
    }

    /// The bytes of the file from `at` to the end of the piece looked up last in this table; none where `at` is outside it.
    pub(crate) fn recent(&self, at: HostOffset, table: Table) -> &[u8] {
        let tag = match table {
            Table::L1 => &self.recent_l1,
            Table::L2 => &self.recent_l2,
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

    /// Reads a word that lies across two pieces, or past the end of the file. What has been read of it survives a miss.
    #[cold]
    fn split_word(&mut self, at: HostOffset, table: Table) -> Result<(), Stop> {
        if self.split_word.at.get() != at.0 {
            self.split_word = SplitWord::new(Offset::new(at.0));
        }
        // Bound: 8 bytes, and two pieces that are looked up.
        while self.split_word.len < 8 {
            let from = at.plus(self.split_word.len.into());
            if from >= self.device.end {
                // The rest is zeros, as the word was before.
                break;
            }
            let Some(&byte) = self.recent(from, table).first() else {
                self.look_up(from, table)?;
                continue;
            };
            let len = usize::from(self.split_word.len);
            if let Some(next) = self.split_word.bytes.get_mut(len) {
                *next = byte;
            }
            self.split_word.len = self.split_word.len.wrapping_add(1);
        }
        Ok(())
    }

    /// Finds the piece that holds `at`, for [`TableCache::recent`].
    fn look_up(&mut self, at: HostOffset, table: Table) -> Result<(), Stop> {
        let start = at.0 & !self.slot_size().wrapping_sub(1);
        let Some(found) = self.promote(start) else {
            self.evict(start);
            return Err(Stop::Miss);
        };
        match table {
            Table::L1 => self.recent_l1 = found,
            Table::L2 => self.recent_l2 = found,
        }
        Ok(())
    }

    /// Finds the tag of the piece that starts at `start`, and moves it before all others of its set.
    #[inline(never)]
    fn promote(&mut self, start: u64) -> Option<Tag> {
        let set = self.set(start);
        let wanted = Offset::new(start);
        let way = set.iter().position(|tag| tag.start == wanted)?;
        let mut moved = Tag::empty(0);
        for tag in set.iter_mut().take(way.wrapping_add(1)) {
            core::mem::swap(tag, &mut moved);
        }
        let first = set.first_mut()?;
        *first = moved;
        Some(moved)
    }

    /// Chooses the slot of `start`'s set that was not used for longest, for the piece there.
    fn evict(&mut self, start: u64) {
        // Most L1 words are found in the recent piece. That is use too, which the order of the tags does not show.
        self.promote(self.recent_l1.start.get());
        let Some(oldest) = self.set(start).last_mut() else {
            return;
        };
        let slot = oldest.slot;
        oldest.start = Offset::NONE;
        self.filling = Tag {
            start: Offset::new(start),
            slot,
        };
        for recent in [&mut self.recent_l1, &mut self.recent_l2] {
            if recent.slot == slot {
                recent.start = Offset::NONE;
            }
        }
    }

    /// The number of the first block of the piece that is to be read next, and the slot for what of it is there.
    pub(crate) fn missing(&mut self) -> (u64, &mut [u8]) {
        let start = HostOffset(self.filling.start.get());
        let len = self.device.readable(start, saturating_usize(self.slot_size()));
        (self.device.lba(start), self.filled().get_mut(..len).unwrap_or_default())
    }

    /// Makes known what [`TableCache::missing`] named: it has been read. What of it lies past the end of the file is zeros.
    pub(crate) fn publish(&mut self) {
        let filling = self.filling;
        let start = filling.start.get();
        let stored = saturating_usize(self.device.end.since(HostOffset(start)));
        self.filled().get_mut(stored..).unwrap_or_default().fill(0);
        // The last of its set since it was chosen: no look-up finds an empty slot, and so none moves it.
        if let Some(tag) = self.set(start).last_mut() {
            *tag = filling;
        }
        self.promote(start);
    }

    /// The slot that is being filled.
    #[inline(never)]
    fn filled(&mut self) -> &mut [u8] {
        let len = saturating_usize(self.slot_size());
        let rest = self.slots.get_mut(self.filling.slot..).unwrap_or_default();
        rest.get_mut(..len).unwrap_or_default()
    }

    /// Forgets all that it holds.
    #[inline(never)]
    pub(crate) fn forget(&mut self) {
        for tag in self.tags_mut() {
            tag.start = Offset::NONE;
        }
        self.recent_l1.start = Offset::NONE;
        self.recent_l2.start = Offset::NONE;
        self.split_word = SplitWord::new(Offset::NONE);
    }

    /// The bytes of a cache with one slot, for another use; what it held is forgotten.
    pub(crate) fn borrow_slot(&mut self) -> &mut [u8] {
        self.forget();
        self.slots
    }

    /// The tags among which the piece that starts at `start` has its place.
    fn set(&mut self, start: u64) -> &mut [Tag] {
        // At most 16: the mask changes nothing, but saves machines of 32 bits half of a shift.
        let number = start.wrapping_shr(u32::from(self.slot_shift) & 31);
        let tags = self.tags_mut();
        let sets = tags.len().wrapping_shr(WAYS.trailing_zeros());
        if sets <= 1 {
            return tags;
        }
        // Tables lie at regular distances, so the number is hashed (by 2^32 over the golden ratio) before it is scaled to the
        // number of sets; no division, which small machines lack.
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

    /// The bytes of a slot: at most 2^16.
    fn slot_size(&self) -> u64 {
        1_u32.wrapping_shl(self.slot_shift.into()).into()
    }
}
