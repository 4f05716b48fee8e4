//! The extension that Xen's tapdisk writes after the header.

use zerocopy::byteorder::big_endian::U32;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// The extension as stored in the file, after the header.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RawXen {
    magic: U32,
    _checksum: U32,
    _min_cluster_alloc: U32,
    flags: U32,
}

/// "XEN\xfb".
const XEN_MAGIC: u32 = 0x5845_4efb;

/// The flag with which tapdisk marks an L1 table that is big-endian, as the format requires.
const XEN_L1_BIG_ENDIAN: u32 = 2;

/// Xen's extension of the header, if there is one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) enum Xen {
    Absent,
    Present,
    LittleEndianL1,
}

impl Xen {
    /// Reads `extension`, the bytes after the header of an image whose L1 table starts at
    /// `l1_offset`.
    pub(crate) fn read(extension: &[u8], l1_offset: u64) -> Self {
        match RawXen::ref_from_prefix(extension) {
            Ok((raw, _)) if raw.magic.get() == XEN_MAGIC => {
                // Old versions of tapdisk wrote the L1 in the byte order of their machine; newer
                // ones set the flag. Their L1 is always page aligned. QEMU's is not, and a backing
                // name that QEMU wrote could look like the extension.
                let page_aligned = l1_offset & 0xfff == 0;
                if page_aligned && raw.flags.get() & XEN_L1_BIG_ENDIAN == 0 {
                    Self::LittleEndianL1
                } else {
                    Self::Present
                }
            }
            _ => Self::Absent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_has_the_size_of_the_format() {
        assert_eq!(size_of::<RawXen>(), 16);
    }
}
