//! Decodes the words of L1 and L2 tables. No other file does.

use crate::error::CorruptKind;
use crate::format::geometry::ClusterBits;
use crate::offset::HostOffset;

const BIT_63: u64 = 1 << 63;
const BIT_31: u32 = 1 << 31;

/// A decoded L1 word.
pub(crate) enum L1Entry {
    Hole,
    /// The start of the L2 table, at any alignment: QEMU reads unaligned tables too.
    Table(HostOffset),
}

impl L1Entry {
    /// Decodes `word`.
    ///
    /// # Errors
    /// [`CorruptKind::L1Bit63Set`] if bit 63 is set. It is not a flag in an L1 word, and QEMU fails
    /// to read such a table.
    pub(crate) const fn decode(word: u64) -> Result<Self, CorruptKind> {
        if word == 0 {
            Ok(Self::Hole)
        } else if word & BIT_63 != 0 {
            Err(CorruptKind::L1Bit63Set)
        } else {
            Ok(Self::Table(Self::host(word)))
        }
    }

    /// Returns the host offset in the word, valid or not.
    pub(crate) const fn host(word: u64) -> HostOffset {
        HostOffset(word & !BIT_63)
    }
}

/// A decoded L2 word.
pub(crate) enum L2Entry {
    Hole,
    /// The start of the cluster: a multiple of 512, not always of the cluster size.
    Data(HostOffset),
    /// The start of the stream, at any alignment, and its length in bytes, 1..cluster size.
    Compressed(HostOffset, u32),
}

impl L2Entry {
    /// Decodes `word`.
    ///
    /// # Errors
    /// [`CorruptKind::ClusterMisaligned`] for a plain cluster whose offset is not a multiple of
    /// 512, as in QEMU; [`CorruptKind::StreamEmpty`] for a stream of 0 bytes.
    #[inline(always)]
    pub(crate) fn decode(word: u64, cluster_bits: ClusterBits) -> Result<Self, CorruptKind> {
        if word == 0 {
            return Ok(Self::Hole);
        }
        let host = Self::host(word, cluster_bits);
        if word & BIT_63 == 0 {
            return if word & 511 == 0 {
                Ok(Self::Data(host))
            } else {
                Err(CorruptKind::ClusterMisaligned)
            };
        }
        match (high(word) & !BIT_31).wrapping_shr(size_shift(cluster_bits)) {
            0 => Err(CorruptKind::StreamEmpty),
            size => Ok(Self::Compressed(host, size)),
        }
    }

    /// Returns the host offset in the word, valid or not.
    pub(crate) fn host(word: u64, cluster_bits: ClusterBits) -> HostOffset {
        if word & BIT_63 == 0 {
            return HostOffset(word);
        }
        let size = high(word) & u32::MAX.wrapping_shl(size_shift(cluster_bits));
        HostOffset(word & !u64::from(size).wrapping_shl(32))
    }
}

/// Returns the upper 32 bits of a word. They hold the flag and the size, and cost less than 64-bit
/// shifts on 32-bit machines.
const fn high(word: u64) -> u32 {
    let [a, b, c, d, ..] = word.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// Returns the position of the size in the upper half of a compressed cluster's word. From bit 63
/// down, the word holds the flag, `cluster_bits` bits of size, and the offset.
fn size_shift(cluster_bits: ClusterBits) -> u32 {
    31_u32.wrapping_sub(cluster_bits.get().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compressed_word_of_qemu_is_taken_apart() {
        let bits = ClusterBits::new(12).unwrap();
        let Ok(L2Entry::Compressed(host, size)) = L2Entry::decode(0x80b0_0000_0000_2000, bits) else {
            panic!("not compressed");
        };
        assert_eq!((host, size), (HostOffset(0x2000), 22));
    }
}
