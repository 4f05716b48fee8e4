//! `read_sectors`, and the memory that `memory_needed` returns.

use crate::common::futures::{Slow, finish};
use crate::common::{FilledDisk, ImageBuilder, TestDevice, pattern};
use qcow1::{BlockSize, Blocks, Error, GuestRead, Header, Image, OpenOptions, aio};

#[test]
fn sectors_are_read_and_the_rest_of_the_last_one_is_zeros() {
    let disk = pattern(5, 5000);
    let file = ImageBuilder::new(5000).data(0, &disk).build();
    let mut right = disk;
    right.resize(5120, 0);
    let mut image = Image::open(&file[..], [0; 4096]).unwrap();
    for first in 0..=10 {
        for len in [0, 1, 511, 512, 513, 1024, 5120] {
            let end = first * 512 + len;
            let mut bytes = vec![0xcc; len];
            let read = image.read_sectors(first as u64, &mut bytes);
            if end <= 5120 {
                assert_eq!(read, Ok(()), "{first} {len}");
                assert!(bytes == right[first * 512..end], "{first} {len}");
            } else {
                assert_eq!(read, Err(Error::OutOfRange), "{first} {len}");
            }
        }
    }
}

#[test]
fn sectors_whose_offset_does_not_fit_in_64_bits_are_out_of_range() {
    for size in [0, 1, 512, 700, u64::MAX - 511, u64::MAX] {
        for first in [u64::MAX, 1 << 55, (1 << 55) + 1, (1 << 55) - 1] {
            let inside = first < size.div_ceil(512);
            let mut bytes = [0xcc; 512];
            let read = FilledDisk(size).read_sectors(first, &mut bytes);
            assert_eq!(read.is_ok(), inside, "{size} {first}");
        }
    }
    let mut last = [0xcc; 512];
    FilledDisk(u64::MAX).read_sectors((1 << 55) - 1, &mut last).unwrap();
    assert_eq!(last[..511], [7; 511]);
    assert_eq!(last[511], 0);
}

#[test]
fn sectors_of_an_asynchronous_disk_read_the_same() {
    let disk = pattern(5, 5000);
    let file = ImageBuilder::new(5000).data(0, &disk).build();
    let mut image = finish(aio::Image::open(Slow(&file[..]), [0; 4096])).unwrap();
    let mut bytes = [0xcc; 1024];
    finish(aio::GuestRead::read_sectors(&mut image, 8, &mut bytes)).unwrap();
    assert!(bytes[..904] == disk[4096..] && bytes[904..] == [0; 120]);
    let past = finish(aio::GuestRead::read_sectors(&mut image, 9, &mut bytes));
    assert_eq!(past, Err(Error::OutOfRange));
}

#[test]
fn sectors_of_a_borrowed_or_boxed_disk_read_the_same() {
    fn last<G: GuestRead<Error: std::fmt::Debug>>(mut disk: G) -> [u8; 512] {
        let mut bytes = [0xcc; 512];
        disk.read_sectors(9, &mut bytes).unwrap();
        bytes
    }
    async fn last_of_async<G: aio::GuestRead<Error: std::fmt::Debug>>(mut disk: G) -> [u8; 512] {
        let mut bytes = [0xcc; 512];
        disk.read_sectors(9, &mut bytes).await.unwrap();
        bytes
    }
    let disk = pattern(5, 5000);
    let file = ImageBuilder::new(5000).data(0, &disk).build();
    let mut right = disk[9 * 512..].to_vec();
    right.resize(512, 0);
    let mut image = Image::open(&file[..], [0; 4096]).unwrap();
    assert_eq!(last(&mut image)[..], right);
    assert_eq!(last(Box::new(image))[..], right);
    let mut image = finish(aio::Image::open(Slow(&file[..]), [0; 4096])).unwrap();
    assert_eq!(finish(last_of_async(&mut image))[..], right);
    assert_eq!(finish(last_of_async(Box::new(image)))[..], right);
}

#[test]
fn the_memory_needed_reads_every_cluster_and_is_no_more_than_was_asked_for() {
    let mut builder = ImageBuilder::new(1 << 20).bits(16, 6);
    let cluster = pattern(9, 65_536);
    builder.compressed(0, &cluster).data(65_536, &cluster);
    let file = builder.build();
    let header = Header::parse(&file).unwrap();
    for block in [1, 512, 4096, 65_536] {
        let block_size = BlockSize::new(block).unwrap();
        for cache in [0, 1000, 1 << 20, usize::MAX] {
            let mut device = TestDevice::new(&file, block);
            let needed = OpenOptions::new().memory_needed(&mut device, cache).unwrap();
            assert_eq!(device.log.requests(), u64::from(block <= 512));
            let needs = header.memory_for(block_size, file.len() as u64);
            assert!(needed >= needs.compressed_fast, "{block} {cache}");
            if block <= 512 {
                assert_eq!(
                    needed,
                    needs.all_tables.min(needs.compressed_fast.saturating_add(cache))
                );
            }
            let mut slow = Slow(&mut device);
            let asynchronous = finish(OpenOptions::new().memory_needed_async(&mut slow, cache));
            assert_eq!(asynchronous, Ok(needed));
            let mut image = Image::open(device, vec![0; needed]).unwrap();
            let mut bytes = vec![0; 2 << 16];
            image.read_at(0, &mut bytes).unwrap();
            assert!(bytes == cluster.repeat(2), "{block} {cache}");
        }
    }
}

#[test]
fn the_memory_needed_of_a_raw_disk_opens_it_and_of_no_image_is_an_error() {
    let options = OpenOptions::new().or_raw(true);
    for (block, least) in [(1, 64), (512, 512)] {
        let mut device = Blocks::new(&[7_u8; 5000][..], BlockSize::new(block).unwrap());
        let needed = options.memory_needed(&mut device, 1 << 20).unwrap();
        assert_eq!(needed, least);
        assert_eq!(Image::open_with(options, device, vec![0; needed]).unwrap().size(), 5000);
        let refused = OpenOptions::new().memory_needed(&mut device, 0);
        assert_eq!(refused, Err(Error::NotQcow));
    }
    assert_eq!(OpenOptions::new().memory_needed(&mut &[][..], 0), Err(Error::Empty));
    let file = ImageBuilder::new(5000).build();
    let truncated = OpenOptions::new().memory_needed(&mut &file[..40], 0).unwrap_err();
    assert!(truncated.to_string().contains("ends after 40 bytes"), "{truncated}");
}

#[test]
fn the_tables_of_a_small_file_need_little_memory_however_large_its_disk_is() {
    let file = ImageBuilder::new(16 << 40).bits(16, 13).build();
    let file_size = file.len() as u64 + (4 << 20);
    let needs = Header::parse(&file).unwrap().memory_for(BlockSize::B512, file_size);
    assert!(needs.all_tables < 8 << 20, "{}", needs.all_tables);
}
