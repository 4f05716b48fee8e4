//! Table words. Nothing else in the crate decodes one.

use crate::error::Flaw;
use crate::format::geometry::ClusterBits;
use crate::offset::HostOffset;

const BIT_63: u64 = 1 << 63;

/// What an L1 word says.
pub(crate) enum L1Entry {
    Hole,
    /// Where the L2 table starts: any byte (QEMU reads odd offsets too).
    Table(HostOffset),
}

impl L1Entry {
    /// # Errors
    /// Bit 63 is no flag in an L1 word, and no file is that long; QEMU fails to read it.
    pub(crate) const fn decode(word: u64) -> Result<Self, (Flaw, HostOffset)> {
        if word == 0 {
            Ok(Self::Hole)
        } else if word & BIT_63 != 0 {
            Err((Flaw::L1Flag, HostOffset(word & !BIT_63)))
        } else {
            Ok(Self::Table(HostOffset(word)))
        }
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
    pub(crate) fn decode(word: u64, cluster_bits: ClusterBits) -> Result<Self, (Flaw, HostOffset)> {
        if word == 0 {
            return Ok(Self::Hole);
        }
        if word & BIT_63 == 0 {
            return if word & 511 == 0 {
                Ok(Self::Data(HostOffset(word)))
            } else {
                Err((Flaw::ClusterMisaligned, HostOffset(word)))
            };
        }
        // Below bit 63 stand cluster_bits bits of size, and below those the offset.
        let size_shift = 63_u32.wrapping_sub(cluster_bits.get().into());
        let host = HostOffset(word & !u64::MAX.wrapping_shl(size_shift));
        let size = (word & !BIT_63).wrapping_shr(size_shift);
        match u32::try_from(size) {
            Ok(size) if size != 0 => Ok(Self::Compressed(host, size)),
            _ => Err((Flaw::CompressedEmpty, host)),
        }
    }
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
