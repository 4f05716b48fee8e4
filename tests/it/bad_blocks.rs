//! Devices with a block that can never be read: it loses the guest's sectors whose data or table
//! words lie in it, and no others.

use std::ops::Range;

use crate::common::futures::{Slow, finish};
use crate::common::{Broken, ImageBuilder, Random, pattern};
use qcow1::{BlockRead, BlockSize, Error, Image, aio};

const BLOCK: usize = 512;

/// A device in blocks of 512 bytes, of which one is bad.
struct Scratched<'a> {
    file: &'a [u8],
    bad: usize,
}

impl BlockRead for Scratched<'_> {
    type Error = Broken;

    fn block_size(&self) -> BlockSize {
        BlockSize::B512
    }

    fn size(&mut self) -> Result<u64, Broken> {
        Ok(self.file.len() as u64)
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Broken> {
        buf.fill(0xee);
        let first = lba as usize;
        if (first..first + buf.len() / BLOCK).contains(&self.bad) {
            return Err(Broken);
        }
        let stored = &self.file[first * BLOCK..];
        let len = stored.len().min(buf.len());
        buf[..len].copy_from_slice(&stored[..len]);
        Ok(())
    }
}

fn word(file: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(file[at..at + 8].try_into().unwrap())
}

/// Returns the parts of the file that the guest's sector at `offset` depends on, read from the file
/// by the format's rules.
fn parts(file: &[u8], offset: u64) -> Vec<Range<usize>> {
    let (cluster_bits, l2_bits) = (u32::from(file[32]), u32::from(file[33]));
    let l1 = word(file, 40) as usize + 8 * (offset >> (cluster_bits + l2_bits)) as usize;
    let mut parts = Vec::new();
    parts.push(l1..l1 + 8);
    let table = word(file, l1) as usize;
    if table != 0 {
        let l2 = table + 8 * ((offset >> cluster_bits) as usize % (1 << l2_bits));
        parts.push(l2..l2 + 8);
        let entry = word(file, l2);
        if entry >> 63 != 0 {
            let len = (entry << 1 >> (64 - cluster_bits)) as usize;
            let host = (entry & ((1 << (63 - cluster_bits)) - 1)) as usize;
            parts.push(host..host + len);
        } else if entry != 0 {
            let data = (entry + (offset & ((1 << cluster_bits) - 1))) as usize;
            parts.push(data..data + BLOCK);
        }
    }
    parts
}

/// Returns images with their guests' disks.
fn images() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let mut images = Vec::new();
    // As QEMU writes overlays: clusters of 512 bytes, tables of 32 KiB between them.
    let disk = pattern(1, 100 << 10);
    let mut builder = ImageBuilder::new(100 << 10).bits(9, 12);
    builder.data(0, &disk);
    images.push(("overlay", builder.build(), disk));
    // Words that lie across blocks.
    let disk = pattern(2, 60_416);
    let mut builder = ImageBuilder::new(60_416).bits(9, 6).l1_at(507).tables_off_by(5);
    builder.data(0, &disk);
    images.push(("misaligned", builder.build(), disk));
    // Streams that follow each other, so that they are read ahead.
    let mut random = Random(7);
    let disk: Vec<u8> = (0..40)
        .flat_map(|_| [random.bytes(400), vec![0; 1648]].concat())
        .collect();
    let mut builder = ImageBuilder::new(disk.len() as u64).bits(11, 6);
    for (number, cluster) in disk.chunks(2048).enumerate() {
        builder.compressed(number as u64 * 2048, cluster);
    }
    images.push(("compressed", builder.build(), disk));
    images
}

/// Returns whether one of the parts overlaps a block.
fn is_in(parts: &[Range<usize>], block: usize) -> bool {
    let block = block * BLOCK..(block + 1) * BLOCK;
    parts
        .iter()
        .any(|part| part.start < block.end && block.start < part.end)
}

/// Returns whether a part of the guest's sector at `offset` lies in a block.
fn depends(file: &[u8], offset: u64, block: usize) -> bool {
    is_in(&parts(file, offset), block)
}

/// Returns whether a table word for the guest's sector at `offset` lies in a block.
fn words_depend(file: &[u8], offset: u64, block: usize) -> bool {
    let parts = parts(file, offset);
    is_in(&parts[..parts.len().min(2)], block)
}

