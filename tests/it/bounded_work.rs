//! No image makes a call cost more device reads than the documentation of the call states.

use crate::common::bounds::{self, Shape};
use crate::common::{ImageBuilder, Log, TestDevice, pattern};
use qcow1::{Chain, CheckOptions, Extent, Image, OpenOptions};

const TIB: u64 = 1 << 40;

struct Hostile {
    what: &'static str,
    file: Vec<u8>,
    salvage: bool,
    cluster_bits: u32,
    l2_bits: u32,
}

impl Hostile {
    /// Returns the shape of the image, whose guest's disk has `size` bytes.
    fn shape(&self, size: u64) -> Shape {
        Shape {
            size,
            bits: Some((self.cluster_bits, self.cluster_bits + self.l2_bits)),
        }
    }
}

fn hostile() -> Vec<Hostile> {
    let new = |what, file: &[u8], salvage, cluster_bits, l2_bits| Hostile {
        what,
        file: file.to_vec(),
        salvage,
        cluster_bits,
        l2_bits,
    };
    let mut all = Vec::new();

    // 2,048 L1 words all point to one table. Two of three words of it point to one cluster, the
    // third is a hole.
    let mut one_table = ImageBuilder::new(2048 << 15).bits(9, 6);
    one_table.table_at(0, 32 << 10).data_at(0, 40 << 10, &pattern(1, 512));
    for cluster in 0..64 {
        one_table.l2_word(cluster * 512, if cluster % 3 == 0 { 0 } else { 40 << 10 });
    }
    let mut file = one_table.build();
    let table = (32_u64 << 10).to_be_bytes();
    (0..2048).for_each(|index| file[48 + index * 8..][..8].copy_from_slice(&table));
    all.push(new("one table", &file, false, 9, 6));

    // The same with odd offsets of the L1 and of the table, so that words cross block borders.
    let mut odd = ImageBuilder::new(64 << 15).bits(9, 6).l1_at(509);
    odd.table_at(0, 4093);
    for cluster in 0..64 {
        odd.l2_word(cluster * 512, 8192 + cluster % 2 * 512);
    }
    let mut file = odd.build();
    file.resize(16_384, 7);
    (0..64).for_each(|index| file[509 + index * 8..][..8].copy_from_slice(&4093_u64.to_be_bytes()));
    all.push(new("words across blocks", &file, false, 9, 6));

    // The L1 overlaps the header.
    let mut file = ImageBuilder::new(1 << 20).bits(9, 6).l1_at(0).build();
    file.resize(4096, 0);
    all.push(new("overlapping everything", &file, false, 9, 6));
    for word in file[48..].chunks_mut(8) {
        word.copy_from_slice(&512_u64.to_be_bytes());
    }
    file[40..48].copy_from_slice(&48_u64.to_be_bytes());
    all.push(new("each word leads to the words", &file, true, 9, 6));

    // The largest tables and clusters.
    let mut large = ImageBuilder::new(3 << 29).bits(16, 13);
    large.table_at(0, 65_536).l2_word(0, 131_072).l2_word(65_536, 512);
    large.stream_at(131_072, 140_000, &[0xff; 60_000], 60_000);
    let mut file = large.build();
    file.resize(262_144, 7);
    all.push(new("maximal geometry", &file, true, 16, 13));

    // Only a header.
    let mut file = ImageBuilder::new(2).bits(9, 6).build();
    file.truncate(48);
    file[24..32].copy_from_slice(&(1_u64 << 63).to_be_bytes());
    all.push(new("48 bytes that claim 2^63", &file, true, 9, 6));
    file[40..48].copy_from_slice(&(u64::MAX - 7).to_be_bytes());
    all.push(new("an L1 at the end of all offsets", &file, true, 9, 6));
    all
}

fn open<'m>(hostile: &'m Hostile, memory: &'m mut [u8], block: u32) -> (Image<TestDevice<'m>, &'m mut [u8]>, Log) {
    let device = TestDevice::new(&hostile.file, block);
    let log = device.log.clone();
    let image = Image::open_with(OpenOptions::new().salvage(hostile.salvage), device, memory);
    assert_eq!(log.requests(), bounds::OPEN, "{}", hostile.what);
    (image.unwrap(), log)
}

const LENT: [(u32, usize); 4] = [(1, 512), (512, 512), (512, 30_000), (4096, 400_000)];

