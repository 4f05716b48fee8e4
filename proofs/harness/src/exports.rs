//! The exported functions. Each takes the words that the prover chose, and fills the words that it
//! compares.
//!
//! `../../spec.py` has the numbers of the outcomes.

use core::convert::Infallible;

use crate::device::BlockSize;
use crate::error::{CorruptKind, Error, Unsupported};
use crate::format::entry::{L1Entry, L2Entry};
use crate::format::geometry::{ClusterBits, Geometry, L2Bits};
use crate::format::header::{Header, Probe, probe};
use crate::offset::{GuestOffset, HostOffset, byte_count, saturating_u32, saturating_usize};
use crate::reader::device_shape::DeviceShape;

/// The words that the prover chooses.
pub(super) type In = [u64; 8];
/// The words that it compares.
pub(super) type Out = [u64; 16];

pub(super) const OK: u64 = 0;
const NONE: u64 = 1;
const NOT_QCOW: u64 = 2;
pub(super) const OTHER: u64 = 3;

/// Returns the number of a broken rule.
pub(super) fn rule(kind: CorruptKind) -> u64 {
    match kind {
        CorruptKind::HeaderTruncated => 16,
        CorruptKind::SizeTooSmall => 17,
        CorruptKind::SizeTooLarge => 18,
        CorruptKind::ClusterBits => 19,
        CorruptKind::L2Bits => 20,
        CorruptKind::BackingNameTooLong => 21,
        CorruptKind::BackingNamePastEnd => 22,
        CorruptKind::L1PastEnd => 23,
        CorruptKind::L1Bit63Set => 24,
        CorruptKind::L2PastEnd => 25,
        CorruptKind::ClusterMisaligned => 26,
        CorruptKind::ClusterPastEnd => 27,
        CorruptKind::StreamEmpty => 28,
        CorruptKind::StreamPastEnd => 29,
        _ => OTHER,
    }
}

/// Returns an error as its number, its value or guest offset, and its host offset.
pub(super) fn error<E>(error: Error<E>) -> [u64; 3] {
    match error {
        Error::NotQcow => [NOT_QCOW, 0, 0],
        Error::Unsupported(Unsupported::Version(version)) => [4, version.into(), 0],
        Error::Unsupported(Unsupported::CryptMethod(method)) => [5, method.into(), 0],
        Error::Unsupported(Unsupported::DeviceSize(size)) => [6, size, 0],
        Error::OutOfRange => [7, 0, 0],
        Error::MemoryTooSmall { needed } => [8, byte_count(needed), 0],
        Error::BackingRequired { guest_offset } => [9, guest_offset, 0],
        Error::KeyRequired { guest_offset } => [10, guest_offset, 0],
        Error::Io(_) => [11, 0, 0],
        Error::Empty => [13, 0, 0],
        Error::Corrupt(corrupt) => [
            rule(corrupt.kind()),
            corrupt.guest_offset().unwrap_or(0),
            corrupt.host_offset().unwrap_or(0),
        ],
        _ => [OTHER, 0, 0],
    }
}

/// Returns the geometry for two bytes of a header.
fn geometry(cluster_bits: u64, l2_bits: u64) -> Option<Geometry> {
    Some(Geometry {
        cluster_bits: ClusterBits::new(u8::try_from(cluster_bits).ok()?)?,
        l2_bits: L2Bits::new(u8::try_from(l2_bits).ok()?)?,
    })
}

/// Returns the `len` bytes at `bytes`.
///
/// # Safety
/// The prover has `len` bytes there, or a proof that only the bytes that it has are read.
unsafe fn slice<'a>(bytes: *const u8, len: u64) -> &'a [u8] {
    unsafe { core::slice::from_raw_parts(bytes, saturating_usize(len)) }
}

/// The format of the first bytes of a file. In: length; the bytes follow.
#[unsafe(no_mangle)]
extern "C" fn probe_bytes(input: &In, out: &mut Out) {
    // SAFETY: see `slice`.
    let bytes = unsafe { slice(core::ptr::from_ref(input).cast::<u8>().wrapping_add(8), input[0]) };
    [out[0], out[1]] = match probe(bytes) {
        Probe::Qcow1 => [OK, 1],
        Probe::OtherVersion(version) => [4, version.into()],
        Probe::NotQcow => [NOT_QCOW, 0],
    };
}

