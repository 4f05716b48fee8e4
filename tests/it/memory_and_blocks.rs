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
    for (block, minimum) in [(1, 512), (512, 512), (4096, 4096), (65_536, 65_536)] {
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
        &row("compressed clusters, two to five times as fast", |needs| {
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
    assert_eq!(blocks.minimum, bytes.minimum);
    assert_eq!(blocks.compressed, bytes.compressed + 512);
    assert_eq!(blocks.compressed_fast, bytes.compressed_fast + 512);
}
