//! The table cache: the fixed-capacity buffer that L1 and L2 words are read through.
//!
//! A *piece* is an aligned part of the file of 2^n bytes, and fills a *slot* of the cache. A slot is reserved from the moment
//! that it is chosen for a piece until the piece has been read, so a failed read leaves nothing that could be believed.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::device::BlockSize;
use crate::offset::{HostOffset, index, saturating_usize};
use crate::reader::device_shape::DeviceShape;
use crate::reader::stop::Stop;

/// The number of slots in a set. A cache with fewer than twice as many slots is one set.
const WAYS: usize = 8;

/// The start of no piece: near no table word, since those are below 2^63 plus the size of a table, in salvage too.
const NONE: u64 = 3 << 62;

/// The bit of a tag's start that says that the slot is reserved: the piece has not been read. Pieces start at even offsets.
const RESERVED: u64 = 1;

/// The tag of a slot: which piece of the file it holds.
// Packed, because an alignment of 8 would cost padding where registers have 32 bits.
#[derive(Clone, Copy)]
#[cfg_attr(qcow1_proofs, derive(PartialEq, Eq, Hash))]
#[repr(C, packed(4))]
struct Tag {
    /// Where the piece starts in the file, with [`RESERVED`] until it has been read; `NONE` for an empty slot.
    start: u64,
    /// Where the slot starts in the memory.
    slot: u32,
}

impl Tag {
    const fn empty(slot: u32) -> Self {
        Self { start: NONE, slot }
    }
}

/// A tag in the image's memory. That moves with the image if the image owns it, so nothing in it has an alignment.
#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[cfg_attr(qcow1_proofs, derive(PartialEq, Eq, Hash))]
#[repr(C, packed)]
pub(crate) struct StoredTag {
    start: u64,
    slot: u32,
}

impl StoredTag {
    /// Stores `tag` and returns the old one.
    // By fields, because a copy of unaligned bytes would be a call.
    fn replace(&mut self, tag: Tag) -> Tag {
        let Self { start, slot } = *self;
        self.start = tag.start;
        self.slot = tag.slot;
        Tag { start, slot }
    }
}

/// The number of bytes that the tags of a set take.
const SET_SIZE: usize = WAYS * size_of::<StoredTag>();

/// The kind of table that a word is looked up in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    L1,
    L2,
}

/// What the cache knows beside its slots and tags, which lie in the image's memory. Each call gets that memory.
#[cfg_attr(qcow1_proofs, derive(Clone, PartialEq, Eq, Hash))]
pub(crate) struct TableCache {
    pub(crate) device: DeviceShape,
    /// Where the tags start in the memory.
    tags_at: u32,
    /// The number of tags, in sets. The tag used last is the first of its set. If there is one slot, its tag is `single` and
    /// this is 0, so that the minimum of memory holds nothing but a block.
    tag_count: u32,
    single: StoredTag,
    /// The pieces looked up last, for each kind of table: most words are found in them.
    recent_l1_piece: Tag,
    recent_l2_piece: Tag,
    /// The piece that is read next, and the slot chosen for it. It means nothing but between a miss and its publishing.
    filling: Tag,
    split_word: SplitWord,
    /// log2 of a piece: that of a slot, or less for the rest of a call in which a piece could not be read.
    piece_shift: u8,
    slot_shift: u8,
}

/// The bytes that have been read of a word that lies across two pieces. A cache of one slot never holds both pieces.
#[cfg_attr(qcow1_proofs, derive(Clone, PartialEq, Eq, Hash))]
struct SplitWord {
    at: u64,
    bytes: [u8; 8],
    len: u8,
}

impl SplitWord {
    const fn new(at: u64) -> Self {
        Self {
            at,
            bytes: [0; 8],
            len: 0,
        }
    }
}

impl TableCache {
    /// Creates a cache of slots of 2^`slot_shift` bytes each, from `slots_at` on: `tag_count` of them, with their tags behind
    /// them, or one if that is 0.
    pub(crate) fn new(device: DeviceShape, memory: &mut [u8], slots_at: u32, tag_count: u32, slot_shift: u8) -> Self {
        let slot_size = 1_u32.wrapping_shl(slot_shift.into());
        let tags_at = slots_at.wrapping_add(tag_count.wrapping_mul(slot_size));
        let mut slot = slots_at;
        for tag in tags(memory, index(tags_at), index(tag_count)) {
            *tag = StoredTag { start: NONE, slot };
            slot = slot.wrapping_add(slot_size);
        }
        Self {
            device,
            tags_at,
            tag_count,
            single: StoredTag {
                start: NONE,
                slot: slots_at,
            },
            recent_l1_piece: Tag::empty(0),
            recent_l2_piece: Tag::empty(0),
            filling: Tag::empty(0),
            split_word: SplitWord::new(NONE),
            piece_shift: slot_shift,
            slot_shift,
        }
    }

