//! Splits the memory that the caller lends, once, into typed parts.

use zerocopy::FromBytes;

use crate::device::BlockSize;
use crate::format::geometry::Geometry;
use crate::format::header::Header;
#[cfg(feature = "deflate")]
use crate::reader::compressed::Compressed;
use crate::reader::device_shape::DeviceShape;
use crate::reader::table_cache::{TableCache, Tag};

/// log2 of the smallest slot: a disk's sector.
const SECTOR_SHIFT: u32 = 9;

/// log2 of the largest slot, unless blocks are larger: a whole table of QEMU's plain images, and as much as one random
/// look-up should cost.
const MAX_SLOT_SHIFT: u32 = 12;

/// Slots are made larger than a sector only where as many remain.
const MIN_SLOTS: usize = 8;

/// The lent memory, split.
pub(crate) struct LentMemory<'m> {
    pub(crate) cache: TableCache<'m>,
    /// A sector or a block for ragged ends. Empty where the cache's only slot serves as it.
    bounce: &'m mut [u8],
    /// None where the memory is too small for it.
    #[cfg(feature = "deflate")]
    pub(crate) compressed: Option<Compressed<'m>>,
}

/// log2 of the least that is read of a table, which is also the unit that bounces.
fn unit_shift(block_size: BlockSize) -> u32 {
    block_size.shift().max(SECTOR_SHIFT)
}

fn bytes(shift: u32) -> usize {
    1_usize.wrapping_shl(shift)
}

/// The least memory that opens an image: a sector or a block, whichever is larger.
pub(crate) fn minimum(block_size: BlockSize) -> usize {
    bytes(unit_shift(block_size))
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
        let slot = 1_u64.wrapping_shl(largest_slot_shift(unit_shift(block_size), geometry));
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

impl<'m> LentMemory<'m> {
    /// Splits at least [`minimum`] bytes, or [`minimum_raw`] bytes for a raw disk, which has no geometry. Of less, some parts
    /// come out empty, and what needs them is an error.
    pub(crate) fn split(memory: &'m mut [u8], device: DeviceShape, geometry: Option<Geometry>) -> Self {
        let block_size = device.block_size;
        let unit_shift = unit_shift(block_size);
        let unit = geometry.map_or(minimum_raw(block_size), |_| bytes(unit_shift));
        #[cfg(feature = "deflate")]
        let (compressed, memory) = match geometry {
            Some(geometry) => Compressed::split(memory, geometry, block_size, unit),
            None => (None, memory),
        };
        let (mut bounce, rest) = memory.split_at_mut_checked(unit).unwrap_or_default();
        let mut slots = [].as_mut_slice();
        let mut tags = [].as_mut_slice();
        let mut slot_shift = unit_shift;
        match geometry {
            None => {}
            Some(_) if rest.len() < unit => core::mem::swap(&mut slots, &mut bounce),
            Some(geometry) => {
                slot_shift = largest_slots(rest.len(), unit_shift, geometry);
                let slot = bytes(slot_shift);
                // Each slot has a tag, and the tags care for alignment.
                let room = rest.len().saturating_sub(align_of::<Tag>());
                let count = room.checked_div(slot.wrapping_add(size_of::<Tag>())).unwrap_or(0);
                let rest_of_slots;
                (slots, rest_of_slots) = rest
                    .split_at_mut_checked(count.max(1).wrapping_mul(slot))
                    .unwrap_or_default();
                // Fewer than two slots have no tags in lent memory.
                if count >= 2 {
                    let skip = rest_of_slots.as_ptr().align_offset(align_of::<Tag>());
                    let rest = rest_of_slots.get_mut(skip..).unwrap_or_default();
                    tags = <[Tag]>::mut_from_prefix_with_elems(rest, count).map_or(tags, |(tags, _)| tags);
                }
            }
        }
        Self {
            cache: TableCache::new(device, slots, tags, low_byte(slot_shift)),
            bounce,
            #[cfg(feature = "deflate")]
            compressed,
        }
    }

    /// The bounce buffer. Where it is the cache's only slot, the cache forgets it.
    #[inline(never)]
    pub(crate) fn bounce(&mut self) -> &mut [u8] {
        if self.bounce.is_empty() {
            self.cache.borrow_slot()
        } else {
            self.bounce
        }
    }
}

/// Slots as large as a table, as long as enough of them remain.
fn largest_slots(memory: usize, unit_shift: u32, geometry: Geometry) -> u32 {
    let mut shift = unit_shift;
    // At most MAX_LINES_SHIFT turns.
    while shift < largest_slot_shift(unit_shift, geometry) && memory.wrapping_shr(shift.wrapping_add(1)) >= MIN_SLOTS {
        shift = shift.wrapping_add(1);
    }
    shift
}

/// log2 of the largest slot: a table, if that is not too much for one look-up.
fn largest_slot_shift(unit_shift: u32, geometry: Geometry) -> u32 {
    let table_shift = u32::from(geometry.l2_bits.get()).wrapping_add(3);
    table_shift.min(MAX_SLOT_SHIFT).max(unit_shift)
}

/// A shift count, which fits a byte.
const fn low_byte(shift: u32) -> u8 {
    shift.to_le_bytes()[0]
}
