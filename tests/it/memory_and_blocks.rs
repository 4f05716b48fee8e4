//! The bytes read do not depend on the device's block size, nor on the size or alignment of the
//! memory lent.

use crate::common::{ImageBuilder, TestDevice, image_of_every_kind, pattern};
use qcow1::{BlockSize, Error, Header, Image, Memory};

fn read_whole(
    image: &mut Image<TestDevice<'_>, impl Memory>,
    step: usize,
) -> Result<Vec<u8>, Error<crate::common::Broken>> {
    let mut bytes = vec![0xcc; image.size() as usize];
    for (i, part) in bytes.chunks_mut(step).enumerate() {
        image.read_at((i * step) as u64, part)?;
    }
    Ok(bytes)
}

#[test]
fn every_block_size_with_any_memory_reads_the_same_bytes() {
    let (file, guest) = image_of_every_kind();
    for shift in 0..=16 {
        let block = 1 << shift;
        let header = Header::parse(&file).unwrap();
        let needs = header.memory_for(BlockSize::new(block).unwrap(), file.len() as u64);
        for extra in [0, 1, 63, 511, 512, 600, 1024, 4096, 16_384, 70_000] {
            for skip in [0, 1] {
                let mut memory = vec![0xdd; skip + needs.compressed + extra];
                let mut image = Image::open(TestDevice::new(&file, block), &mut memory[skip..]).unwrap();
                for step in [guest.len(), 4096, 1000] {
                    let bytes = read_whole(&mut image, step).unwrap();
                    assert!(
                        bytes == guest,
                        "blocks of {block}, {extra} bytes extra, {step} at a time"
                    );
                }
            }
        }
    }
}

#[test]
fn a_block_of_memory_reads_every_cluster_that_is_not_compressed() {
    let (file, guest) = image_of_every_kind();
    for shift in 0..=16 {
        let block: u32 = 1 << shift;
        let minimum = 512.max(block as usize);
        for extra in [0, 1, 511, 512, 513] {
            let mut memory = vec![0xdd; minimum + extra];
            let mut image = Image::open(TestDevice::new(&file, block), &mut memory).unwrap();
            for (start, end) in [(0, 60 * 1024), (63 * 1024, 70 * 1024), (71 * 1024, guest.len())] {
                for step in [end, 777] {
                    for at in (start..end).step_by(step) {
                        let mut bytes = vec![0xcc; step.min(end - at)];
                        image.read_at(at as u64, &mut bytes).unwrap();
                        assert!(bytes == guest[at..at + bytes.len()], "blocks of {block}, at {at}");
                    }
                }
            }
        }
    }
}

#[test]
fn too_little_memory_to_open_is_refused_with_the_bytes_required() {
    let (file, _) = image_of_every_kind();
    for (block, minimum) in [(1, 64), (512, 512), (4096, 4096), (65_536, 65_536)] {
        let mut memory = vec![0; minimum - 1];
        let refused = Image::open(TestDevice::new(&file, block), &mut memory).unwrap_err();
        assert_eq!(refused.into_error(), Error::MemoryTooSmall { needed: minimum });
    }
}

#[test]
fn too_little_memory_for_compressed_clusters_is_an_error_and_the_others_read() {
    let (file, guest) = image_of_every_kind();
    let needs = Header::parse(&file).unwrap().memory_for(BlockSize::B512, u64::MAX);
    for skip in [0, 1] {
        let mut memory = vec![0; skip + needs.compressed];
        // One byte less than `memory_for` returns.
        let mut image = Image::open(TestDevice::new(&file, 512), &mut memory[skip + 1..]).unwrap();
        let mut byte = [0];
        let refused = image.read_at(60 * 1024, &mut byte).unwrap_err();
        assert_eq!(
            refused,
            Error::MemoryTooSmall {
                needed: needs.compressed
            }
        );
        image.read_at(20 << 10, &mut byte).unwrap();
        assert_eq!(byte[0], guest[20 << 10]);

        let mut image = Image::open(TestDevice::new(&file, 512), &mut memory[skip..]).unwrap();
        image.read_at(60 * 1024, &mut byte).unwrap();
        assert_eq!(byte[0], guest[60 * 1024]);
    }
}

#[test]
fn in_64_bytes_a_byte_addressable_device_reads_each_table_word_by_8_bytes() {
    const SIZE: u64 = 256 * 1024;
    const CLUSTERS: u64 = 8;
    // A word that is not at a multiple of 8 lies in two pieces, the first of which holds the end of the word before it.
    for (skew, l2_reads) in [(0, CLUSTERS), (4, CLUSTERS + 1)] {
        let mut builder = ImageBuilder::new(SIZE).bits(12, 6).tables_off_by(skew);
        // Every second cluster is written, so that no two words are equal.
        for i in (0..CLUSTERS).step_by(2) {
            builder.data(i * 4096, &pattern(i as u8, 4096));
        }
        let file = builder.build();
        let device = TestDevice::new(&file, 1);
        let log = device.log.clone();
        let mut memory = [0xdd; 64];
        let mut image = Image::open(device, &mut memory).unwrap();
        assert_eq!((log.requests(), log.bytes()), (1, 64), "opening reads the header");
        let mut bytes = vec![0xcc; (CLUSTERS * 4096) as usize];
        image.read_at(0, &mut bytes).unwrap();
        for i in 0..CLUSTERS {
            let expected = if i % 2 == 0 {
                pattern(i as u8, 4096)
            } else {
                vec![0; 4096]
            };
            let start = (i * 4096) as usize;
            assert!(bytes[start..start + 4096] == expected, "cluster {i}");
        }
        let words = 1 + l2_reads;
        let data = CLUSTERS / 2;
        assert_eq!(log.requests(), 1 + words + data, "tables off by {skew}");
        assert_eq!(log.bytes(), 64 + words * 8 + data * 4096, "tables off by {skew}");
    }
}

