//! The work of building tables, counted for streams that are made to be slow.

use std::prelude::v1::*;
use std::vec;

use super::Memory;
use super::writer::{BitWriter, empty_block};
use crate::{InflateError, inflate as ours_into, work};

#[test]
fn the_tables_of_a_stream_made_to_be_slow_cost_what_is_documented_for_each_of_its_bytes() {
    // The lengths of one codeword of each length from 1 to `ladder`, and of `codes` codewords of `bits` bits. The last
    // is that of symbol 256.
    let codes = |ladder: u32, codes: usize, bits: u32| {
        let mut lengths: Vec<u32> = (1..=ladder).collect();
        lengths.resize(lengths.len() + codes, bits);
        let mut all = vec![0; 257 - lengths.len()];
        all.append(&mut lengths);
        all
    };
    let mut blocks = vec![
        (codes(0, 1, 1), vec![1]),
        (codes(0, 1, 1), codes(14, 2, 15).split_off(241)),
        (codes(0, 1, 1), vec![4; 16]),
        (codes(14, 2, 15), vec![1]),
        (codes(4, 1 << 7, 11), vec![1]),
        (codes(6, 1 << 7, 13), vec![0]),
        (codes(8, 1 << 7, 15), codes(8, 16, 12).split_off(233)),
    ];
    for bits in 1..=8 {
        // The second has no distances: their length joins a run of zeros.
        blocks.push((codes(0, 1 << bits, bits), vec![1]));
        blocks.push(([codes(0, 1 << bits, bits), vec![0; 11]].concat(), vec![0]));
    }
    let mut fixed = BitWriter::default();
    fixed.number(0, 1).number(1, 2).code(0, 7);
    let mut literal = BitWriter::default();
    literal.number(0, 1).number(1, 2).code(0x30, 8).code(0, 7);
    let mut memory = Memory::new();
    let mut shortest = usize::MAX;
    for (litlen, distance) in blocks {
        let empty = empty_block(&litlen, &distance);
        shortest = shortest.min(empty.used);
        // Alone, alternating with an empty fixed block, and alternating with a fixed block of one literal.
        for between in [None, Some(&fixed), Some(&literal)] {
            let mut stream = BitWriter::default();
            let mut blocks = 0;
            while stream.bytes.len() < 4096 {
                blocks += 1;
                stream.append(&empty);
                if let Some(between) = between {
                    stream.append(between);
                }
            }
            for mut workspace in memory.workspaces() {
                work::take();
                let result = ours_into(&stream.bytes, &mut vec![0; 65_536], &mut workspace);
                assert_eq!(result, Err(InflateError::InputEnded));
                let (sets, steps) = work::take();
                assert!(sets >= blocks, "{sets} sets for {blocks} blocks");
                // A block has 257 code lengths or more, and a step writes at most eight of them.
                assert!(steps >= 33 * blocks, "{steps} steps for {blocks} blocks");
                assert!(
                    sets <= stream.bytes.len() / work::BYTES_PER_SET,
                    "{sets} sets of tables"
                );
                assert!(steps <= sets * work::STEPS_PER_SET, "{steps} steps for {sets} sets");
            }
        }
    }
    assert_eq!(shortest, 90, "bits of the shortest dynamic block that is known");
}
