//! The work of the headers of blocks, counted for streams that are made to be slow.

use std::prelude::v1::*;
use std::vec;

use super::Memory;
use super::writer::{BitWriter, block};
use crate::work::{self, BYTES_PER_BLOCK, BYTES_PER_TABLES, STEPS_PER_BLOCK, STEPS_PER_TABLES, Work};
use crate::{InflateError, LONG_BLOCK, SHORT_BLOCK, inflate as ours_into};

/// Asserts that the work of a stream is within its documented bounds.
pub(super) fn assert_bounded(work: Work, bytes: usize) {
    let Work { blocks, tables, steps } = work;
    // A broken last block may be shorter.
    assert!(
        blocks <= bytes / BYTES_PER_BLOCK + 1,
        "{blocks} blocks in {bytes} bytes"
    );
    assert!(
        tables <= bytes / BYTES_PER_TABLES + 1,
        "{tables} sets of tables for {bytes} bytes"
    );
    assert!(
        steps <= blocks * STEPS_PER_BLOCK + tables * STEPS_PER_TABLES,
        "{steps} steps for {blocks} blocks and {tables} sets of tables"
    );
}

/// Appends a stored block of `len` zeros.
fn append_stored(stream: &mut BitWriter, len: u32) {
    stream.number(0, 3);
    while !stream.used.is_multiple_of(8) {
        stream.number(0, 1);
    }
    stream.number(len, 16).number(!len & 0xffff, 16);
    for _ in 0..len {
        stream.number(0, 8);
    }
}

#[test]
fn the_headers_of_a_stream_made_to_be_slow_cost_what_is_documented_for_each_of_its_bytes() {
    // The lengths of one codeword of each length from 1 to `ladder`, and of `codes` codewords of
    // `bits` bits. The last is that of symbol 256.
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
        let empty = block(&litlen, &distance, 0);
        shortest = shortest.min(empty.used);
        // Alone, alternating with an empty fixed block, and alternating with a fixed block of one
        // literal.
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
                let work = work::take();
                assert!(work.blocks >= blocks, "{} blocks were read of {blocks}", work.blocks);
                assert!(work.tables <= 1, "{} sets of tables for empty blocks", work.tables);
                // A block has 257 code lengths or more, and a step writes at most eight of them.
                assert!(work.steps >= 33 * blocks, "{} steps for {blocks} blocks", work.steps);
                assert_bounded(work, stream.bytes.len());
            }
        }
        // As many symbols that tables are filled for, or nearly. Then so that each block follows a
        // long one.
        for (literals, after_long) in [
            (SHORT_BLOCK - 1, false),
            (SHORT_BLOCK, false),
            (SHORT_BLOCK + 1, false),
            (0, true),
            (SHORT_BLOCK, true),
        ] {
            let block = block(&litlen, &distance, literals);
            let mut stream = BitWriter::default();
            while stream.bytes.len() < 4096 {
                stream.append(&block);
                if after_long {
                    append_stored(&mut stream, LONG_BLOCK as u32);
                }
            }
            for mut workspace in memory.workspaces() {
                work::take();
                let result = ours_into(&stream.bytes, &mut vec![0; 65_536], &mut workspace);
                assert_eq!(result, Err(InflateError::InputEnded), "{literals} literals");
                assert_bounded(work::take(), stream.bytes.len());
            }
        }
    }
    assert_eq!(shortest, 90, "bits of the shortest dynamic block that is known");
}

#[test]
fn the_first_dynamic_block_gets_tables_and_one_after_a_short_block_only_if_it_is_long() {
    let mut litlen = vec![0; 257];
    (litlen[97], litlen[256]) = (1, 1);
    let mut memory = Memory::new();
    for (literals, sets) in [
        (&[1][..], 1),
        (&[1, 1], 1),
        (&[1, SHORT_BLOCK], 1),
        (&[1, SHORT_BLOCK + 1], 2),
        (&[1, SHORT_BLOCK + 1, SHORT_BLOCK + 1], 3),
    ] {
        let mut stream = BitWriter::default();
        for &number in literals {
            stream.append(&block(&litlen, &[1], number));
        }
        let mut output = vec![0; literals.iter().sum()];
        for (mut workspace, has_tables) in memory.workspaces().into_iter().zip([cfg!(feature = "fast"), false]) {
            work::take();
            assert_eq!(ours_into(&stream.bytes, &mut output, &mut workspace), Ok(()));
            let expected = if has_tables { sets } else { 0 };
            assert_eq!(work::take().tables, expected, "blocks of {literals:?} literals");
        }
    }
}
