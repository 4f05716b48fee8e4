//! Each rule of the header, field by field, and the error if a file breaks it.

use crate::common::ImageBuilder;
use qcow1::{ClusterBits, CorruptKind, CorruptPart, Error, Header, Image, L2Bits, Probe, Unsupported, probe};

/// Returns a valid image with other bytes at `at`.
fn change(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = ImageBuilder::new(8 << 20).build();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

/// Returns the error of opening a file.
fn refusal(file: &[u8]) -> Error<core::convert::Infallible> {
    Image::open(file, &mut [0; 512]).unwrap_err().into_error()
}

/// Asserts that opening a file reports corruption of this kind, which concerns the whole disk.
/// Returns its sentence.
fn corrupt(file: &[u8], kind: CorruptKind) -> String {
    match refusal(file) {
        Error::Corrupt(corrupt) => {
            assert_eq!(corrupt.kind(), kind, "{corrupt}");
            assert_eq!(corrupt.guest_offset(), None, "{corrupt}");
            corrupt.to_string()
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_file_without_the_magic_number_is_not_qcow() {
    for file in [&b"Q"[..], b"QFI", b"QFI\xfa\0\0\0\x01", &[0; 4096]] {
        assert_eq!(refusal(file), Error::NotQcow);
        assert_eq!(probe(file), Probe::NotQcow);
    }
}

#[test]
fn a_file_of_no_bytes_is_empty() {
    assert_eq!(refusal(b""), Error::Empty);
    assert_eq!(probe(b""), Probe::NotQcow);
    assert_eq!(Header::parse(b"").unwrap_err(), Error::Empty);
}

#[test]
fn other_versions_are_refused_by_their_number() {
    for version in [0, 2, 3, 0x0100_0000] {
        let file = change(4, &u32::to_be_bytes(version));
        assert_eq!(refusal(&file), Error::Unsupported(Unsupported::Version(version)));
        assert_eq!(probe(&file), Probe::OtherVersion(version));
    }
    assert_eq!(probe(b"QFI\xfb\0\0\0\x01"), Probe::Qcow1);
}

#[test]
fn a_file_that_ends_inside_the_header_is_corrupt() {
    let file = ImageBuilder::new(8 << 20).build();
    for len in 8..48 {
        let sentence = corrupt(&file[..len], CorruptKind::HeaderTruncated);
        assert_eq!(
            sentence,
            format!("corrupt image: the file ends after {len} bytes, inside its header")
        );
        assert!(Header::parse(&file[..len]).is_err());
    }
}

#[test]
fn the_size_is_at_least_2_and_leaves_room_for_a_span() {
    for size in [0, 1] {
        let sentence = corrupt(&change(24, &u64::to_be_bytes(size)), CorruptKind::SizeTooSmall);
        assert_eq!(
            sentence,
            format!("corrupt image: the disk's size is {size} bytes; the minimum is 2")
        );
    }
    let span = 2 << 20;
    for size in [u64::MAX, u64::MAX - span + 1] {
        corrupt(&change(24, &size.to_be_bytes()), CorruptKind::SizeTooLarge);
    }
    // The largest valid size. Only its L1 does not fit the file.
    let largest = change(24, &(u64::MAX - span).to_be_bytes());
    assert_eq!(Header::parse(&largest).unwrap().l1_entries(), (1 << 43) - 1);
    corrupt(&largest, CorruptKind::L1PastEnd);
    assert!(Image::open(&ImageBuilder::new(2).build()[..], &mut [0; 512]).is_ok());
}

#[test]
fn the_size_is_exact_to_the_byte() {
    for size in [2, 3, 511, 513, 5000, (2 << 20) + 1] {
        let file = ImageBuilder::new(size).build();
        let mut memory = [0; 512];
        let mut image = Image::open(&file[..], &mut memory).unwrap();
        assert_eq!(image.size(), size);
        let mut byte = [0xcc];
        image.read_at(size - 1, &mut byte).unwrap();
        assert_eq!(byte, [0]);
        assert_eq!(image.read_at(size, &mut byte).unwrap_err(), Error::OutOfRange);
        assert_eq!(image.read_at(u64::MAX, &mut byte).unwrap_err(), Error::OutOfRange);
        image.read_at(size, &mut []).unwrap();
    }
}

#[test]
fn cluster_bits_are_9_to_16_and_l2_bits_6_to_13() {
    for bits in 0..=u8::MAX {
        if !(9..=16).contains(&bits) {
            let sentence = corrupt(&change(32, &[bits]), CorruptKind::ClusterBits);
            assert_eq!(sentence, format!("corrupt image: cluster_bits is {bits}, not 9 to 16"));
        }
        if !(6..=13).contains(&bits) {
            let sentence = corrupt(&change(33, &[bits]), CorruptKind::L2Bits);
            assert_eq!(sentence, format!("corrupt image: l2_bits is {bits}, not 6 to 13"));
        }
    }
    for cluster_bits in 9..=16 {
        for l2_bits in 6..=13 {
            let file = ImageBuilder::new(1 << 30).bits(cluster_bits, l2_bits).build();
            let mut memory = [0; 512];
            let image = Image::open(&file[..], &mut memory).unwrap();
            let header = image.header().unwrap();
            assert_eq!(header.cluster_bits(), ClusterBits::new(cluster_bits).unwrap());
            assert_eq!(header.cluster_bits().cluster_size(), 1 << cluster_bits);
            assert_eq!(header.l2_bits(), L2Bits::new(l2_bits).unwrap());
            assert_eq!(header.l2_bits().entries(), 1 << l2_bits);
            assert_eq!(header.l1_entries(), (1_u64 << 30 >> cluster_bits >> l2_bits).max(1));
        }
    }
}

#[test]
fn the_l1_is_where_the_header_says_and_xens_extension_is_not_invented() {
    for offset in [48, 49, 4096] {
        let file = ImageBuilder::new(8 << 20).l1_at(offset).build();
        let mut memory = [0; 512];
        let image = Image::open(&file[..], &mut memory).unwrap();
        let header = image.header().unwrap();
        assert_eq!(header.l1_offset(), offset);
        assert!(!header.is_xen() && !header.l1_is_little_endian());
    }
}

#[test]
fn a_wrong_value_has_no_host_offset_and_a_wrong_offset_has_one() {
    let host_offset = |at, bytes: &[u8]| match refusal(&change(at, bytes)) {
        Error::Corrupt(corrupt) => corrupt.host_offset(),
        other => panic!("{other}"),
    };
    for (at, bytes) in [(24, &[0; 8][..]), (24, &[0xff; 8]), (32, &[8]), (33, &[14])] {
        assert_eq!(host_offset(at, bytes), None);
    }
    assert_eq!(host_offset(40, &(1_u64 << 40).to_be_bytes()), Some(1 << 40));
}

#[test]
fn cluster_and_l2_bits_that_sum_to_32_are_refused() {
    // A shift by 32 can make a divisor zero.
    corrupt(&change(32, &[16, 16]), CorruptKind::L2Bits);
}

#[test]
fn any_padding_and_any_mtime_are_accepted() {
    let mut file = change(34, &[0xff, 0xff]);
    file[20..24].copy_from_slice(&0xdead_beef_u32.to_be_bytes());
    let mut memory = [0; 512];
    let image = Image::open(&file[..], &mut memory).unwrap();
    assert_eq!(image.header().unwrap().mtime(), 0xdead_beef);
}

#[test]
fn unknown_encryption_is_refused_by_its_number() {
    for method in [2, 0x0100_0000, u32::MAX] {
        let file = change(36, &method.to_be_bytes());
        assert_eq!(refusal(&file), Error::Unsupported(Unsupported::CryptMethod(method)));
    }
    let aes = Header::parse(&change(36, &1_u32.to_be_bytes())).unwrap();
    assert!(aes.is_encrypted());
}

#[test]
fn a_backing_name_has_at_most_1023_bytes_inside_the_file() {
    let named = |offset: u64, len: u32| {
        let mut file = change(8, &offset.to_be_bytes());
        file[16..20].copy_from_slice(&len.to_be_bytes());
        file.resize(4096, b'n');
        file
    };
    corrupt(&named(100, 1024), CorruptKind::BackingNameTooLong);
    corrupt(&named(100, u32::MAX), CorruptKind::BackingNameTooLong);
    corrupt(&named(4096 - 9, 10), CorruptKind::BackingNamePastEnd);
    corrupt(&named(u64::MAX, 10), CorruptKind::BackingNamePastEnd);
    for kind in [CorruptKind::BackingNameTooLong, CorruptKind::BackingNamePastEnd] {
        assert_eq!(kind.part(), CorruptPart::BackingName);
    }
    let mut memory = [0; 512];
    let mut name = [0; 1023];
    let file = named(4096 - 10, 10);
    let mut image = Image::open(&file[..], &mut memory).unwrap();
    assert_eq!(image.backing_name(&mut name).unwrap(), Some(b"nnnnnnnnnn".as_slice()));
    assert_eq!(
        image.backing_name(&mut name[..9]).unwrap_err(),
        Error::MemoryTooSmall { needed: 10 }
    );
    let file = named(1000, 1023);
    let mut image = Image::open(&file[..], &mut memory).unwrap();
    assert_eq!(image.backing_name(&mut name).unwrap(), Some([b'n'; 1023].as_slice()));
}

#[test]
fn without_an_offset_or_a_length_there_is_no_backing_file() {
    for (offset, len) in [(0_u64, 5_u32), (0, u32::MAX), (100, 0), (u64::MAX, 0)] {
        let mut file = change(8, &offset.to_be_bytes());
        file[16..20].copy_from_slice(&len.to_be_bytes());
        let mut memory = [0; 512];
        let mut image = Image::open(&file[..], &mut memory).unwrap();
        assert!(!image.header().unwrap().has_backing());
        assert_eq!(image.backing_name(&mut []).unwrap(), None);
        let mut bytes = [0xcc; 10];
        image.read_at(0, &mut bytes).unwrap();
        assert_eq!(bytes, [0; 10]);
    }
}

#[test]
fn the_l1_lies_inside_the_file() {
    let file = ImageBuilder::new(8 << 20).l1_at(1001).build();
    assert_eq!(file.len(), 1001 + 4 * 8);
    assert!(Image::open(&file[..], &mut [0; 512]).is_ok());
    corrupt(&file[..file.len() - 1], CorruptKind::L1PastEnd);
    corrupt(&change(40, &u64::MAX.to_be_bytes()), CorruptKind::L1PastEnd);
    corrupt(&change(40, &(u64::MAX - 31).to_be_bytes()), CorruptKind::L1PastEnd);
}

#[test]
fn a_560_byte_file_is_a_64_mib_disk() {
    let mut file = ImageBuilder::new(64 << 20).build();
    assert!(file.len() < 560);
    file.resize(560, 0);
    let mut memory = [0; 512];
    let mut image = Image::open(&file[..], &mut memory).unwrap();
    let mut bytes = [0xcc; 512];
    image.read_at((64 << 20) - 512, &mut bytes).unwrap();
    assert_eq!(bytes, [0; 512]);
}