#[test]
fn a_read_costs_at_most_5_reads_for_each_cluster_and_2_for_each_l1_entry() {
    let (mut reads, mut succeeded) = (0, 0);
    for hostile in hostile() {
        for (block, memory) in LENT {
            let mut memory = vec![0; memory];
            let (mut image, log) = open(&hostile, &mut memory, block);
            let size = image.size();
            let shape = hostile.shape(size);
            for offset in [0, 1, 511, 100_000, size / 3, size / 2 + 7, size.saturating_sub(200_000)] {
                for len in [1, 512, 5000, 200_000] {
                    let offset = offset.min(size - 1);
                    let len = len.min(size - offset);
                    let most = bounds::read(&[shape], offset, len);
                    let before = log.requests();
                    let read = image.read_at(offset, &mut vec![0; len as usize]);
                    let cost = log.requests() - before;
                    reads += 1;
                    succeeded += u32::from(read.is_ok());
                    assert!(
                        cost <= most,
                        "{}: {cost} reads for {len} bytes at {offset:#x}",
                        hostile.what
                    );
                }
            }
        }
    }
    // A read that fails at once shows no bound.
    assert!(succeeded * 3 >= reads, "{succeeded} of {reads} reads succeeded");
}

#[test]
fn extents_cost_at_most_two_reads_for_each_of_4099_words() {
    for hostile in hostile() {
        for (block, memory) in LENT {
            let mut memory = vec![0; memory];
            let (mut image, log) = open(&hostile, &mut memory, block);
            let shape = hostile.shape(image.size());
            let (mut last, mut end) = (log.requests(), 0);
            for extent in image.extents().take(3000) {
                let cost = log.requests() - last;
                let most = bounds::extent(&shape, end, u64::MAX);
                assert!(cost <= most, "{}: {cost} reads", hostile.what);
                last = log.requests();
                let Ok(extent) = extent else {
                    break;
                };
                end = extent.end();
            }
            for offset in [0, 700, shape.size / 2] {
                let before = log.requests();
                let _ = image.extent_at(offset, u64::MAX);
                let most = bounds::extent(&shape, offset, u64::MAX);
                assert!(log.requests() - before <= most, "{}", hostile.what);
            }
        }
    }
}

#[test]
fn extent_at_looks_at_no_more_than_4099_words() {
    // A block holds a whole table, so one request caches all of its words.
    let mut builder = ImageBuilder::new(4 << 22).bits(9, 13);
    (0..4).for_each(|table| _ = builder.table_at(table << 22, (table + 1) << 16));
    let file = builder.build();
    let mut memory = vec![0; 1 << 20];
    let mut image = Image::open(TestDevice::new(&file, 65_536), &mut memory[..]).unwrap();
    // One L1 word for each table, and one L2 word for each cluster.
    let words = |extent: Extent| bounds::words((9, 22), extent.start, extent.len);
    let most = (0..8192).map(|cluster| words(image.extent_at(cluster * 512, u64::MAX).unwrap()));
    assert_eq!(most.max(), Some(bounds::EXTENT_WORDS));
    for extent in image.extents() {
        let extent = extent.unwrap();
        assert!(words(extent) <= bounds::EXTENT_WORDS, "{extent:?}");
    }
}

#[test]
fn a_raw_disk_alone_costs_three_reads_at_most() {
    let file = pattern(3, 300_001);
    for block in [1, 512, 4096, 65_536] {
        let mut memory = vec![0; block as usize];
        let device = TestDevice::new(&file, block);
        let log = device.log.clone();
        let mut image = Image::open_raw(device, &mut memory[..]).unwrap();
        assert_eq!(log.requests(), bounds::OPEN_RAW);
        for (offset, len) in [
            (0, 300_001),
            (1, 300_000),
            (511, 2),
            (1, 200_000),
            (65_535, 2),
            (300_000, 1),
        ] {
            let before = log.requests();
            image.read_at(offset, &mut vec![0; len]).unwrap();
            let shape = Shape {
                size: 300_001,
                bits: None,
            };
            let most = bounds::read(&[shape], offset, len as u64);
            assert!(log.requests() - before <= most, "{len} bytes at {offset}");
        }
    }
}

#[test]
fn a_check_costs_at_most_four_reads_for_each_word_in_the_file() {
    for hostile in hostile() {
        for (block, memory) in LENT {
            for with_map in [false, true] {
                let mut memory = vec![0; memory];
                let (mut image, log) = open(&hostile, &mut memory, block);
                let len = hostile.file.len() as u64;
                let bits = (hostile.cluster_bits, hostile.cluster_bits + hostile.l2_bits);
                let l1_words = (image.size() >> bits.1).min(len.div_ceil(8)) + 1;
                let words = bounds::words_of_check(bits, l1_words, len);
                let mut bitmap = vec![0; image.check_bitmap_len()];
                let mut options = CheckOptions::new();
                if with_map {
                    options = options.bitmap(&mut bitmap);
                }
                let mut found = 0_u64;
                let opened = log.requests();
                let summary = image.check_with(options, |_| found += 1).unwrap();
                let cost = log.requests() - opened;
                assert!(cost <= bounds::check(words, 0), "{}: {cost}", hostile.what);
                assert_eq!(summary.findings, found);
                assert!(found <= words);
            }
        }
    }
}

