//! The map of the uses of the file's sectors.

use crate::error::CorruptPart;
use crate::offset::HostOffset;

/// The memory in which a check records what each sector of the image file is used for: one byte for
/// four sectors, which are 2 KiB of the file.
///
/// It is implemented for byte slices, which [`CheckOptions::bitmap`](crate::CheckOptions::bitmap)
/// takes. For a large sparse file, a structure that holds only the bytes in use needs less memory:
///
/// ```
/// use std::collections::BTreeMap;
///
/// #[derive(Default)]
/// struct Sparse(BTreeMap<usize, u8>);
///
/// impl qcow1::UsageMap for Sparse {
///     fn clear(&mut self, _len: usize) -> bool {
///         self.0.clear();
///         true
///     }
///
///     fn byte(&mut self, index: usize) -> Option<&mut u8> {
///         Some(self.0.entry(index).or_insert(0))
///     }
///
///     fn next_used(&self, index: usize) -> Option<(usize, u8)> {
///         let mut used = self.0.range(index..).filter(|(_, byte)| **byte != 0);
///         used.next().map(|(index, byte)| (*index, *byte))
///     }
/// }
///
/// # fn main() -> Result<(), qcow1::Error<core::convert::Infallible>> {
/// let file: &[u8] = include_bytes!("../../../tests/data/plain.qcow");
/// let mut image = qcow1::Image::open(file, [0; 4096])?;
/// let mut usage = Sparse::default();
/// let options = qcow1::CheckOptions::new().usage_map(&mut usage);
/// let summary = image.check_with(options, |finding| println!("{finding}"))?;
/// # assert_eq!(summary.findings, 0);
/// # Ok(())
/// # }
/// ```
pub trait UsageMap {
    /// Sets the first `len` bytes to 0. Returns `false` if the map has no room for `len` bytes.
    fn clear(&mut self, len: usize) -> bool;

    /// Returns the byte at `index`, for the check to change. It must return a byte for every index
    /// below the cleared length. If it returns `None`, the check finds no overlaps in the sectors
    /// of that byte.
    fn byte(&mut self, index: usize) -> Option<&mut u8>;

    /// Returns the index and the value of the first byte at or after `index` that is not 0.
    fn next_used(&self, index: usize) -> Option<(usize, u8)>;
}

impl UsageMap for [u8] {
    fn clear(&mut self, len: usize) -> bool {
        self.get_mut(..len).map(|bytes| bytes.fill(0)).is_some()
    }

    fn byte(&mut self, index: usize) -> Option<&mut u8> {
        self.get_mut(index)
    }

    fn next_used(&self, index: usize) -> Option<(usize, u8)> {
        let rest = self.get(index..)?;
        let skipped = rest.iter().position(|byte| *byte != 0)?;
        Some((index.wrapping_add(skipped), *rest.get(skipped)?))
    }
}

/// The use of a sector, in two bits. If a sector has two uses, the larger is stored. If their sum
/// is above 3, they overlap.
type Use = u8;

/// Several parts of the file may share the sector: streams, which are packed byte by byte, and the
/// ends of tables.
const SHARED: Use = 1;
/// The sector may be shared, and an unaligned table starts in it. No second table can, because none
/// is shorter than a sector.
const TABLE_START: Use = 2;
/// One part of the file fills the sector.
const WHOLE: Use = 3;

/// The uses of a file's sectors, in a cleared map.
pub(crate) struct Usage<'b, U: ?Sized> {
    pub(crate) map: &'b mut U,
    pub(crate) file_end: HostOffset,
}

/// Returns the size in bytes of a map for a file that ends at `file_end`.
#[inline(never)]
pub(crate) fn map_len(file_end: HostOffset) -> usize {
    // No file is longer than 2^63 bytes.
    usize::try_from(file_end.0.wrapping_add(2047).wrapping_shr(11)).unwrap_or(usize::MAX)
}

impl<U: UsageMap + ?Sized> Usage<'_, U> {
    /// Marks bytes that have one owner: the header, the L1 table or the backing file's name.
    pub(crate) fn mark_owned(&mut self, start: HostOffset, len: u64) {
        self.mark(start, len, SHARED, WHOLE);
    }

    /// Marks the bytes of a part. Returns `true` if they overlap bytes that were marked before. Two
    /// tables that start in the same sector overlap.
    pub(crate) fn mark_part(&mut self, part: CorruptPart, start: HostOffset, len: u64) -> bool {
        let first = match part {
            CorruptPart::L2Table => TABLE_START,
            _ => SHARED,
        };
        self.mark(start, len, first, WHOLE)
    }

    /// Marks bytes as used, without excluding other owners.
    pub(crate) fn mark_shared(&mut self, start: HostOffset, len: u64) {
        self.mark(start, len, SHARED, SHARED);
    }

    /// Marks bytes: `first` for a sector inside which they start, `whole` for sectors that they
    /// fill (the last sector of the file up to its end), and [`SHARED`] for a sector inside which
    /// they end. Bytes past the end of the file are ignored. Returns `true` if they overlap bytes
    /// that were marked before.
    #[inline(never)]
    fn mark(&mut self, start: HostOffset, len: u64, first: Use, whole: Use) -> bool {
        let end = start.plus(len).min(self.file_end);
        // Bytes up to the end of the file fill its last sector.
        let whole_end = if end == self.file_end {
            end
        } else {
            HostOffset(end.0 & !511)
        };
        let mut overlaps = false;
        let mut at = start;
        // Bound: the sectors of the file.
        while at < end {
            let used = if at.0 & 511 != 0 {
                first
            } else if at < whole_end {
                whole
            } else {
                SHARED
            };
            let index = usize::try_from(at.0.wrapping_shr(11)).unwrap_or(usize::MAX);
            if let Some(byte) = self.map.byte(index) {
                let shift = bit_shift(at);
                let before = byte.wrapping_shr(shift) & WHOLE;
                overlaps |= before.wrapping_add(used) > WHOLE;
                *byte ^= (before ^ before.max(used)).wrapping_shl(shift);
            }
            at = HostOffset((at.0 | 511).wrapping_add(1));
        }
        overlaps
    }

    /// Returns the number of bytes of the file that nothing refers to, in gaps of at least
    /// `min_gap` bytes.
    pub(crate) fn unreachable_bytes(&self, min_gap: u64) -> u64 {
        let len = map_len(self.file_end);
        let mut all = 0_u64;
        let mut used_end = HostOffset(0);
        let mut index = 0_usize;
        // Bound: the bytes of the map. Bytes of the slice after the map are ignored; the end of the
        // file ends the last gap.
        while index <= len {
            let (used_index, byte) = self
                .map
                .next_used(index)
                .filter(|(used_index, _)| (index..len).contains(used_index))
                .unwrap_or((len, SHARED));
            let mut at = HostOffset(u64::try_from(used_index).unwrap_or(u64::MAX).wrapping_shl(11));
            let mut uses = byte;
            while uses != 0 {
                if uses & WHOLE != 0 {
                    let gap = at.min(self.file_end).since(used_end);
                    all = all.wrapping_add(if gap < min_gap { 0 } else { gap });
                    used_end = at.plus(512);
                }
                at = at.plus(512);
                uses = uses.wrapping_shr(2);
            }
            index = used_index.wrapping_add(1);
        }
        all
    }
}

/// Returns the position of the bits of the sector at `at` in its byte of the map.
fn bit_shift(at: HostOffset) -> u32 {
    // 0, 2, 4 or 6.
    u32::try_from(at.0.wrapping_shr(8) & 6).unwrap_or(0)
}
