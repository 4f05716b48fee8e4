//! Splits the memory that the caller lends, once, into typed parts.

use zerocopy::FromBytes;

use crate::device::BlockSize;
use crate::format::geometry::Geometry;
use crate::format::header::Header;
use crate::offset::HostOffset;
use crate::reader::cache::{Cache, MAX_LINES_SHIFT, Tag};
#[cfg(feature = "deflate")]
use crate::reader::compressed::Compressed;

/// log2 of the least line: a disk's sector.
const SECTOR_SHIFT: u32 = 9;

/// The least number of slots; slots are made larger only where as many would remain.
const MIN_SLOTS: usize = 8;

/// The lent memory, split.
pub(crate) struct Memory<'m> {
    pub(crate) cache: Cache<'m>,
    /// One line for ragged ends. Empty where the cache's only slot serves as it.
    bounce: &'m mut [u8],
    /// None where the memory is too small for it.
    #[cfg(feature = "deflate")]
    pub(crate) compressed: Option<Compressed<'m>>,
}

/// A line: the least that is read of a table, and the unit that bounces.
fn line_shift(block_size: BlockSize) -> u32 {
    block_size.shift().max(SECTOR_SHIFT)
}

fn bytes(shift: u32) -> usize {
    1_usize.wrapping_shl(shift)
}

/// The least memory that opens an image: a sector or a block, whichever is larger.
pub(crate) fn minimum(block_size: BlockSize) -> usize {
    bytes(line_shift(block_size))
}

/// The least memory of a raw disk: a block to bounce ragged ends, and none where there are none.
pub(crate) fn minimum_raw(block_size: BlockSize) -> usize {
    if block_size == BlockSize::BYTE {
        0
    } else {
        bytes(block_size.shift())
    }
}

/// The least memory that reads compressed clusters too.
pub(crate) fn compressed(
    #[cfg_attr(
        not(feature = "deflate"),
        expect(unused_variables, reason = "nothing is compressed in it")
    )]
    geometry: Geometry,
    block_size: BlockSize,
) -> usize {
    let minimum = minimum(block_size);
    #[cfg(feature = "deflate")]
    let minimum = minimum.saturating_add(Compressed::needs(geometry, block_size));
    minimum
}

/// The memory to lend to an image, in bytes. Each figure holds for a slice of any alignment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct MemoryNeeds {
    /// Opens the image, and reads every byte of it that is not compressed.
    pub minimum: usize,
    /// Reads compressed clusters too. The same as `minimum` in a build without the feature `deflate`.
    pub compressed: usize,
    /// Has room for all the tables of a full disk as well, so that lending more gains little. It saturates where the
    /// address space is smaller.
    pub all_tables: usize,
}

impl Header {
    /// The memory to lend for this image on a device with blocks of `block_size`.
    #[must_use]
    pub fn memory_for(&self, block_size: BlockSize) -> MemoryNeeds {
        let geometry = self.geometry();
        // A table may begin and end inside a slot.
        let slot = 1_u64.wrapping_shl(largest_slot_shift(line_shift(block_size), geometry));
        let tables = self
            .l1_entries()
            .saturating_mul(geometry.l2_size().saturating_add(slot))
            .saturating_add(self.l1_bytes())
            .saturating_add(slot.saturating_mul(2));
        // Slots have tags; some sets of slots are full before others; and a part goes into reading ahead of streams.
        let tables = tables.saturating_add(tables.wrapping_shr(1));
        #[cfg(feature = "deflate")]
        let tables = tables.saturating_add(Compressed::MAX_INPUT);
        let tables = usize::try_from(tables).unwrap_or(usize::MAX);
        let compressed = compressed(geometry, block_size);
        MemoryNeeds {
            minimum: minimum(block_size),
            compressed,
            all_tables: compressed.saturating_add(tables),
        }
    }
}

impl<'m> Memory<'m> {
    /// Splits at least [`minimum`] bytes. Of less, some parts come out empty, and what needs them is an error.
    pub(crate) fn split(
        memory: &'m mut [u8],
        block_size: BlockSize,
        #[cfg_attr(
            not(feature = "deflate"),
            expect(unused_variables, reason = "streams alone end there")
        )]
        device_end: HostOffset,
        geometry: Geometry,
    ) -> Self {
        let line_shift = line_shift(block_size);
        let line = bytes(line_shift);
        #[cfg(feature = "deflate")]
        let (compressed, memory) = Compressed::split(memory, geometry, block_size, device_end, line);
        let (bounce, rest) = memory.split_at_mut_checked(line).unwrap_or_default();
        let (cache, bounce) = if rest.len() < line {
            let cache = Cache::new(bounce, &mut [], low_byte(line_shift), low_byte(line_shift));
            (cache, [].as_mut_slice())
        } else {
            let slot_shift = slot_shift(rest.len(), line_shift, geometry);
            let slot = bytes(slot_shift);
            let count = rest.len().checked_div(slot.wrapping_add(size_of::<Tag>())).unwrap_or(0);
            // Fewer than two slots have no tags in lent memory.
            let tagged = if count < 2 { 0 } else { count };
            let slots = count.max(1).wrapping_mul(slot);
            let (slots, rest) = rest.split_at_mut_checked(slots).unwrap_or_default();
            let tags = <[Tag]>::mut_from_prefix_with_elems(rest, tagged).map_or([].as_mut_slice(), |(tags, _)| tags);
            (
                Cache::new(slots, tags, low_byte(line_shift), low_byte(slot_shift)),
                bounce,
            )
        };
        Self {
            cache,
            bounce,
            #[cfg(feature = "deflate")]
            compressed,
        }
    }

    /// Takes [`minimum_raw`] bytes for a raw disk. Of less, it takes none, and ragged ends are errors.
    pub(crate) fn raw(memory: &'m mut [u8], block_size: BlockSize) -> Self {
        Self {
            cache: Cache::new(&mut [], &mut [], 0, 0),
            bounce: memory.get_mut(..minimum_raw(block_size)).unwrap_or_default(),
            #[cfg(feature = "deflate")]
            compressed: None,
        }
    }

    /// The bounce block. Where it is the cache's only slot, the cache forgets it.
    pub(crate) fn bounce(&mut self) -> &mut [u8] {
        if self.bounce.is_empty() {
            self.cache.borrow_slot()
        } else {
            self.bounce
        }
    }
}

/// Slots as large as a table, as long as enough of them remain.
fn slot_shift(memory: usize, line_shift: u32, geometry: Geometry) -> u32 {
    let mut shift = line_shift;
    // At most MAX_LINES_SHIFT turns.
    while shift < largest_slot_shift(line_shift, geometry) && memory.wrapping_shr(shift.wrapping_add(1)) >= MIN_SLOTS {
        shift = shift.wrapping_add(1);
    }
    shift
}

/// log2 of a slot as large as a table, or as its lines can be counted.
fn largest_slot_shift(line_shift: u32, geometry: Geometry) -> u32 {
    let table_shift = u32::from(geometry.l2_bits.get()).wrapping_add(3);
    table_shift.clamp(line_shift, line_shift.wrapping_add(MAX_LINES_SHIFT))
}

/// A shift count, which fits a byte.
const fn low_byte(shift: u32) -> u8 {
    shift.to_le_bytes()[0]
}
