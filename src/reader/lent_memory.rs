//! Splits the image's memory into its parts, when the image is opened.

use crate::device::BlockSize;
use crate::format::geometry::Geometry;
use crate::format::header::{Header, PREFIX};
use crate::offset::{byte_count, index, saturating_u32, saturating_usize};
#[cfg(feature = "deflate-small")]
use crate::reader::compressed::ClusterInflater;
use crate::reader::device_shape::DeviceShape;
use crate::reader::table_cache::{StoredTag, TableCache};

/// log2 of the smallest slot: a disk's sector.
const SECTOR_SHIFT: u32 = 9;

/// log2 of the slot in less memory than a sector, which only a byte-addressable device allows: a
/// table word.
const WORD_SHIFT: u32 = 3;

/// log2 of the largest slot, unless blocks are larger: a whole table of QEMU's plain images. A
/// larger slot would make each random look-up read more.
const MAX_SLOT_SHIFT: u32 = 12;

/// Slots are larger than the minimum only if at least this many fit.
const MIN_SLOTS: usize = 8;

/// The parts of the image's memory.
pub(crate) struct Parts {
    pub(crate) cache: TableCache,
    /// None if the memory is too small for it.
    #[cfg(feature = "deflate-small")]
    pub(crate) inflater: Option<ClusterInflater>,
}

/// Returns log2 of the minimum slot, which is also the size of the bounce buffer.
fn unit_shift(block_size: BlockSize) -> u32 {
    block_size.shift().max(SECTOR_SHIFT)
}

fn power_of_two(shift: u32) -> usize {
    1_usize.wrapping_shl(shift)
}

/// Returns the minimum memory that opens an image: a sector or a block, whichever is larger. If a
/// block is a byte, only parts of encrypted sectors are bounced, so the header is enough.
pub(crate) fn minimum(block_size: BlockSize) -> usize {
    if block_size == BlockSize::BYTE {
        saturating_usize(PREFIX)
    } else {
        minimum_with_bounce(block_size)
    }
}

/// Returns the minimum memory that also has a bounce buffer: a sector or a block, whichever is
/// larger.
pub(crate) fn minimum_with_bounce(block_size: BlockSize) -> usize {
    power_of_two(unit_shift(block_size))
}

/// Returns the minimum memory of a raw disk: a block to bounce ragged ends, or none if a block is a
/// byte.
pub(crate) fn minimum_raw(block_size: BlockSize) -> usize {
    if block_size == BlockSize::BYTE {
        0
    } else {
        power_of_two(block_size.shift())
    }
}

/// Returns the minimum memory that also reads compressed clusters.
pub(crate) fn minimum_compressed(
    #[cfg_attr(
        not(feature = "deflate-small"),
        expect(unused_variables, reason = "unused without `deflate-small`")
    )]
    geometry: Geometry,
    block_size: BlockSize,
) -> usize {
    let minimum = minimum_with_bounce(block_size);
    #[cfg(feature = "deflate-small")]
    let minimum = minimum.saturating_add(ClusterInflater::memory_needed(geometry, block_size));
    minimum
}

/// The sizes of memory for an image, in bytes. Each holds for memory of any alignment.
///
/// [`OpenOptions::memory_needed`](crate::OpenOptions::memory_needed) returns one figure for a
/// device and a budget for tables.
///
/// ```
/// use qcow1::{BlockSize, Header, Image, MemoryNeeds};
///
/// let file: &[u8] = include_bytes!("../../tests/data/compressed.qcow");
/// let header = Header::parse(file)?;
/// let MemoryNeeds { minimum, compressed, all_tables, .. } = header.memory_for(BlockSize::BYTE, file.len() as u64);
/// assert!(minimum <= compressed && compressed <= all_tables);
/// // Enough for every read, and at most 64 KiB for tables beyond that.
/// let mut memory = vec![0; all_tables.min(compressed + 65_536)];
/// let mut image = Image::open(file, &mut memory[..])?;
/// image.read_at(0, &mut [0; 512])?;
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
///
/// Firmware with a static takes the figure from the table in the README: for QEMU's clusters of 4
/// KiB, 9,739 bytes on a byte-addressable device, or 10,251 with blocks of 512 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct MemoryNeeds {
    /// Enough to open the image, and to read all its uncompressed bytes: max(512, block size), or
    /// 64 on a byte-addressable device if the image is not encrypted.
    pub minimum: usize,
    /// Enough to read compressed clusters too. In a build without `deflate` and `deflate-small`,
    /// max(512, block size).
    pub compressed: usize,
    /// Enough to read compressed clusters two to five times as fast as with `compressed` bytes. In
    /// a build with `deflate-small` alone, only device reads are saved. Equal to `compressed` in a
    /// build without both features.
    pub compressed_fast: usize,
    /// Also enough to cache all tables that a file of this size can contain. More memory gains
    /// little. Saturates at the size of the address space.
    pub all_tables: usize,
}

impl MemoryNeeds {
    /// Returns the sizes for an image whose tables take `tables` bytes, and which needs `minimum`
    /// bytes.
    fn new(geometry: Geometry, block_size: BlockSize, tables: u64, minimum: usize) -> Self {
        // Slots have tags; some sets of slots are full before others; and a part is used for
        // read-ahead.
        let tables = tables.saturating_add(tables.wrapping_shr(1));
        let compressed = minimum_compressed(geometry, block_size);
        #[cfg(feature = "deflate-small")]
        let (compressed_fast, read_ahead) = (
            compressed.saturating_add(ClusterInflater::FAST),
            ClusterInflater::MAX_READ_AHEAD,
        );
        #[cfg(not(feature = "deflate-small"))]
        let (compressed_fast, read_ahead) = (compressed, 0);
        Self {
            minimum,
            compressed,
            compressed_fast,
            all_tables: compressed_fast
                .saturating_add(saturating_usize(tables))
                .saturating_add(read_ahead),
        }
    }