    /// Reads the big-endian word of the file at `at` into `word`. Bytes past the end of the file are zeros.
    ///
    /// # Errors
    /// [`Stop::Miss`]: read the piece that [`TableCache::missing`] names, publish it, and call again.
    pub(crate) fn word(&mut self, table: Table, at: HostOffset, word: &mut u64, memory: &mut [u8]) -> Result<(), Stop> {
        if let Some(bytes) = self.recent(table, at, memory).first_chunk() {
            *word = u64::from_be_bytes(*bytes);
            return Ok(());
        }
        self.find_word(table, at, word, memory)
    }

    /// Does the same for a word that is not in the piece looked up last.
    // Not inlined, so that the usual case has no registers to push.
    #[inline(never)]
    fn find_word(&mut self, table: Table, at: HostOffset, word: &mut u64, memory: &mut [u8]) -> Result<(), Stop> {
        let within = at.0 & self.piece_size().wrapping_sub(1);
        let bytes = if at >= self.device.end || within > self.piece_size().wrapping_sub(8) {
            // Bound: a word lies in two pieces at most.
            while !self.complete_split_word(table, at, memory) {
                self.look_up(table, at.plus(self.split_word.len.into()), memory)?;
            }
            self.split_word.bytes
        } else {
            self.look_up(table, at, memory)?;
            self.recent(table, at, memory)
                .first_chunk()
                .copied()
                .unwrap_or_default()
        };
        *word = u64::from_be_bytes(bytes);
        Ok(())
    }

