//! The header: the first 48 bytes of an image, validated once into types.

use core::convert::Infallible;

use zerocopy::byteorder::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use crate::error::{Corrupt, CorruptKind, Error, Unsupported};
use crate::format::geometry::{ClusterBits, Geometry, L2Bits};
use crate::format::xen::Xen;
use crate::offset::{HostOffset, byte_count};

/// "QFI\xfb".
const MAGIC: u32 = 0x5146_49fb;

/// The longest backing name that QEMU reads.
const MAX_NAME: u32 = 1023;

/// The header as stored in the file.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RawHeader {
    magic: U32,
    version: U32,
    backing_offset: U64,
    backing_len: U32,
    mtime: U32,
    size: U64,
    cluster_bits: u8,
    l2_bits: u8,
    /// QEMU writes 0 and ignores it.
    _padding: U16,
    crypt_method: U32,
    l1_offset: U64,
}

/// The size in bytes of the header with Xen's extension: all that opening an image reads.
pub(crate) const PREFIX: u64 = 64;

/// The format that the first bytes of a file claim; see [`probe`].
///
/// A raw disk may begin with any bytes, also with QCOW's magic number. So [`Probe::Qcow1`] does not
/// prove that a file is an image.
///
/// ```
/// use qcow1::{Probe, probe};
///
/// let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// match probe(file) {
///     Probe::Qcow1 => println!("a QCOW1 image"),
///     Probe::OtherVersion(version) => println!("QCOW version {version}, which this crate does not read"),
///     _ => println!("not a QCOW image"),
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Probe {
    /// QCOW version 1, which this crate reads.
    Qcow1,
    /// Another QCOW version. `qemu-img` calls versions 2 and 3 `qcow2`.
    OtherVersion(u32),
    /// Not a QCOW image.
    NotQcow,
}

/// Returns the format that the first 8 bytes of a file claim. Further bytes are ignored; fewer are
/// [`Probe::NotQcow`].
///
/// Whoever writes the first bytes of a disk chooses the result.
/// [`OpenOptions::or_raw`](crate::OpenOptions::or_raw) describes when it is safe to choose a format
/// by it.
///
/// ```
/// use qcow1::{Probe, probe};
///
/// assert_eq!(probe(b"QFI\xfb\0\0\0\x01"), Probe::Qcow1);
/// assert_eq!(probe(b"QFI\xfb\0\0\0\x03"), Probe::OtherVersion(3));
/// assert_eq!(probe(&[0; 512]), Probe::NotQcow);
/// ```
#[must_use]
pub fn probe(prefix: &[u8]) -> Probe {
    let Ok((magic, rest)) = U32::ref_from_prefix(prefix) else {
        return Probe::NotQcow;
    };
    match U32::ref_from_prefix(rest) {
        Ok((version, _)) if magic.get() == MAGIC => match version.get() {
            1 => Probe::Qcow1,
            other => Probe::OtherVersion(other),
        },
        _ => Probe::NotQcow,
    }
}

/// A valid QCOW1 header.
///
/// ```
/// use qcow1::{BlockSize, Header};
///
/// let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// let header = Header::parse(&file[..48])?;
/// assert_eq!(header.virtual_size(), 131_072);
/// assert_eq!(header.cluster_bits().cluster_size(), 4096);
/// assert_eq!(header.l2_bits().entries(), 512);
/// let needs = header.memory_for(BlockSize::B512, file.len() as u64);
/// assert_eq!(needs.minimum, 512);
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
///
/// Each field is inside its range. Opening an image also checks that the L1 table and the backing
/// file's name lie inside the file; reads check the L2 tables.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Header {
    backing_offset: u64,
    /// 0 if there is no backing file.
    backing_len: u32,
    mtime: u32,
    size: u64,
    geometry: Geometry,
    encrypted: bool,
    l1_offset: u64,
    xen: Xen,
}

impl Header {
    /// Parses and validates the first 48 bytes of a file. Further bytes are ignored.
    ///
    /// # Errors
    /// - [`Error::Empty`]: there are 0 bytes.
    /// - [`Error::NotQcow`]: the magic number is missing.
    /// - [`Error::Unsupported`]: the version is not 1, or the encryption method is unknown.
    /// - [`Error::Corrupt`]: a field is outside the range that QEMU accepts, or there are fewer
    ///   than 48 bytes.
    pub fn parse(first_48_bytes: &[u8]) -> Result<Self, Error<Infallible>> {
        Self::parse_48(first_48_bytes)
    }

