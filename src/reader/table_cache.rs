//! The table cache: the fixed-capacity buffer that L1 and L2 words are read through.
//!
//! A *piece* is an aligned part of the file of 2^n bytes, and fills a *slot* of the cache. A slot
//! is reserved from the moment that it is chosen for a piece until the piece has been read, so a
//! failed read leaves no bytes that a look-up could trust.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::device::BlockSize;
use crate::offset::{HostOffset, index, low_u32};
use crate::reader::device_shape::DeviceShape;
use crate::reader::stop::Stop;

/// The number of slots in a set. A cache with fewer than twice as many slots is one set.
const WAYS: usize = 8;

/// The start of no piece. No table word is near it: all are below 2^63 plus the size of a table,
/// also in salvage.
const NONE: u64 = 3 << 62;

/// The bit of a tag's start that says that the slot is reserved: the piece has not been read.
/// Pieces start at even offsets.
const RESERVED: u64 = 1;

/// The tag of a slot: which piece of the file it holds.
// Packed, because an alignment of 8 would cost padding on 32-bit machines.
#[derive(Clone, Copy)]
#[cfg_attr(qcow1_proofs, derive(PartialEq, Eq, Hash))]
#[repr(C, packed(4))]
struct Tag {
    /// The host offset of the piece, with [`RESERVED`] until it has been read; `NONE` for an empty
    /// slot.
    start: u64,
    /// The offset of the slot in the memory.
    slot: u32,
}

impl Tag {
    const fn empty(slot: u32) -> Self {
        Self { start: NONE, slot }
    }
}

/// A tag in the image's memory. That moves with the image if the image owns it, so nothing in it
/// has an alignment.
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

/// The state of the cache besides its slots and tags, which lie in the image's memory. Each call
/// gets that memory.
#[cfg_attr(qcow1_proofs, derive(Clone, PartialEq, Eq, Hash))]
pub(crate) struct TableCache {
    pub(crate) device: DeviceShape,
    /// The offset of the tags in the memory.
    tags_at: u32,
    /// The number of tags, which are in sets. The tag used last is the first of its set. If there
    /// is one slot, its tag is `single` and this is 0, so that the minimum memory is only a block.
    tag_count: u32,
    single: StoredTag,
    /// The pieces looked up last, for each kind of table: most words are found in them.
    recent_l1_piece: Tag,
    recent_l2_piece: Tag,
    /// The piece that is read next, and the slot chosen for it. Only valid between a miss and
    /// `publish`.
    filling: Tag,
    word: Word,
    /// The size of a piece in bytes: that of a slot, or less for the rest of a call in which a
    /// piece could not be read.
    piece_size: u32,
    slot_size: u32,
}

/// The word looked up last, and the number of its bytes that have been read. A cache of one slot
/// never holds both pieces of a word that lies in two.
#[cfg_attr(qcow1_proofs, derive(Clone, PartialEq, Eq, Hash))]
struct Word {
    at: u64,
    bytes: [u8; 8],
    len: u8,
}

impl Word {
    const fn new(at: u64) -> Self {
        Self {
            at,
            bytes: [0; 8],
            len: 0,
        }
    }

    /// Appends bytes from `bytes` until the word is complete or `bytes` ends.
    fn append(&mut self, bytes: &[u8]) {
        let mut len = self.len;
        let missing = self.bytes.get_mut(usize::from(len)..).unwrap_or_default();
        for (to, from) in missing.iter_mut().zip(bytes) {
            *to = *from;
            len = len.wrapping_add(1);
        }
        self.len = len;
    }
}