#[test]
fn in_64_bytes_whole_encrypted_sectors_read_and_a_part_of_one_needs_512() {
    let key = *b"0123456789abcdef";
    let mut builder = ImageBuilder::new(64 * 1024).encrypted(key);
    builder.data(4096, &pattern(1, 4096));
    let file = builder.build();
    let header = Header::parse(&file).unwrap();
    assert_eq!(header.memory_for(BlockSize::BYTE, file.len() as u64).minimum, 512);
    let mut memory = [0xdd; 511];
    let mut image = Image::open(TestDevice::new(&file, 1), &mut memory[..64]).unwrap();
    image.set_key(&qcow1::Key::from_bytes(key));
    let mut sectors = [0xcc; 1024];
    image.read_at(4096 + 512, &mut sectors).unwrap();
    assert!(sectors[..] == pattern(1, 4096)[512..1536]);
    let refused = image.read_at(4096, &mut sectors[..100]);
    assert_eq!(refused, Err(Error::MemoryTooSmall { needed: 512 }));
    image.read_at(4096, &mut sectors).unwrap();
    assert!(sectors[..] == pattern(1, 4096)[..1024]);
}

#[test]
fn less_memory_than_a_sector_reads_every_plain_cluster_of_a_byte_addressable_device() {
    let (file, guest) = image_of_every_kind();
    for memory in [64, 65, 100, 511] {
        let mut memory = vec![0xdd; memory];
        let mut image = Image::open(TestDevice::new(&file, 1), &mut memory).unwrap();
        for (start, end) in [(0, 60 * 1024), (63 * 1024, 70 * 1024), (71 * 1024, guest.len())] {
            for step in [end, 777] {
                for at in (start..end).step_by(step) {
                    let mut bytes = vec![0xcc; step.min(end - at)];
                    image.read_at(at as u64, &mut bytes).unwrap();
                    assert!(bytes == guest[at..at + bytes.len()], "at {at}");
                }
            }
        }
    }
}

#[test]
fn a_raw_disk_needs_one_block_or_nothing() {
    let bytes = pattern(1, 5000);
    let mut read = vec![0; 5000];
    Image::open_raw(bytes.as_slice(), &mut [])
        .unwrap()
        .read_at(0, &mut read)
        .unwrap();
    assert!(read == bytes);
    for block in [2, 512, 4096] {
        let mut memory = vec![0; block];
        let mut image = Image::open_raw(TestDevice::new(&bytes, block as u32), &mut memory).unwrap();
        for step in [5000, 333] {
            for (i, part) in read.chunks_mut(step).enumerate() {
                image.read_at((i * step) as u64, part).unwrap();
            }
            assert!(read == bytes);
        }
        let refused = Image::open_raw(TestDevice::new(&bytes, block as u32), &mut memory[1..]).unwrap_err();
        assert_eq!(refused.into_error(), Error::MemoryTooSmall { needed: block });
    }
}

/// Returns the README's table of memory to lend, computed anew.
fn table() -> String {
    let needs: Vec<_> = [9, 12, 14, 16]
        .map(|cluster_bits| {
            let file = ImageBuilder::new(1 << 20).bits(cluster_bits, 9).build();
            Header::parse(&file).unwrap().memory_for(BlockSize::BYTE, u64::MAX)
        })
        .to_vec();
    let row = |what: &str, of: fn(&qcow1::MemoryNeeds) -> usize| {
        let figures: String = needs.iter().map(|needs| format!(" {} |", of(needs))).collect();
        format!("| {what} |{figures}\n")
    };
    [
        "| bytes of memory, by cluster size | 512 B | 4 KiB | 16 KiB | 64 KiB |\n|---|---:|---:|---:|---:|\n",
        &row("uncompressed clusters", |needs| needs.minimum),
        &row("compressed clusters too", |needs| needs.compressed),
        &row("the same, decoded two to five times as fast", |needs| {
            needs.compressed_fast
        }),
    ]
    .concat()
}

#[test]
fn the_readme_says_how_much_memory_each_cluster_size_needs() {
    let table = table();
    assert!(
        include_str!("../../README.md").contains(&table),
        "the README's table should be:\n{table}"
    );
}

#[test]
fn an_image_of_qemu_img_reads_compressed_clusters_in_less_than_12_kib() {
    let bytes = pattern(3, 4096);
    let mut builder = ImageBuilder::new(1 << 20);
    builder.compressed(4096, &bytes);
    let file = builder.build();
    let mut memory = vec![0xdd; 12 << 10];
    for block in [1, 512] {
        let mut image = Image::open(TestDevice::new(&file, block), &mut memory).unwrap();
        let mut read = vec![0xcc; 4000];
        image.read_at(4096 + 96, &mut read).unwrap();
        assert!(read == bytes[96..], "blocks of {block}");
    }
}

#[test]
fn blocks_of_512_bytes_take_512_bytes_more_for_compressed_clusters() {
    let file = ImageBuilder::new(1 << 20).build();
    let header = Header::parse(&file).unwrap();
    let (bytes, blocks) = (
        header.memory_for(BlockSize::BYTE, u64::MAX),
        header.memory_for(BlockSize::B512, u64::MAX),
    );
    assert_eq!((blocks.minimum, bytes.minimum), (512, 64));
    assert_eq!(blocks.compressed, bytes.compressed + 512);
    assert_eq!(blocks.compressed_fast, bytes.compressed_fast + 512);
}