    /// Returns the sizes that are enough for any image in a file of `file_size` bytes.
    pub(crate) fn for_any_image(block_size: BlockSize, file_size: u64) -> Self {
        Self::new(
            Geometry::LARGEST,
            block_size,
            tables_in_file(file_size, Geometry::LARGEST, block_size),
            minimum_with_bounce(block_size),
        )
    }

    /// Returns the size for fast reads of compressed clusters, with `cache` bytes more for tables:
    /// as far as there can be tables.
    pub(crate) fn with_cache(self, cache: usize) -> usize {
        self.all_tables.min(self.compressed_fast.saturating_add(cache))
    }
}

/// Returns the number of bytes of the slots that hold a whole file of `file_size` bytes.
fn tables_in_file(file_size: u64, geometry: Geometry, block_size: BlockSize) -> u64 {
    let slot = 1_u64.wrapping_shl(largest_slot_shift(unit_shift(block_size), geometry));
    file_size.saturating_add(slot.saturating_mul(2))
}

impl Header {
    /// Returns the sizes of memory for this image, in a file of `file_size` bytes on a device with
    /// blocks of `block_size`.
    #[must_use]
    pub fn memory_for(&self, block_size: BlockSize, file_size: u64) -> MemoryNeeds {
        let geometry = self.geometry();
        // A table may begin and end inside a slot.
        let slot = 1_u64.wrapping_shl(largest_slot_shift(unit_shift(block_size), geometry));
        let tables = self
            .l1_entries()
            .saturating_mul(geometry.l2_size().saturating_add(slot))
            .saturating_add(self.l1_bytes())
            .saturating_add(slot.saturating_mul(2))
            .min(tables_in_file(file_size, geometry, block_size));
        let minimum = if self.is_encrypted() {
            minimum_with_bounce(block_size)
        } else {
            minimum(block_size)
        };
        MemoryNeeds::new(geometry, block_size, tables, minimum)
    }
}

impl Parts {
    /// Splits at least [`minimum`] bytes, or [`minimum_raw`] bytes for a raw disk, which has no
    /// geometry. With less memory, some parts are missing, and operations that need them fail.
    ///
    /// | from | |
    /// |---|---|
    /// | 0 | the bounce buffer. If there is room for nothing else, it is the only slot too; in less than a sector, of one word |
    /// | a unit | slots, and their tags if they are two or more |
    /// | [`ClusterInflater`] | the input, the output and the tables for compressed clusters |
    pub(crate) fn split(memory: &mut [u8], device: DeviceShape, geometry: Option<Geometry>) -> Self {
        let unit_shift = unit_shift(device.block_size);
        // More than 4 GiB are not used, so that an offset takes 4 bytes.
        let len = u32::try_from(memory.len()).unwrap_or(u32::MAX);
        #[cfg(feature = "deflate-small")]
        let (inflater, end) = match geometry {
            Some(geometry) => ClusterInflater::reserve(len, geometry, device.block_size, power_of_two(unit_shift)),
            None => (None, len),
        };
        #[cfg(not(feature = "deflate-small"))]
        let end = len;
        let unit = 1_u32.wrapping_shl(unit_shift);
        let rest = index(end.saturating_sub(unit));
        let (slots_at, count, slot_shift) = match geometry {
            // A raw disk has no tables.
            Some(geometry) if rest >= power_of_two(unit_shift) => {
                let slot_shift = slot_shift(rest, unit_shift, geometry);
                let with_tag = power_of_two(slot_shift).wrapping_add(size_of::<StoredTag>());
                (unit, rest.checked_div(with_tag).unwrap_or(0), slot_shift)
            }
            _ if len < unit => (0, 0, WORD_SHIFT),
            _ => (0, 0, unit_shift),
        };
        // One slot has its tag in the image.
        let tag_count = if count < 2 {
            0
        } else {
            saturating_u32(byte_count(count))
        };
        Self {
            cache: TableCache::new(device, memory, slots_at, tag_count, shift_byte(slot_shift)),
            #[cfg(feature = "deflate-small")]
            inflater,
        }
    }
}

/// Returns log2 of the slot size: that of a table, or less if too few slots would remain.
fn slot_shift(memory: usize, unit_shift: u32, geometry: Geometry) -> u32 {
    let mut shift = unit_shift;
    // Bound: 3 turns, from a sector to the largest slot.
    while shift < largest_slot_shift(unit_shift, geometry) && memory.wrapping_shr(shift.wrapping_add(1)) >= MIN_SLOTS {
        shift = shift.wrapping_add(1);
    }
    shift
}

/// Returns log2 of the largest slot: a table, or the largest part of one that a look-up should
/// read.
fn largest_slot_shift(unit_shift: u32, geometry: Geometry) -> u32 {
    let table_shift = u32::from(geometry.l2_bits.get()).wrapping_add(3);
    table_shift.min(MAX_SLOT_SHIFT).max(unit_shift)
}

/// Returns a shift count as a byte.
const fn shift_byte(shift: u32) -> u8 {
    shift.to_le_bytes()[0]
}