impl TableCache {
    /// Creates a cache of slots of 2^`slot_shift` bytes each, which start at `slots_at`:
    /// `tag_count` slots, followed by their tags, or one slot if that is 0.
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
            word: Word::new(NONE),
            piece_size: slot_size,
            slot_size,
        }
    }

    /// Reads the word of the file at `at`, which [`TableCache::last_word`] returns afterwards.
    /// Bytes past the end of the file are zeros.
    ///
    /// # Errors
    /// [`Stop::Miss`]: read the piece that [`TableCache::pending_request`] names, publish it, and call
    /// again.
    pub(crate) fn read_word(&mut self, table: Table, at: HostOffset, memory: &mut [u8]) -> Result<(), Stop> {
        if self.read_recent_word(table, at, memory) {
            return Ok(());
        }
        if self.word.at != at.0 {
            self.word.at = at.0;
            self.word.len = 0;
        }
        // Bound: two turns, since a word lies in two pieces at most.
        while self.word.len < 8 {
            let from = at.wrapping_add(self.word.len.into());
            let bytes = if from < self.device.end {
                self.look_up_piece(table, from, memory)?
            } else {
                &[0; 8]
            };
            if let (0, Some(whole)) = (self.word.len, bytes.first_chunk()) {
                self.word.bytes = *whole;
                self.word.len = 8;
                break;
            }
            self.word.append(bytes);
        }
        Ok(())
    }

    /// Fast path of [`TableCache::read_word`]: reads the word if it lies wholly in the recent
    /// piece. Returns `true` if so.
    pub(crate) fn read_recent_word(&mut self, table: Table, at: HostOffset, memory: &[u8]) -> bool {
        let tag = self.recent_piece(table);
        let within = at.0.wrapping_sub(tag.start);
        if within > self.piece_size.wrapping_sub(8).into() {
            return false;
        }
        let bytes = memory.get(index(tag.slot.wrapping_add(low_u32(within)))..);
        let Some(bytes) = bytes.and_then(|bytes| bytes.first_chunk()) else {
            return false;
        };
        self.word = Word {
            at: at.0,
            bytes: *bytes,
            len: 8,
        };
        true
    }

    /// Returns the word that [`TableCache::read_word`] read last. It outlives the pieces that it
    /// came from.
    pub(crate) fn last_word(&self) -> u64 {
        u64::from_be_bytes(self.word.bytes)
    }

    /// Sets the last word to 0, the value for a span without a table.
    pub(crate) fn clear_word(&mut self) {
        self.word.at = NONE;
        self.word.bytes = [0; 8];
    }

    /// Counts the words of an L2 table after the one read last, at most `max`, that are
    /// `word + step`, `word + 2 * step` and so on. It looks only at those that are cached beside
    /// that one.
    #[inline(never)]
    pub(crate) fn count_consecutive(&self, mut word: u64, step: u32, max: u32, memory: &[u8]) -> u32 {
        let (words, _) = self
            .recent_bytes(Table::L2, HostOffset(self.word.at).wrapping_add(8), memory)
            .as_chunks();
        let consecutive = words.iter().zip(0..max).take_while(|(bytes, _)| {
            word = word.wrapping_add(step.into());
            u64::from_be_bytes(**bytes) == word
        });
        u32::try_from(consecutive.count()).unwrap_or(0)
    }

    /// Returns the bytes of the file from `at` to the end of the piece looked up last in this kind
    /// of table; none if `at` is outside that piece.
    pub(crate) fn recent_bytes<'m>(&self, table: Table, at: HostOffset, memory: &'m [u8]) -> &'m [u8] {
        let tag = self.recent_piece(table);
        let within = at.0.wrapping_sub(tag.start);
        if within >= self.piece_size.into() {
            return &[];
        }
        self.rest_of_slot(tag.slot, low_u32(within), memory)
    }

    /// Makes the piece that holds `at` the recent one, and its tag the first of its set. Returns
    /// its bytes that start at `at`.
    ///
    /// # Errors
    /// [`Stop::Miss`], and then a slot has been chosen for the piece: the least recently used of
    /// its set.
    fn look_up_piece<'m>(&mut self, table: Table, at: HostOffset, memory: &'m mut [u8]) -> Result<&'m [u8], Stop> {
        let within = low_u32(at.0) & self.piece_size.wrapping_sub(1);
        let start = at.0.wrapping_sub(within.into());
        let kept_start = self.recent_l1_piece.start;
        let set = self.tag_set(memory, start);
        // Moves each tag back by one place, up to that of the piece. Without one, the last tag
        // loses its place.
        let mut tag = Tag::empty(0);
        for place in set.iter_mut() {
            tag = place.replace(tag);
            // A piece that is missed again keeps the slot that it has.
            if tag.start & !RESERVED == start {
                break;
            }
        }
        let is_found = tag.start == start;
        if !is_found {
            if let (true, [_, .., last]) = (tag.start == kept_start, &mut *set) {
                // Hits in the recent piece of the L1 skip this function, so its slot looks old. It
                // is kept if there is another one.
                tag = last.replace(tag);
            }
            tag.start = start | RESERVED;
        }
        if let Some(first) = set.first_mut() {
            first.replace(tag);
        }
        tag.start = start;
        if is_found {
            match table {
                Table::L1 => self.recent_l1_piece = tag,
                Table::L2 => self.recent_l2_piece = tag,
            }
            return Ok(self.rest_of_slot(tag.slot, within, memory));
        }
        self.filling = tag;
        if self.recent_l1_piece.slot == tag.slot {
            self.recent_l1_piece.start = NONE;
        }
        if self.recent_l2_piece.slot == tag.slot {
            self.recent_l2_piece.start = NONE;
        }
        Err(Stop::Miss)
    }

    /// Returns the bytes of the piece in a slot that start `within` bytes into it, which is less
    /// than its size.
    fn rest_of_slot<'m>(&self, slot: u32, within: u32, memory: &'m [u8]) -> &'m [u8] {
        // Slots lie inside the memory, so no sum of these wraps.
        let slot = index(slot);
        let start = slot.wrapping_add(index(within));
        let end = slot.wrapping_add(index(self.piece_size));
        memory.get(start..end).unwrap_or_default()
    }

    fn recent_piece(&self, table: Table) -> Tag {
        match table {
            Table::L1 => self.recent_l1_piece,
            Table::L2 => self.recent_l2_piece,
        }
    }

    /// Returns the number of the first block of the piece that is read next, and the buffer for its
    /// blocks.
    pub(crate) fn pending_request<'m>(&self, memory: &'m mut [u8]) -> (u64, &'m mut [u8]) {
        self.device
            .request(HostOffset(self.filling.start), self.filling_slot(memory))
    }

    /// Publishes the piece that the driver has read. Bytes past the end of the file become zeros.
    pub(crate) fn publish(&mut self, memory: &mut [u8]) {
        let start = self.filling.start;
        // A piece that is missed begins inside the file.
        self.device.zero_past_end(HostOffset(start), self.filling_slot(memory));
        // The slot is the first of its set, as when it was chosen.
        if let Some(tag) = self.tag_set(memory, start).first_mut() {
            tag.start = start;
        }
    }

    /// Reacts to a failed read of a piece. Returns `true` if a smaller read is possible. Pieces
    /// then have their minimum size until [`TableCache::widen`], so that a bad block beside a table
    /// word does not make it unreadable.
    #[cold]
    pub(crate) fn narrow(&mut self, memory: &mut [u8]) -> bool {
        let smallest = self.device.block_size.max(BlockSize::B512).bytes();
        // In less memory than a sector, pieces are words.
        let is_larger = self.piece_size > smallest;
        if is_larger {
            self.set_piece_size(smallest, memory);
        }
        is_larger
    }

    /// Begins a call: pieces fill their slots again.
    pub(crate) fn widen(&mut self, memory: &mut [u8]) {
        if self.piece_size != self.slot_size {
            self.set_piece_size(self.slot_size, memory);
        }
    }

    /// Changes the size of pieces, and forgets the present ones.
    #[cold]
    #[inline(never)]
    fn set_piece_size(&mut self, size: u32, memory: &mut [u8]) {
        self.forget_pieces(memory);
        self.piece_size = size;
    }

    /// Returns the part of a slot that is being filled.
    fn filling_slot<'m>(&self, memory: &'m mut [u8]) -> &'m mut [u8] {
        let len = index(self.piece_size);
        let rest = memory.get_mut(index(self.filling.slot)..).unwrap_or_default();
        rest.get_mut(..len).unwrap_or_default()
    }

    /// Forgets everything.
    pub(crate) fn forget(&mut self, memory: &mut [u8]) {
        self.word.at = NONE;
        self.forget_pieces(memory);
    }

    // Not inlined: each of three calls would be a copy.
    #[inline(never)]
    fn forget_pieces(&mut self, memory: &mut [u8]) {
        // The single tag is in no memory.
        self.single.start = NONE;
        for tag in tags(memory, index(self.tags_at), index(self.tag_count)) {
            tag.start = NONE;
        }
        self.recent_l1_piece.start = NONE;
        self.recent_l2_piece.start = NONE;
    }

    /// Returns the bounce buffer, which is the start of the memory. If this is also the only slot,
    /// its piece is forgotten.
    // Not inlined: two calls would double it.
    #[inline(never)]
    pub(crate) fn bounce_buffer<'m>(&mut self, memory: &'m mut [u8]) -> &'m mut [u8] {
        if self.single.slot == 0 {
            self.forget_pieces(memory);
        }
        memory
    }

    /// Returns the set of tags for the piece that starts at `start`.
    fn tag_set<'a>(&'a mut self, memory: &'a mut [u8], start: u64) -> &'a mut [StoredTag] {
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
        let number = start.wrapping_shr(self.piece_size.trailing_zeros() & 31);
        // Tables lie at regular distances, so the number is hashed (by 2^32 over the golden ratio)
        // before it is scaled to the number of sets. There is no division, which small machines
        // lack.
        let hash = u64::from(low_u32(number).wrapping_mul(0x9e37_79b9));
        let sets = u64::try_from(sets).unwrap_or(u64::MAX);
        let set = index(low_u32(hash.wrapping_mul(sets).wrapping_shr(32)));
        tags(memory, at.wrapping_add(set.wrapping_mul(SET_SIZE)), WAYS)
    }
}

/// Returns the `count` tags that start at `at`; none if the memory does not have them.
fn tags(memory: &mut [u8], at: usize, count: usize) -> &mut [StoredTag] {
    let bytes = memory.get_mut(at..).unwrap_or_default();
    <[StoredTag]>::mut_from_prefix_with_elems(bytes, count).map_or(&mut [], |(tags, _)| tags)
}
