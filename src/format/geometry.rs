//! The geometry of an image: cluster and table sizes, validated once, so that arithmetic with them
//! cannot overflow.

use crate::offset::GuestOffset;

/// The log2 of the cluster size in bytes: 9..=16, so 512 bytes to 64 KiB.
///
/// ```
/// use qcow1::{ClusterBits, Header};
///
/// let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// let header = Header::parse(file)?;
/// assert_eq!(header.cluster_bits().get(), 12);
/// assert_eq!(header.cluster_bits().cluster_size(), 4096);
/// assert_eq!(ClusterBits::new(8), None);
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClusterBits(u8);

impl ClusterBits {
    /// Checks `bits`. Returns `None` unless it is in 9..=16, which is QEMU's range.
    #[must_use]
    pub const fn new(bits: u8) -> Option<Self> {
        if matches!(bits, 9..=16) { Some(Self(bits)) } else { None }
    }

    /// Returns log2 of the cluster size: 9..=16.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Returns the cluster size in bytes: 512..=65536.
    #[must_use]
    pub const fn cluster_size(self) -> u32 {
        1_u32.wrapping_shl(widen(self.0))
    }

    /// Returns the cluster size in bytes, as the length of a buffer.
    pub(crate) const fn len(self) -> usize {
        1_usize.wrapping_shl(widen(self.0))
    }
}

/// The log2 of the number of entries in an L2 table: 6..=13, so tables of 512 bytes to 64 KiB.
///
/// ```
/// use qcow1::{Header, L2Bits};
///
/// let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// let header = Header::parse(file)?;
/// assert_eq!(header.l2_bits().get(), 9);
/// assert_eq!(header.l2_bits().entries(), 512);
/// assert_eq!(L2Bits::new(14), None);
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct L2Bits(u8);

impl L2Bits {
    /// Checks `bits`. Returns `None` unless it is in 6..=13, which is QEMU's range.
    #[must_use]
    pub const fn new(bits: u8) -> Option<Self> {
        if matches!(bits, 6..=13) { Some(Self(bits)) } else { None }
    }

    /// Returns log2 of the number of entries: 6..=13.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Returns the number of entries in a table: 64..=8192.
    #[must_use]
    pub const fn entries(self) -> u32 {
        1_u32.wrapping_shl(widen(self.0))
    }
}

/// The sizes that map a guest offset to table entries. They are powers of two, because firmware has
/// no fast 64-bit division.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Geometry {
    pub(crate) cluster_bits: ClusterBits,
    pub(crate) l2_bits: L2Bits,
}

impl Geometry {
    /// The geometry with the largest clusters and the largest L2 tables.
    pub(crate) const LARGEST: Self = Self {
        cluster_bits: ClusterBits(16),
        l2_bits: L2Bits(13),
    };

    pub(crate) const fn cluster_shift(self) -> u32 {
        // At most 16. The mask changes nothing, but makes a 64-bit shift cheaper on 32-bit
        // machines.
        widen(self.cluster_bits.0) & 31
    }

    pub(crate) fn cluster_size(self) -> u64 {
        u64::from(self.cluster_bits.cluster_size())
    }

    /// Returns the size of an L2 table in bytes: 512..=65536.
    pub(crate) const fn l2_size(self) -> u64 {
        8_u64.wrapping_shl(widen(self.l2_bits.0) & 15)
    }

    pub(crate) const fn span_shift(self) -> u32 {
        // At most 16 + 13, and masked for the same reason.
        self.cluster_shift().wrapping_add(widen(self.l2_bits.0)) & 31
    }

    /// Returns the number of guest bytes that one L1 entry covers: 2^15..=2^29.
    pub(crate) const fn span(self) -> u64 {
        widen_u32(self.span_u32())
    }

    pub(crate) const fn span_u32(self) -> u32 {
        1_u32.wrapping_shl(self.span_shift())
    }

    /// Returns the number of L1 entries of a disk of `size` bytes, including a partial last span.
    // Not inlined: its 64-bit shifts are large on 32-bit machines.
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

    /// Returns the first guest byte of the span that holds `at`.
    pub(crate) const fn span_start(self, at: GuestOffset) -> GuestOffset {
        GuestOffset(at.0 & !self.span().wrapping_sub(1))
    }

    /// Returns the first guest byte after the span that holds `at`.
    #[cfg(any(feature = "check", test))]
    pub(crate) const fn span_end(self, at: GuestOffset) -> GuestOffset {
        GuestOffset((at.0 | self.span().wrapping_sub(1)).saturating_add(1))
    }

    /// Returns the number of bytes from the start of the cluster that holds `at` to `at`.
    pub(crate) fn within_cluster(self, at: GuestOffset) -> u64 {
        at.0 & self.cluster_size().wrapping_sub(1)
    }

    pub(crate) fn cluster_start(self, at: GuestOffset) -> GuestOffset {
        GuestOffset(at.0 & !self.cluster_size().wrapping_sub(1))
    }

    /// Returns the first guest byte after the cluster that holds `at`.
    #[cfg(any(feature = "check", test))]
    pub(crate) fn cluster_end(self, at: GuestOffset) -> GuestOffset {
        GuestOffset((at.0 | self.cluster_size().wrapping_sub(1)).saturating_add(1))
    }
}

/// Does what `u32::from` does, which is not `const`.
const fn widen(bits: u8) -> u32 {
    u32::from_le_bytes([bits, 0, 0, 0])
}

/// Does what `u64::from` does, which is not `const`.
const fn widen_u32(number: u32) -> u64 {
    let [a, b, c, d] = number.to_le_bytes();
    u64::from_le_bytes([a, b, c, d, 0, 0, 0, 0])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clusters of 4 KiB, spans of 2 MiB.
    fn geometry() -> Geometry {
        Geometry {
            cluster_bits: ClusterBits::new(12).unwrap(),
            l2_bits: L2Bits::new(9).unwrap(),
        }
    }

    #[test]
    fn the_last_partial_span_has_an_l1_entry() {
        let geometry = geometry();
        assert_eq!(geometry.span(), 2 << 20);
        assert_eq!(geometry.l1_entries(2), 1);
        assert_eq!(geometry.l1_entries(2 << 20), 1);
        assert_eq!(geometry.l1_entries((2 << 20) + 1), 2);
    }

    #[test]
    fn a_span_and_a_cluster_have_the_same_ends_for_each_of_their_bytes() {
        let geometry = geometry();
        for at in [0x60_3000, 0x60_3001, 0x60_3fff].map(GuestOffset) {
            assert_eq!(
                (geometry.cluster_start(at).0, geometry.cluster_end(at).0),
                (0x60_3000, 0x60_4000)
            );
            assert_eq!(
                (geometry.span_start(at).0, geometry.span_end(at).0),
                (0x60_0000, 0x80_0000)
            );
        }
        let last = GuestOffset(u64::MAX - 5);
        assert_eq!(
            (geometry.cluster_end(last).0, geometry.span_end(last).0),
            (u64::MAX, u64::MAX)
        );
    }

    #[test]
    fn bits_outside_the_format_have_no_value() {
        for bits in 0..=u8::MAX {
            assert_eq!(ClusterBits::new(bits).is_some(), (9..=16).contains(&bits));
            assert_eq!(L2Bits::new(bits).is_some(), (6..=13).contains(&bits));
        }
    }
}