    fn parse_48<E>(first_48_bytes: &[u8]) -> Result<Self, Error<E>> {
        if first_48_bytes.is_empty() {
            return Err(Error::Empty);
        }
        match probe(first_48_bytes) {
            Probe::Qcow1 => {}
            Probe::OtherVersion(version) => return Err(Error::Unsupported(Unsupported::Version(version))),
            Probe::NotQcow => return Err(Error::NotQcow),
        }
        let corrupt = |kind, value| Err(Error::Corrupt(Corrupt::value(kind, value)));
        let Ok((raw, _)) = RawHeader::ref_from_prefix(first_48_bytes) else {
            let end = HostOffset(byte_count(first_48_bytes.len()));
            return Err(Error::Corrupt(Corrupt::in_file(CorruptKind::HeaderTruncated, end)));
        };
        let size = raw.size.get();
        if size < 2 {
            return corrupt(CorruptKind::SizeTooSmall, size);
        }
        let Some(cluster_bits) = ClusterBits::new(raw.cluster_bits) else {
            return corrupt(CorruptKind::ClusterBits, raw.cluster_bits.into());
        };
        let Some(l2_bits) = L2Bits::new(raw.l2_bits) else {
            return corrupt(CorruptKind::L2Bits, raw.l2_bits.into());
        };
        let geometry = Geometry { cluster_bits, l2_bits };
        // QEMU refuses a size to which one L1 span cannot be added in 64 bits. So rounding up to a
        // span cannot overflow.
        if size.checked_add(geometry.span()).is_none() {
            return corrupt(CorruptKind::SizeTooLarge, size);
        }
        let encrypted = match raw.crypt_method.get() {
            0 => false,
            1 => true,
            other => return Err(Error::Unsupported(Unsupported::CryptMethod(other))),
        };
        // QEMU reads the length only if the offset is not 0, and treats a length of 0 as no backing
        // file.
        let backing_offset = raw.backing_offset.get();
        let backing_len = if backing_offset == 0 { 0 } else { raw.backing_len.get() };
        if backing_len > MAX_NAME {
            return corrupt(CorruptKind::BackingNameTooLong, backing_len.into());
        }
        Ok(Self {
            backing_offset,
            backing_len,
            mtime: raw.mtime.get(),
            size,
            geometry,
            encrypted,
            l1_offset: raw.l1_offset.get(),
            xen: Xen::Absent,
        })
    }

    /// Parses the header, and Xen's extension if the 16 bytes after the header are one.
    pub(crate) fn parse_with_xen<E>(prefix: &[u8]) -> Result<Self, Error<E>> {
        let mut header = Self::parse_48(prefix)?;
        if let Some(extension) = prefix.get(48..) {
            header.xen = Xen::read(extension, header.l1_offset);
        }
        Ok(header)
    }

    /// Returns the size of the guest's disk in bytes. It is exact; QEMU rounds it down to a
    /// multiple of 512.
    #[must_use]
    pub const fn virtual_size(&self) -> u64 {
        self.size
    }

    /// Returns log2 of the cluster size.
    #[must_use]
    pub const fn cluster_bits(&self) -> ClusterBits {
        self.geometry.cluster_bits
    }

    /// Returns log2 of the number of entries in an L2 table.
    #[must_use]
    pub const fn l2_bits(&self) -> L2Bits {
        self.geometry.l2_bits
    }

    /// Returns the number of entries in the L1 table.
    #[must_use]
    pub const fn l1_entries(&self) -> u64 {
        self.geometry.l1_entries(self.size)
    }

    /// Returns the byte offset of the L1 table in the image file. It need not be aligned.
    #[must_use]
    pub const fn l1_offset(&self) -> u64 {
        self.l1_offset
    }

    /// Returns `true` if plain clusters are encrypted (crypt method 1, AES). Compressed clusters
    /// never are.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// Returns `true` if the image names a backing file.
    #[must_use]
    pub const fn has_backing(&self) -> bool {
        self.backing_len != 0
    }

    /// Returns the length of the backing file's name in bytes: 0..=1023, 0 if there is none.
    #[must_use]
    pub const fn backing_name_len(&self) -> u32 {
        self.backing_len
    }

    /// Returns the modification time as the writer stored it. No reader uses it.
    #[must_use]
    pub const fn mtime(&self) -> u32 {
        self.mtime
    }

    /// Returns `true` if the image has the extension that Xen's tapdisk writes after the header.
    /// [`Header::parse`] does not look for it; opening an [`Image`](crate::Image) does.
    #[must_use]
    pub const fn is_xen(&self) -> bool {
        !matches!(self.xen, Xen::Absent)
    }

    /// Returns `true` if the L1 table is read as little-endian, as old versions of tapdisk wrote
    /// it. QEMU reads such an image as empty.
    #[must_use]
    pub const fn l1_is_little_endian(&self) -> bool {
        matches!(self.xen, Xen::LittleEndianL1)
    }

    pub(crate) const fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Returns the size of the header in bytes, including Xen's extension.
    #[cfg(feature = "check")]
    pub(crate) const fn len(&self) -> u8 {
        match self.xen {
            Xen::Absent => 48,
            Xen::Present | Xen::LittleEndianL1 => 64,
        }
    }

    pub(crate) const fn l1(&self) -> HostOffset {
        HostOffset(self.l1_offset)
    }

    pub(crate) const fn l1_bytes(&self) -> u64 {
        // At most 2^49 entries: a size of at most 2^64, divided by a span of at least 2^15.
        self.l1_entries().wrapping_shl(3)
    }

    pub(crate) const fn backing_name(&self) -> HostOffset {
        HostOffset(self.backing_offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structures_have_the_sizes_of_the_format() {
        assert_eq!(size_of::<RawHeader>(), 48);
    }
}
