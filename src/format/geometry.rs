//! The shape of an image: sizes that are proved once, and arithmetic that is total because of it.

use crate::offset::GuestOffset;

/// log2 of the cluster size in bytes: 9..=16, so 512 bytes to 64 KiB.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClusterBits(u8);

impl ClusterBits {
    /// `bits`, or `None` unless it is in 9..=16 (QEMU's range).
    #[must_use]
    pub const fn new(bits: u8) -> Option<Self> {
        if matches!(bits, 9..=16) { Some(Self(bits)) } else { None }
    }

    /// The field as it stands in the header.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The cluster size in bytes: 512..=65536.
    #[must_use]
    pub const fn cluster_size(self) -> u32 {
        1_u32.wrapping_shl(widen(self.0))
    }

    /// The cluster size in bytes, as the length of a buffer.
    pub(crate) const fn len(self) -> usize {
        1_usize.wrapping_shl(widen(self.0))
    }
}

/// log2 of the number of entries in an L2 table: 6..=13, so 512 bytes to 64 KiB of table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct L2Bits(u8);

impl L2Bits {
    /// `bits`, or `None` unless it is in 6..=13 (QEMU's range).
    #[must_use]
    pub const fn new(bits: u8) -> Option<Self> {
        if matches!(bits, 6..=13) { Some(Self(bits)) } else { None }
    }

    /// The field as it stands in the header.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The number of entries in a table: 64..=8192.
    #[must_use]
    pub const fn entries(self) -> u32 {
        1_u32.wrapping_shl(widen(self.0))
    }
}

/// Where a guest offset is looked up. Shifts and masks only: firmware has no fast 64-bit division.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Geometry {
    pub(crate) cluster_bits: ClusterBits,
    pub(crate) l2_bits: L2Bits,
}

impl Geometry {
    pub(crate) const fn cluster_shift(self) -> u32 {
        // At most 16: the mask changes nothing, but saves machines of 32 bits half of a shift.
        widen(self.cluster_bits.0) & 31
    }

    pub(crate) fn cluster_size(self) -> u64 {
        u64::from(self.cluster_bits.cluster_size())
    }

    /// The bytes of an L2 table: 512..=65536.
    pub(crate) const fn l2_size(self) -> u64 {
        8_u64.wrapping_shl(widen(self.l2_bits.0) & 15)
    }

    pub(crate) const fn span_shift(self) -> u32 {
        // At most 16 + 13; masked as above.
        self.cluster_shift().wrapping_add(widen(self.l2_bits.0)) & 31
    }

    /// The guest bytes below one L1 entry: 2^15..=2^29.
    pub(crate) const fn span(self) -> u64 {
        widen_u32(self.span_u32())
    }

    pub(crate) const fn span_u32(self) -> u32 {
        1_u32.wrapping_shl(self.span_shift())
    }

    /// The number of L1 entries of a disk of `size` bytes, its last, partial span included.
    // Its 64-bit shifts are code that need not stand everywhere.
    #[inline(never)]
    pub(crate) const fn l1_entries(self, size: u64) -> u64 {
        let whole = size.wrapping_shr(self.span_shift());
        if size & self.span().wrapping_sub(1) == 0 {
            whole
        } else {
            whole.wrapping_add(1)
        }
    }

    pub(crate) const fn l1_index(self, at: GuestOffset) -> u64 {
        at.0.wrapping_shr(self.span_shift())
    }

    /// The first guest byte of the span that holds `at`.
    pub(crate) const fn span_start(self, at: GuestOffset) -> GuestOffset {
        GuestOffset(at.0 & !self.span().wrapping_sub(1))
    }

    /// The first guest byte past the span that holds `at`.
    pub(crate) const fn span_end(self, at: GuestOffset) -> GuestOffset {
        GuestOffset((at.0 | self.span().wrapping_sub(1)).saturating_add(1))
    }

    /// The bytes from the start of its cluster to `at`.
    pub(crate) fn within_cluster(self, at: GuestOffset) -> u64 {
        at.0 & self.cluster_size().wrapping_sub(1)
    }

    pub(crate) fn cluster_start(self, at: GuestOffset) -> GuestOffset {
        GuestOffset(at.0 & !self.cluster_size().wrapping_sub(1))
    }

    /// The first guest byte past the cluster that holds `at`.
    pub(crate) fn cluster_end(self, at: GuestOffset) -> GuestOffset {
        GuestOffset((at.0 | self.cluster_size().wrapping_sub(1)).saturating_add(1))
    }
}

/// `u32::from`, which is not const.
const fn widen(bits: u8) -> u32 {
    u32::from_le_bytes([bits, 0, 0, 0])
}

/// `u64::from`, which is not const.
const fn widen_u32(number: u32) -> u64 {
    let [a, b, c, d] = number.to_le_bytes();
    u64::from_le_bytes([a, b, c, d, 0, 0, 0, 0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_partial_span_has_an_l1_entry() {
        let geometry = Geometry {
            cluster_bits: ClusterBits::new(12).unwrap(),
            l2_bits: L2Bits::new(9).unwrap(),
        };
        assert_eq!(geometry.span(), 2 << 20);
        assert_eq!(geometry.l1_entries(2), 1);
        assert_eq!(geometry.l1_entries(2 << 20), 1);
        assert_eq!(geometry.l1_entries((2 << 20) + 1), 2);
    }

    #[test]
    fn bits_outside_the_format_have_no_value() {
        for bits in 0..=u8::MAX {
            assert_eq!(ClusterBits::new(bits).is_some(), (9..=16).contains(&bits));
            assert_eq!(L2Bits::new(bits).is_some(), (6..=13).contains(&bits));
        }
    }
}