#[test]
fn wrong_words_cost_a_check_no_more_than_good_ones() {
    let tables = |word: fn(u64) -> u64| {
        let mut image = ImageBuilder::new(16 << 21);
        for table in 0..16 {
            image.table_at(table << 21, 0x1000 + (table << 12));
            for cluster in 0..512 {
                image.l2_word(table << 21 | cluster << 12, word(cluster));
            }
        }
        image.build()
    };
    let good = tables(|_| 0);
    // All words wrong, and every second word wrong.
    let wrong = [tables(|_| 513), tables(|cluster| cluster % 2 * 513)];
    for (block, memory) in LENT {
        let cost = |file: &[u8]| {
            let device = TestDevice::new(file, block);
            let log = device.log.clone();
            let mut memory = vec![0; memory];
            let mut image = Image::open(device, &mut memory[..]).unwrap();
            image.check(|_| ()).unwrap();
            (log.requests(), log.bytes())
        };
        for wrong in &wrong {
            assert_eq!(cost(wrong), cost(&good), "{block}, {memory}");
        }
    }
}

#[test]
fn an_l1_whose_words_are_wrong_costs_no_more_than_one_of_holes() {
    for (block, memory) in LENT {
        let cost = |word: fn(u64) -> u64| {
            let mut image = ImageBuilder::new(4096 << 21);
            (0..4096).for_each(|index| _ = image.l1_word(index, word(index)));
            let file = image.build();
            let device = TestDevice::new(&file, block);
            let log = device.log.clone();
            let mut memory = vec![0; memory];
            let mut image = Image::open(device, &mut memory[..]).unwrap();
            image.check(|_| ()).unwrap();
            (log.requests(), log.bytes())
        };
        assert_eq!(cost(|_| 1 << 63), cost(|_| 0));
        assert_eq!(cost(|index| (index % 2) << 63), cost(|_| 0));
    }
}

#[test]
fn an_l1_that_does_not_fit_the_file_is_refused_by_one_read() {
    for size in [TIB, 1 << 62, u64::MAX - TIB] {
        let mut file = ImageBuilder::new(1 << 20).bits(9, 6).build();
        file[24..32].copy_from_slice(&size.to_be_bytes());
        let device = TestDevice::new(&file, 512);
        let log = device.log.clone();
        let mut memory = [0; 512];
        let error = Image::open(device, &mut memory[..]).unwrap_err();
        assert!(matches!(error.error(), qcow1::Error::Corrupt(_)), "{error}");
        assert_eq!(log.requests(), 1);
    }
}

#[test]
fn the_extents_of_2_to_the_63_bytes_of_holes_end() {
    let mut file = ImageBuilder::new(2).bits(9, 6).build();
    file.truncate(48);
    file[24..32].copy_from_slice(&(1_u64 << 63).to_be_bytes());
    let mut memory = [0; 512];
    let mut image = Image::open_with(OpenOptions::new().salvage(true), &file[..], &mut memory[..]).unwrap();
    let extents: Vec<_> = image.extents().map(Result::unwrap).collect();
    assert_eq!(extents.len(), 1);
    assert_eq!(extents[0].len, 1 << 63);
}

#[test]
fn a_name_costs_three_reads_at_most() {
    let file = ImageBuilder::new(1 << 20)
        .backing_at(509, &[b'n'; 1023])
        .l1_at(48)
        .build();
    for block in [1, 512, 1024, 4096] {
        let device = TestDevice::new(&file, block);
        let log = device.log.clone();
        let mut memory = [0; 4096];
        let mut image = Image::open(device, &mut memory[..]).unwrap();
        let mut buffer = [0; 1023];
        assert_eq!(image.backing_name(&mut buffer).unwrap(), Some(&[b'n'; 1023][..]));
        assert!(log.requests() <= bounds::OPEN + bounds::BACKING_NAME);
    }
}

/// Returns an image of a chain. All of its spans share one table, every third cluster is a hole,
/// and words cross block borders.
fn layer(size: u64, cluster_bits: u8, l2_bits: u8, first_hole: u64) -> Vec<u8> {
    let span = 1_u64 << (cluster_bits + l2_bits);
    let mut image = ImageBuilder::new(size)
        .bits(cluster_bits, l2_bits)
        .backing_at(700, b"below")
        .l1_at(61);
    image.table_at(0, 4093);
    for cluster in (0..1 << l2_bits).filter(|cluster| !(cluster + first_hole).is_multiple_of(3)) {
        image.l2_word(cluster << cluster_bits, 8192 + cluster % 2 * 512);
    }
    let mut file = image.build();
    file.resize(8704 + (1 << cluster_bits), 7);
    (0..size.div_ceil(span)).for_each(|index| {
        file[61 + index as usize * 8..][..8].copy_from_slice(&4093_u64.to_be_bytes());
    });
    file
}

