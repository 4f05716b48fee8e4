//! [`Header::memory_for`] returns the memory that keeps all tables in the cache.

use crate::common::{ImageBuilder, Random, TestDevice};
use qcow1::{Header, Image};

/// Returns an image of a full disk whose clusters all share one host cluster, with `gap` unused
/// bytes before each table.
fn full(cluster_bits: u8, l2_bits: u8, spans: u64, gap: u64) -> Vec<u8> {
    let span = 1_u64 << (cluster_bits + l2_bits);
    let mut builder = ImageBuilder::new(span * spans).bits(cluster_bits, l2_bits);
    let cluster = vec![7; 1 << cluster_bits];
    builder.data_at(0, builder.free(1 << cluster_bits) + (8 << l2_bits), &cluster);
    let mut file = builder.build();
    let host = file.len() as u64 - cluster.len() as u64;
    for index in 0..spans {
        let table = (file.len() as u64 + gap).next_multiple_of(1 << cluster_bits);
        file.resize(table as usize, 0);
        file.extend(host.to_be_bytes().repeat(1 << l2_bits));
        file[48 + index as usize * 8..][..8].copy_from_slice(&table.to_be_bytes());
    }
    file
}

#[test]
fn the_memory_for_all_tables_holds_them_whatever_their_shape() {
    for (cluster_bits, l2_bits, spans) in [(12, 9, 128), (9, 12, 32), (16, 13, 8), (9, 6, 512), (16, 6, 64)] {
        for gap in [0, 1 << cluster_bits, 100_000] {
            let file = full(cluster_bits, l2_bits, spans, gap);
            for block in [1, 512, 4096] {
                let device = TestDevice::new(&file, block);
                let block_size = qcow1::BlockSize::new(block).unwrap();
                let needs = Header::parse(&file).unwrap().memory_for(block_size, file.len() as u64);
                let mut memory = vec![0; needs.all_tables];
                let log = device.log.clone();
                let mut image = Image::open(device, &mut memory).unwrap();
                // Enough random offsets to touch nearly every line of every table.
                let clusters = image.size() >> cluster_bits;
                let mut random = Random(1);
                let mut ask = |count: u64| {
                    for _ in 0..count {
                        image.extent_at(random.below(clusters) << cluster_bits, 1).unwrap();
                    }
                };
                ask(clusters / 4 + 20_000);
                let before = log.requests();
                ask(5000);
                let missed = log.requests() - before;
                assert!(
                    missed <= 100,
                    "2^{cluster_bits}, 2^{l2_bits}, {gap}, {block}: {missed} of 5000 missed"
                );
            }
        }
    }
}