fn header_words(header: Result<Header, Error<Infallible>>, out: &mut Out) {
    match header {
        Ok(header) => {
            *out = [
                OK,
                header.virtual_size(),
                header.cluster_bits().get().into(),
                header.l2_bits().get().into(),
                header.l1_entries(),
                header.l1_offset(),
                header.is_encrypted().into(),
                header.backing_name_len().into(),
                header.mtime().into(),
                header.backing_name().0,
                header.has_backing().into(),
                header.l1_bytes(),
                header.is_xen().into(),
                header.l1_is_little_endian().into(),
                header.len().into(),
                0,
            ];
        }
        Err(reason) => [out[0], out[1], out[2]] = error(reason),
    }
}

/// The header. In: length; the bytes follow.
#[unsafe(no_mangle)]
extern "C" fn header_parse(input: &In, out: &mut Out) {
    // SAFETY: see `slice`.
    let bytes = unsafe { slice(core::ptr::from_ref(input).cast::<u8>().wrapping_add(8), input[0]) };
    header_words(Header::parse(bytes), out);
}

/// The header and Xen's extension. In: length; the bytes follow.
#[unsafe(no_mangle)]
extern "C" fn header_parse_with_xen(input: &In, out: &mut Out) {
    // SAFETY: see `slice`.
    let bytes = unsafe { slice(core::ptr::from_ref(input).cast::<u8>().wrapping_add(8), input[0]) };
    header_words(Header::parse_with_xen(bytes), out);
}

/// An L1 word. In: word.
#[unsafe(no_mangle)]
extern "C" fn l1_entry(input: &In, out: &mut Out) {
    let word = input[0];
    [out[0], out[1]] = match L1Entry::decode(word) {
        Ok(L1Entry::Hole) => [NONE, 0],
        Ok(L1Entry::Table(host)) => [OK, host.0],
        Err(reason) => [rule(reason), 0],
    };
    out[2] = L1Entry::host(word).0;
}

/// An L2 word. In: word, cluster_bits.
#[unsafe(no_mangle)]
extern "C" fn l2_entry(input: &In, out: &mut Out) {
    let [word, bits, ..] = *input;
    let Some(bits) = u8::try_from(bits).ok().and_then(ClusterBits::new) else {
        out[0] = OTHER;
        return;
    };
    [out[0], out[1], out[2]] = match L2Entry::decode(word, bits) {
        Ok(L2Entry::Hole) => [NONE, 0, 0],
        Ok(L2Entry::Data(host)) => [OK, host.0, 0],
        Ok(L2Entry::Compressed(host, size)) => [12, host.0, size.into()],
        Err(reason) => [rule(reason), 0, 0],
    };
    out[3] = L2Entry::host(word, bits).0;
}

/// A header's bytes as sizes. In: cluster_bits, l2_bits.
#[unsafe(no_mangle)]
extern "C" fn bits(input: &In, out: &mut Out) {
    let [cluster, l2, ..] = *input;
    [out[0], out[1], out[2], out[3]] = match u8::try_from(cluster).ok().and_then(ClusterBits::new) {
        Some(bits) => [
            OK,
            bits.get().into(),
            bits.cluster_size().into(),
            byte_count(bits.len()),
        ],
        None => [NONE, 0, 0, 0],
    };
    [out[4], out[5], out[6]] = match u8::try_from(l2).ok().and_then(L2Bits::new) {
        Some(bits) => [OK, bits.get().into(), bits.entries().into()],
        None => [NONE, 0, 0],
    };
}

/// A guest offset, which is also taken as a size. In: offset, cluster_bits, l2_bits.
#[unsafe(no_mangle)]
extern "C" fn guest_offset(input: &In, out: &mut Out) {
    let [at, cluster_bits, l2_bits, ..] = *input;
    let Some(geometry) = geometry(cluster_bits, l2_bits) else {
        out[0] = NONE;
        return;
    };
    let at = GuestOffset(at);
    *out = [
        OK,
        geometry.cluster_shift().into(),
        geometry.cluster_size(),
        geometry.l2_size(),
        geometry.span_shift().into(),
        geometry.span(),
        geometry.span_u32().into(),
        geometry.l1_index(at),
        geometry.span_start(at).0,
        geometry.span_end(at).0,
        geometry.within_cluster(at),
        geometry.cluster_start(at).0,
        geometry.cluster_end(at).0,
        geometry.l1_entries(at.0),
        0,
        0,
    ];
}

