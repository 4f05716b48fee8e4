//! Corrupt table words and truncated files are errors with offsets; salvage reads zeros past the
//! end of the file.

use crate::common::{ImageBuilder, TestDevice, pattern};
use qcow1::{CorruptKind, Error, Image, OpenOptions};

const SPAN: u64 = 2 << 20;

/// Reads one byte, without salvage.
fn read(file: &[u8], offset: u64) -> Result<u8, Error<core::convert::Infallible>> {
    let mut memory = vec![0; 65_536];
    let mut byte = [0xcc];
    Image::open(file, &mut memory).unwrap().read_at(offset, &mut byte)?;
    Ok(byte[0])
}

/// Reads a whole disk with salvage.
fn salvage(file: &[u8]) -> Vec<u8> {
    let mut memory = vec![0; 65_536];
    let options = OpenOptions::new().salvage(true);
    let mut image = Image::open_with(options, file, &mut memory).unwrap();
    let mut bytes = vec![0xcc; image.size() as usize];
    image.read_at(0, &mut bytes).unwrap();
    bytes
}

/// Asserts that reading the byte at `offset` is an error of this kind, with these guest and host
/// offsets.
fn corrupt(file: &[u8], offset: u64, kind: CorruptKind, guest: u64, host: u64) {
    match read(file, offset) {
        Err(Error::Corrupt(corrupt)) => {
            assert_eq!(corrupt.kind(), kind, "{corrupt}");
            assert_eq!(corrupt.guest_offset(), Some(guest), "{corrupt}");
            assert_eq!(corrupt.host_offset(), Some(host), "{corrupt}");
            let said = corrupt.to_string();
            assert!(said.contains(&format!("{guest:#x}")), "{said}");
            assert!(said.contains(&format!("{host:#x}")), "{said}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn bit_63_of_an_l1_word_is_corrupt() {
    let mut image = ImageBuilder::new(2 * SPAN);
    image.data(0, &pattern(1, 4096));
    image.l1_word(1, 1 << 63 | 0x2000);
    corrupt(&image.build(), SPAN + 5000, CorruptKind::L1Bit63Set, SPAN, 0x2000);
    assert_eq!(read(&image.build(), 0).unwrap(), pattern(1, 1)[0]);
}

#[test]
fn an_l2_table_past_the_end_is_corrupt_even_if_its_needed_word_is_in_the_file() {
    let mut image = ImageBuilder::new(SPAN);
    image.data(0, &pattern(1, 4096));
    let file = image.build();
    let host = file.len() as u64 - 4095;
    image.l1_word(0, host);
    corrupt(&image.build(), 0, CorruptKind::L2PastEnd, 0, host);
    image.l1_word(0, u64::MAX >> 1);
    corrupt(&image.build(), 0, CorruptKind::L2PastEnd, 0, u64::MAX >> 1);
}

#[test]
fn a_cluster_must_start_at_a_sector_but_not_at_a_multiple_of_its_size() {
    let mut image = ImageBuilder::new(SPAN);
    image.data_at(8192, 32_768 + 512, &pattern(2, 4096));
    assert_eq!(read(&image.build(), 8192).unwrap(), pattern(2, 1)[0]);
    for host in [32_769, 32_768 + 256, 1] {
        image.l2_word(8192, host);
        corrupt(&image.build(), 9000, CorruptKind::ClusterMisaligned, 8192, host);
    }
}

#[test]
fn a_cluster_is_corrupt_if_its_part_inside_the_disk_reaches_past_the_end_of_the_file() {
    // The disk ends 100 bytes into its last cluster, so the file needs no more of it.
    let size = 8192 + 100;
    let mut image = ImageBuilder::new(size);
    let bytes = pattern(4, size as usize);
    image.data(0, &bytes);
    let file = image.build();
    let last = file.len() - 4096;
    let mut memory = [0; 1024];
    let cut = &file[..last + 100];
    let mut whole = vec![0; size as usize];
    Image::open(cut, &mut memory).unwrap().read_at(0, &mut whole).unwrap();
    assert_eq!(whole, bytes);
    corrupt(&file[..last + 99], 8192, CorruptKind::ClusterPastEnd, 8192, last as u64);
    // The whole part inside the disk must be in the file, not only the bytes that are read.
    corrupt(&file[..last + 1], 8192, CorruptKind::ClusterPastEnd, 8192, last as u64);
}

#[test]
fn a_good_cluster_before_a_bad_one_is_read_and_the_bad_one_is_named() {
    let mut image = ImageBuilder::new(SPAN);
    image.data(0, &pattern(4, 8192));
    image.l2_word(8192, 1 << 40);
    let file = image.build();
    let mut memory = [0; 1024];
    let mut image = Image::open(&file[..], &mut memory).unwrap();
    let mut bytes = vec![0; 16_384];
    let Err(Error::Corrupt(corrupt)) = image.read_at(0, &mut bytes) else {
        panic!("read");
    };
    assert_eq!(corrupt.guest_offset(), Some(8192));
    image.read_at(0, &mut bytes[..8192]).unwrap();
    assert_eq!(bytes[..8192], pattern(4, 8192));
}

#[test]
fn salvage_reads_zeros_past_the_end_of_the_file() {
    let size = 3 * SPAN as usize - 7;
    let bytes = pattern(9, size);
    let mut image = ImageBuilder::new(size as u64);
    image.data(0, &bytes);
    let file = image.build();
    for cut in [
        64,
        100,
        4095,
        5000,
        9000,
        9001,
        100_000,
        SPAN as usize,
        file.len() - 100,
        file.len(),
    ] {
        let salvaged = salvage(&file[..cut]);
        let oracle = crate::common::Oracle::open(&file[..cut], crate::common::Rules { salvage: true });
        let right = crate::common::oracle::read(&[crate::common::Layer::Qcow(oracle.unwrap())], 0, size).unwrap();
        assert!(salvaged == right, "cut at {cut}");
        let lost = salvaged.iter().zip(&bytes).filter(|(a, b)| a != b).count();
        assert_eq!(lost == 0, cut == file.len(), "cut at {cut}, {lost} bytes lost");
    }
}

#[test]
fn salvage_opens_a_file_that_ends_before_its_l1() {
    let file = ImageBuilder::new(1 << 40).build();
    let mut memory = [0; 512];
    let cut = &file[..48];
    assert!(Image::open(cut, &mut memory).is_err());
    let mut image = Image::open_with(OpenOptions::new().salvage(true), cut, &mut memory).unwrap();
    let mut bytes = [0xcc; 100];
    image.read_at(1 << 39, &mut bytes).unwrap();
    assert_eq!(bytes, [0; 100]);
    // One extent for all of the L1 entries past the end of the file.
    assert_eq!(image.extents().count(), 1);
}

#[test]
fn salvage_does_not_accept_a_misaligned_cluster() {
    let mut image = ImageBuilder::new(SPAN);
    image.l2_word(0, 4097);
    let file = image.build();
    let mut memory = [0; 1024];
    let mut image = Image::open_with(OpenOptions::new().salvage(true), &file[..], &mut memory).unwrap();
    assert!(matches!(image.read_at(0, &mut [0]), Err(Error::Corrupt(_))));
}

#[test]
fn salvage_reads_truncated_encrypted_sectors_as_zeros() {
    let key = *b"0123456789abcdef";
    let mut image = ImageBuilder::new(8192).encrypted(key);
    let bytes = pattern(3, 8192);
    image.data(0, &bytes);
    let file = image.build();
    for block in [1, 512, 4096] {
        for kept in [0, 1, 511, 512, 513, 3000, 4096] {
            let cut = &file[..file.len() - 4096 + kept];
            let mut memory = [0; 4096];
            let device = crate::common::TestDevice::new(cut, block);
            let mut image = Image::open_with(OpenOptions::new().salvage(true), device, &mut memory).unwrap();
            image.set_key(&qcow1::Key::from_bytes(key));
            let mut read = vec![0xcc; 8192];
            image.read_at(0, &mut read).unwrap();
            let left = 4096 + kept / 512 * 512;
            assert_eq!(read[..left], bytes[..left]);
            assert!(read[left..].iter().all(|byte| *byte == 0));
        }
    }
}

#[test]
fn salvage_reads_a_stream_at_the_end_of_the_file_as_zeros_without_a_device_read() {
    let mut builder = ImageBuilder::new(8192);
    builder.compressed(0, &pattern(1, 4096)).l2_word(4096, 0);
    let end = builder.build().len() as u64;
    builder.l2_word(4096, 1 << 63 | 100 << (63 - 12) | end);
    let file = builder.build();
    assert_eq!(file.len() as u64, end);
    for block_size in [1, 512] {
        let device = TestDevice::new(&file, block_size);
        let log = device.log.clone();
        let mut memory = vec![0; 65_536];
        let mut image = Image::open_with(OpenOptions::new().salvage(true), device, &mut memory).unwrap();
        assert!(image.extents().all(|extent| extent.is_ok()));
        let before = log.requests();
        let mut bytes = [0xcc; 9];
        image.read_at(4096, &mut bytes).unwrap();
        assert_eq!(bytes, [0; 9]);
        assert_eq!(log.requests() - before, 0, "blocks of {block_size}");
        let mut bytes = [0xcc; 4096];
        image.read_at(0, &mut bytes).unwrap();
        assert_eq!(bytes[..], pattern(1, 4096));
    }
}