    /// Returns the bytes of the file from `at` to the end of the piece looked up last in this kind of table; none if `at` is
    /// outside that piece.
    pub(crate) fn recent<'m>(&self, table: Table, at: HostOffset, memory: &'m [u8]) -> &'m [u8] {
        let tag = match table {
            Table::L1 => &self.recent_l1_piece,
            Table::L2 => &self.recent_l2_piece,
        };
        let within = at.0.wrapping_sub(tag.start);
        if within >= self.piece_size() {
            return &[];
        }
        // Slots lie inside the memory, so no sum of these wraps.
        let slot = index(tag.slot);
        let start = slot.wrapping_add(saturating_usize(within));
        let end = slot.wrapping_add(saturating_usize(self.piece_size()));
        memory.get(start..end).unwrap_or_default()
    }

    /// Adds what the recent piece has to `split_word`, a word that lies across two pieces or past the end of the file. Returns
    /// whether the word is complete. Its first bytes survive a miss of the second piece.
    #[cold]
    fn complete_split_word(&mut self, table: Table, at: HostOffset, memory: &[u8]) -> bool {
        if self.split_word.at != at.0 {
            self.split_word = SplitWord::new(at.0);
        }
        // Bound: each turn takes a byte of 8.
        while self.split_word.len < 8 {
            let len = self.split_word.len;
            let from = at.plus(len.into());
            let byte = if from >= self.device.end {
                0
            } else if let Some(&byte) = self.recent(table, from, memory).first() {
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

    /// Makes the piece that holds `at` the recent one, and its tag the first of its set.
    ///
    /// # Errors
    /// [`Stop::Miss`], and then a slot has been chosen for the piece: the least recently used of its set.
    fn look_up(&mut self, table: Table, at: HostOffset, memory: &mut [u8]) -> Result<(), Stop> {
        let start = at.0 & !self.piece_size().wrapping_sub(1);
        // Hits in the recent piece of the L1 skip this function, so its slot looks old. It is kept if there is another one.
        let mut kept = self.recent_l1_piece.start;
        let set = self.set(memory, start);
        // Bound: two turns, since the second keeps none.
        let tag = loop {
            // Moves each tag back by one place, up to that of the piece. Without one, the last tag loses its place.
            let mut carried = Tag::empty(0);
            for tag in set.iter_mut() {
                carried = tag.replace(carried);
                // A piece that is missed again keeps the slot that it has.
                if carried.start & !RESERVED == start {
                    break;
                }
            }
            let is_found = carried.start == start;
            let is_kept = carried.start == kept && kept != NONE;
            kept = NONE;
            if let Some(first) = set.first_mut() {
                first.replace(carried);
                if !is_found && !is_kept {
                    first.start = start | RESERVED;
                }
            }
            if is_found || !is_kept {
                break carried;
            }
        };
        if tag.start == start {
            *self.recent_piece(table) = tag;
            return Ok(());
        }
        self.filling = Tag { start, slot: tag.slot };
        for recent in [&mut self.recent_l1_piece, &mut self.recent_l2_piece] {
            if recent.slot == tag.slot {
                recent.start = NONE;
            }
        }
        Err(Stop::Miss)
    }

    fn recent_piece(&mut self, table: Table) -> &mut Tag {
        match table {
            Table::L1 => &mut self.recent_l1_piece,
            Table::L2 => &mut self.recent_l2_piece,
        }
    }

    /// Returns the number of the first block of the piece that is read next, and the buffer for its blocks.
    pub(crate) fn missing<'m>(&self, memory: &'m mut [u8]) -> (u64, &'m mut [u8]) {
        let start = HostOffset(self.filling.start);
        let len = self.device.readable(start, saturating_usize(self.piece_size()));
        (
            self.device.lba(start),
            self.filled(memory).get_mut(..len).unwrap_or_default(),
        )
    }

    /// Takes in what [`TableCache::missing`] named, once it has been read. Bytes past the end of the file become zeros.
    pub(crate) fn publish(&mut self, memory: &mut [u8]) {
        let start = self.filling.start;
        let stored = saturating_usize(self.device.end.since(HostOffset(start)));
        self.filled(memory).get_mut(stored..).unwrap_or_default().fill(0);
        // The slot is the first of its set, as when it was chosen.
        if let Some(tag) = self.set(memory, start).first_mut() {
            tag.start = start;
        }
    }

    /// Reacts to a failed read of a piece. Returns `true` if there is less to read: pieces are as small as they can be until
    /// [`TableCache::widen`], so a bad block beside a table word does not lose it.
    #[cold]
    pub(crate) fn narrow(&mut self, memory: &mut [u8]) -> bool {
        let [smallest, ..] = self.device.block_size.max(BlockSize::B512).shift().to_le_bytes();
        let is_larger = self.piece_shift > smallest;
        self.set_piece_shift(smallest, memory);
        is_larger
    }

    /// Begins a call: pieces fill their slots again.
    pub(crate) fn widen(&mut self, memory: &mut [u8]) {
        if self.piece_shift != self.slot_shift {
            self.set_piece_shift(self.slot_shift, memory);
        }
    }

    /// Changes the size of pieces, and forgets those of another size.
    #[cold]
    #[inline(never)]
    fn set_piece_shift(&mut self, shift: u8, memory: &mut [u8]) {
        self.forget(memory);
        self.piece_shift = shift;
    }

    /// Returns the part of a slot that is being filled.
    fn filled<'m>(&self, memory: &'m mut [u8]) -> &'m mut [u8] {
        let len = saturating_usize(self.piece_size());
        let rest = memory.get_mut(index(self.filling.slot)..).unwrap_or_default();
        rest.get_mut(..len).unwrap_or_default()
    }

    /// Forgets everything.
    // Not inlined: two calls would double it.
    #[inline(never)]
    pub(crate) fn forget(&mut self, memory: &mut [u8]) {
        // The single tag is in no memory.
        self.single.start = NONE;
        for tag in tags(memory, index(self.tags_at), index(self.tag_count)) {
            tag.start = NONE;
        }
        self.recent_l1_piece.start = NONE;
        self.recent_l2_piece.start = NONE;
        self.split_word.at = NONE;
    }

    /// Returns the bounce buffer, which is the start of the memory. If the only slot is there too, it forgets the slot.
    // Not inlined: two calls would double it.
    #[inline(never)]
    pub(crate) fn bounce<'m>(&mut self, memory: &'m mut [u8]) -> &'m mut [u8] {
        if self.single.slot == 0 {
            self.forget(memory);
        }
        memory
    }

    /// Returns the set of tags for the piece that starts at `start`.
    fn set<'a>(&'a mut self, memory: &'a mut [u8], start: u64) -> &'a mut [StoredTag] {
        let count = index(self.tag_count);
        if count == 0 {
            return core::slice::from_mut(&mut self.single);
        }
        let sets = count.wrapping_shr(WAYS.trailing_zeros());
        let at = index(self.tags_at);
        if sets <= 1 {
            return tags(memory, at, count);
        }
        // At most 16: the mask changes nothing, but saves machines of 32 bits half of a shift.
        let number = start.wrapping_shr(u32::from(self.piece_shift) & 31);
        // Tables lie at regular distances, so the number is hashed (by 2^32 over the golden ratio) before it is scaled to the
        // number of sets. There is no division, which small machines lack.
        let hash = (number & 0xffff_ffff).wrapping_mul(0x9e37_79b9) & 0xffff_ffff;
        let sets = u64::try_from(sets).unwrap_or(u64::MAX);
        let set = saturating_usize(hash.wrapping_mul(sets).wrapping_shr(32));
        tags(memory, at.wrapping_add(set.wrapping_mul(SET_SIZE)), WAYS)
    }

    /// Returns the size of a piece in bytes, at most 2^16.
    fn piece_size(&self) -> u64 {
        1_u32.wrapping_shl(self.piece_shift.into()).into()
    }
}

/// Returns the `count` tags that start at `at`; none if the memory does not have them.
fn tags(memory: &mut [u8], at: usize, count: usize) -> &mut [StoredTag] {
    let bytes = memory.get_mut(at..).unwrap_or_default();
    <[StoredTag]>::mut_from_prefix_with_elems(bytes, count).map_or(&mut [], |(tags, _)| tags)
}