#[test]
fn a_bad_block_loses_the_extents_of_clusters_whose_words_lie_in_it_and_no_others() {
    for (name, file, disk) in images() {
        for bad in 1..file.len().div_ceil(BLOCK) {
            for memory in [512, 9000, 150_000] {
                let device = Scratched { file: &file, bad };
                let mut image = Image::open(device, vec![0; memory]).unwrap();
                let mut asynchronous =
                    finish(aio::Image::open(Slow(Scratched { file: &file, bad }), vec![0; memory])).unwrap();
                let mut offset = 0;
                while offset < disk.len() as u64 {
                    let found = image.extent_at(offset, u64::MAX);
                    assert_eq!(
                        finish(asynchronous.extent_at(offset, u64::MAX)),
                        found,
                        "{name}: {bad} at {offset}"
                    );
                    let is_lost = words_depend(&file, offset, bad);
                    assert_eq!(found.is_err(), is_lost, "{name}: {bad} at {offset}");
                    let end = found.map_or(offset + BLOCK as u64, |extent| extent.start + extent.len);
                    // No extent reaches over a word that cannot be read.
                    let mut sectors = (offset..end).step_by(BLOCK);
                    assert!(
                        sectors.all(|at| words_depend(&file, at, bad) == is_lost),
                        "{name}: {bad} at {offset}"
                    );
                    offset = end;
                }
            }
        }
    }
}

#[test]
fn a_bad_block_loses_the_sectors_whose_data_or_words_lie_in_it_and_no_others() {
    for (name, file, disk) in images() {
        // The header is in the first block.
        for bad in 1..file.len().div_ceil(BLOCK) {
            for memory in [512, 9000, 40_000, 150_000] {
                // Compressed clusters need more than the minimum.
                let inflates = memory > 5000;
                let mut image = Image::open(Scratched { file: &file, bad }, vec![0; memory]).unwrap();
                let mut lost = 0;
                for (number, right) in disk.chunks(BLOCK).enumerate() {
                    let offset = (number * BLOCK) as u64;
                    let mut bytes = [0xcc; BLOCK];
                    match image.read_at(offset, &mut bytes) {
                        Ok(()) => assert!(bytes == right, "{name}: {bad} at {offset}"),
                        Err(Error::Io(Broken)) => {
                            assert!(depends(&file, offset, bad), "{name}: {bad} at {offset}");
                            lost += 1;
                        }
                        Err(Error::MemoryTooSmall { .. }) if !inflates => lost += 1,
                        Err(error) => panic!("{name}: {bad} at {offset}: {error}"),
                    }
                }
                let expected = (0..disk.len() / BLOCK)
                    .filter(|number| depends(&file, (number * BLOCK) as u64, bad))
                    .count();
                assert!(!inflates || lost == expected, "{name}: {bad}, {lost}, not {expected}");
            }
        }
    }
}

#[test]
fn a_bad_block_beside_a_table_of_qemus_overlays_loses_one_sector() {
    // A data cluster right before a table that starts inside an aligned piece of 4 KiB.
    let disk = pattern(1, 100 << 10);
    let mut builder = ImageBuilder::new(100 << 10).bits(9, 12);
    builder.table_at(0, 0x600).data_at(0, 0x400, &disk[..BLOCK]);
    builder.data(512, &disk[BLOCK..]);
    let file = builder.build();
    let bad = 0x400 / BLOCK;
    for memory in [512, 16_384, 65_536, 1 << 20] {
        let mut image = Image::open(Scratched { file: &file, bad }, vec![0; memory]).unwrap();
        let mut asynchronous = finish(aio::Image::open(Slow(Scratched { file: &file, bad }), vec![0; memory])).unwrap();
        let mut lost = 0;
        for number in 0..disk.len() / BLOCK {
            let offset = (number * BLOCK) as u64;
            let read = image.read_at(offset, &mut [0; BLOCK]);
            lost += u32::from(read.is_err());
            assert_eq!(read.is_err(), depends(&file, offset, bad), "{memory} {offset}");
            let read = finish(asynchronous.read_at(offset, &mut [0; BLOCK]));
            assert_eq!(read.is_err(), depends(&file, offset, bad), "{memory} {offset}");
            // Extents depend on words alone.
            let in_words = words_depend(&file, offset, bad);
            assert_eq!(image.extent_at(offset, 1).is_err(), in_words, "{memory} {offset}");
        }
        assert_eq!(lost, 1, "{memory}");
    }
}