/// A file, and its cluster bits and L2 bits; `None` for a raw disk.
type Layer = (Vec<u8>, Option<(u32, u32)>);

/// Opens the chain of `files`, top first, and asserts the bound on the requests of each level for
/// several reads.
fn assert_chain_is_bounded(files: &[Layer]) {
    for (block, lent) in LENT {
        let mut memories = vec![vec![0; lent]; files.len()];
        let mut chain: Chain<_, 4> = Chain::new();
        let mut shapes = Vec::new();
        let mut logs = Vec::new();
        for ((file, bits), memory) in files.iter().zip(&mut memories) {
            let device = TestDevice::new(file, block);
            logs.push(device.log.clone());
            let image = match bits {
                Some(_) => Image::open(device, memory).unwrap(),
                None => Image::open_raw(device, memory).unwrap(),
            };
            shapes.push(Shape {
                size: image.size(),
                bits: bits.map(|(cluster_bits, l2_bits)| (cluster_bits, cluster_bits + l2_bits)),
            });
            chain.push(image).unwrap();
        }
        for (offset, len) in [
            (0, 1),
            (511, 2),
            (1000, 30_000),
            (0, 65_536),
            (0, 1 << 20),
            (700_001, 900_000),
        ] {
            let before: Vec<_> = logs.iter().map(Log::requests).collect();
            chain.read_at(offset, &mut vec![0; len as usize]).unwrap();
            for (level, (log, before)) in logs.iter().zip(before).enumerate() {
                let cost = log.requests() - before;
                let most = bounds::read(&shapes[..=level], offset, len);
                assert!(
                    cost <= most,
                    "level {level}: {cost} reads for {len} bytes at {offset}; {most} are allowed"
                );
            }
        }
    }
}

#[test]
fn a_chain_read_costs_each_image_at_most_5_reads_for_each_smallest_cluster_above() {
    const SIZE: u64 = 2 << 20;
    // Each image has its holes at other clusters, so a read changes its level as often as possible.
    let equal = [0, 1, 2].map(|first_hole| (layer(SIZE, 9, 6, first_hole), Some((9, 6))));
    assert_chain_is_bounded(&equal);

    // Small clusters above large ones read the same large cluster, or a raw base, many times.
    let raw = (pattern(5, SIZE as usize - 777), None);
    let unequal = [
        (layer(SIZE, 9, 6, 0), Some((9, 6))),
        (layer(SIZE, 16, 6, 0), Some((16, 6))),
        (layer(SIZE, 11, 7, 1), Some((11, 7))),
        raw,
    ];
    assert_chain_is_bounded(&unequal);
    let upside_down = [
        (layer(SIZE, 16, 6, 0), Some((16, 6))),
        (layer(SIZE - 3000, 12, 9, 0), Some((12, 9))),
        (layer(SIZE - 70_000, 9, 6, 0), Some((9, 6))),
        (pattern(5, 1_000_001), None),
    ];
    assert_chain_is_bounded(&upside_down);
}

#[test]
fn a_large_cluster_below_small_holes_costs_a_read_for_each_of_them() {
    // 64 holes of 512 bytes over one cluster of 64 KiB: this is why the bound counts the smallest
    // clusters above an image, not its own.
    let mut top = ImageBuilder::new(65_536).bits(9, 7).backing_at(700, b"below");
    for cluster in (0..128).step_by(2) {
        top.data(cluster * 512, &pattern(1, 512));
    }
    let mut base = ImageBuilder::new(65_536).bits(16, 6);
    base.data(0, &pattern(2, 65_536));
    let files = [top.build(), base.build()];
    let [mut first, mut second] = [vec![0; 8192], vec![0; 8192]];
    let device = TestDevice::new(&files[1], 512);
    let log = device.log.clone();
    let mut chain: Chain<_, 2> = Chain::new();
    let device_above = TestDevice::new(&files[0], 512);
    chain.push(Image::open(device_above, &mut first[..]).unwrap()).unwrap();
    chain.push(Image::open(device, &mut second[..]).unwrap()).unwrap();
    let opened = log.requests();
    chain.read_at(0, &mut [0; 65_536]).unwrap();
    assert_eq!(log.requests() - opened, 64 + 2);
}