/// A block size. In: bytes.
#[unsafe(no_mangle)]
extern "C" fn block_size(input: &In, out: &mut Out) {
    match u32::try_from(input[0]).ok().and_then(BlockSize::new) {
        Some(size) => {
            [out[0], out[1], out[2], out[3]] = [OK, size.bytes().into(), size.shift().into(), byte_count(size.len())];
        }
        None => out[0] = NONE,
    }
}

/// Block arithmetic. In: block size in bytes, an offset or a number of bytes, a length.
#[unsafe(no_mangle)]
extern "C" fn blocks(input: &In, out: &mut Out) {
    let [bytes, at, len, ..] = *input;
    let Some(size) = u32::try_from(bytes).ok().and_then(BlockSize::new) else {
        out[0] = NONE;
        return;
    };
    let len = saturating_usize(len);
    [out[0], out[1], out[2], out[3], out[4], out[5], out[6]] = [
        OK,
        size.round_down(at),
        size.within(at),
        size.count(at),
        size.lba(at),
        byte_count(size.round_up_len(len)),
        byte_count(size.round_down_len(len)),
    ];
}

/// A device's shape. In: block size in bytes, device size, start, length.
#[unsafe(no_mangle)]
extern "C" fn device_shape(input: &In, out: &mut Out) {
    let [bytes, size, start, len, ..] = *input;
    let Some(block_size) = u32::try_from(bytes).ok().and_then(BlockSize::new) else {
        out[0] = NONE;
        return;
    };
    let shape = match DeviceShape::new::<Infallible>(size, block_size) {
        Ok(shape) => shape,
        Err(reason) => {
            [out[0], out[1], out[2]] = error(reason);
            return;
        }
    };
    let start = HostOffset(start);
    [out[0], out[1], out[2], out[3], out[4], out[5]] = [
        OK,
        shape.end.0,
        shape.salvage.into(),
        shape.contains(start, len).into(),
        shape.lba(start),
        byte_count(shape.readable_len(start, saturating_usize(len))),
    ];
}

/// Offsets. In: an offset, and an offset or a number of bytes.
#[unsafe(no_mangle)]
extern "C" fn offsets(input: &In, out: &mut Out) {
    let [a, b, ..] = *input;
    [out[0], out[1], out[2], out[3], out[4], out[5], out[6], out[7]] = [
        GuestOffset(a).plus(b).0,
        GuestOffset(a).since(GuestOffset(b)),
        HostOffset(a).plus(b).0,
        HostOffset(a).since(HostOffset(b)),
        byte_count(saturating_usize(a)),
        saturating_u32(a).into(),
        GuestOffset(a).wrapping_add(b).0,
        GuestOffset(a).wrapping_sub(GuestOffset(b)),
    ];
}

/// Returns a header as it lies in a file. Its other fields are zeros.
fn header(size: u64, cluster_bits: u8, l2_bits: u8, crypt_method: u8) -> Result<Header, Error<Infallible>> {
    let mut header = [0; 48];
    header[..8].copy_from_slice(b"QFI\xfb\0\0\0\x01");
    header[24..32].copy_from_slice(&size.to_be_bytes());
    header[32] = cluster_bits;
    header[33] = l2_bits;
    header[39] = crypt_method;
    Header::parse(&header)
}

/// The memory for an image. In: size, cluster_bits, l2_bits, block size in bytes, file size, crypt
/// method.
#[unsafe(no_mangle)]
extern "C" fn memory_for(input: &In, out: &mut Out) {
    let [size, cluster_bits, l2_bits, bytes, file_size, crypt_method, ..] = *input;
    let Some(block_size) = u32::try_from(bytes).ok().and_then(BlockSize::new) else {
        out[0] = NONE;
        return;
    };
    match header(size, cluster_bits as u8, l2_bits as u8, crypt_method as u8) {
        Ok(header) => {
            let needs = header.memory_for(block_size, file_size);
            [out[0], out[1], out[2], out[3], out[4]] = [
                OK,
                byte_count(needs.minimum),
                byte_count(needs.compressed),
                byte_count(needs.compressed_fast),
                byte_count(needs.all_tables),
            ];
        }
        Err(reason) => [out[0], out[1], out[2]] = error(reason),
    }
}

/// A control: reads a word outside its buffers. In: the word's address.
#[unsafe(no_mangle)]
extern "C" fn stray_read(input: &In, out: &mut Out) {
    // SAFETY: it is never run, because the proofs must refuse it.
    out[0] = unsafe { core::ptr::read_volatile(saturating_usize(input[0]) as *const u64) };
}
