//! Table words. Nothing else in the crate decodes one.

use crate::error::Flaw;
use crate::format::geometry::ClusterBits;
use crate::offset::HostOffset;

const BIT_63: u64 = 1 << 63;
const BIT_31: u32 = 1 << 31;

/// What an L1 word says.
pub(crate) enum L1Entry {
    Hole,
    /// Where the L2 table starts: any byte (QEMU reads odd offsets too).
    Table(HostOffset),
}

impl L1Entry {
    /// # Errors
    /// Bit 63 is no flag in an L1 word, and no file is that long; QEMU fails to read it.
    pub(crate) const fn decode(word: u64) -> Result<Self, Flaw> {
        if word == 0 {
            Ok(Self::Hole)
        } else if word & BIT_63 != 0 {
            Err(Flaw::L1Flag)
        } else {
            Ok(Self::Table(Self::host(word)))
        }
    }

    /// Where the word leads, right or wrong.
    pub(crate) const fn host(word: u64) -> HostOffset {
        HostOffset(word & !BIT_63)
    }
}

/// What an L2 word says.
pub(crate) enum L2Entry {
    Hole,
    /// Where the cluster starts: a multiple of 512, not always of the cluster size.
    Data(HostOffset),
    /// Where the stream starts, any byte, and its length in bytes, 1..cluster size.
    Compressed(HostOffset, u32),
}

impl L2Entry {
    /// # Errors
    /// A plain cluster off the sectors, as in QEMU, and a compressed one of no bytes.
    #[inline(always)]
    pub(crate) fn decode(word: u64, cluster_bits: ClusterBits) -> Result<Self, Flaw> {
        if word == 0 {
            return Ok(Self::Hole);
        }
        let host = Self::host(word, cluster_bits);
        if word & BIT_63 == 0 {
            return if word & 511 == 0 {
                Ok(Self::Data(host))
            } else {
                Err(Flaw::ClusterMisaligned)
            };
        }
        match (high(word) & !BIT_31).wrapping_shr(size_shift(cluster_bits)) {
            0 => Err(Flaw::CompressedEmpty),
            size => Ok(Self::Compressed(host, size)),
        }
    }

    /// Where the word leads, right or wrong.
    pub(crate) fn host(word: u64, cluster_bits: ClusterBits) -> HostOffset {
        if word & BIT_63 == 0 {
            return HostOffset(word);
        }
        let size = high(word) & u32::MAX.wrapping_shl(size_shift(cluster_bits));
        HostOffset(word & !u64::from(size).wrapping_shl(32))
    }
}

/// The upper half of a word, where registers have 32 bits: all that is not an offset stands there.
const fn high(word: u64) -> u32 {
    let [a, b, c, d, ..] = word.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// Below bit 63 of a compressed cluster's word stand `cluster_bits` bits of size, and below those the offset: so many bits
/// of it in the upper half.
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
