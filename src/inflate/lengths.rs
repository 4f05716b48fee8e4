//! The code lengths in front of a block, and the tables made of them.

use super::InflateError::{self, BadLengthRepeat, NoEndOfBlock, TooManyCodes};
use super::bits::{Bits, REFILLED, ones};
use super::table::{Alphabet, DISTANCE_BITS, Entry, LITLEN_BITS, PIECE, PRECODE_BITS, Tables, build};

/// Builds the tables of the fixed codes.
pub(super) fn fixed(tables: &mut Tables) -> Result<(), InflateError> {
    let Tables {
        litlen,
        distance,
        sorted,
        lengths,
        ..
    } = tables;
    let mut rest = lengths.as_mut_slice();
    // Bound: 5 runs.
    for (length, run) in [(8, 144), (9, 112), (7, 24), (8, 8), (5, 32)] {
        let Some((run, others)) = rest.split_at_mut_checked(run) else {
            break;
        };
        run.fill(length);
        rest = others;
    }
    let (of_litlen, of_distance) = lengths.split_at_checked(288).unwrap_or_default();
    let of_distance = of_distance.get(..32).unwrap_or_default();
    build(
        &LITLEN,
        of_litlen,
        &[0, 0, 0, 0, 0, 0, 0, 24, 152, 112, 0, 0, 0, 0, 0, 0],
        sorted,
        litlen,
    )?;
    build(
        &DISTANCE,
        of_distance,
        &[0, 0, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        sorted,
        distance,
    )
}

/// Reads the code lengths of a dynamic block and builds its tables.
pub(super) fn dynamic(bits: &mut Bits<'_>, tables: &mut Tables) -> Result<(), InflateError> {
    let Tables {
        litlen,
        distance,
        sorted,
        lengths,
        ..
    } = tables;
    bits.refill();
    let litlens = bits.take(5).wrapping_add(257);
    let distances = bits.take(5).wrapping_add(1);
    let precodes = bits.take(4).wrapping_add(4);
    if litlens > 286 || distances > 30 {
        return Err(TooManyCodes);
    }
    precode(bits, precodes, sorted, distance)?;
    let all = litlens.wrapping_add(distances);
    let mut counts = read(bits, all, lengths, distance)?;
    if lengths.get(256) == Some(&0) {
        return Err(NoEndOfBlock);
    }

    let (of_litlen, of_distance) = lengths
        .get(..all)
        .unwrap_or_default()
        .split_at_checked(litlens)
        .unwrap_or_default();
    let mut distance_counts = [0_u16; 16];
    // Bound: 30 turns.
    for &length in of_distance {
        let length = usize::from(length & 15);
        if let (Some(count), Some(own)) = (counts.get_mut(length), distance_counts.get_mut(length)) {
            *count = count.wrapping_sub(1);
            *own = own.wrapping_add(1);
        }
    }
    build(&LITLEN, of_litlen, &counts, sorted, litlen)?;
    build(&DISTANCE, of_distance, &distance_counts, sorted, distance)
}

/// Reads the lengths of the code for code lengths and builds its table.
fn precode(
    bits: &mut Bits<'_>,
    number: usize,
    sorted: &mut [u16; 288],
    table: &mut [Entry],
) -> Result<(), InflateError> {
    let mut lengths = [0_u8; 19];
    let mut counts = [0_u16; 16];
    // Bound: 19 turns. Eight lengths of three bits are in the buffer after any refill.
    for (turn, &symbol) in ORDER.iter().enumerate().take(number) {
        if turn & 7 == 0 {
            bits.refill();
        }
        let length = bits.take(3);
        if let (Some(slot), Some(count)) = (lengths.get_mut(usize::from(symbol)), counts.get_mut(length)) {
            *slot = u8::try_from(length).unwrap_or(0);
            *count = count.wrapping_add(1);
        }
    }
    counts[0] = counts[0].wrapping_add(u16::try_from(lengths.len().wrapping_sub(number)).unwrap_or(0));
    build(&PRECODE, &lengths, &counts, sorted, table)
}

/// Reads `number` code lengths, and returns how many there are of each.
fn read(
    bits: &mut Bits<'_>,
    number: usize,
    lengths: &mut [u8; 320 + PIECE],
    table: &[Entry; 402],
) -> Result<[u16; 16], InflateError> {
    let mut own = *bits;
    let mut counts = [0_u16; 16];
    let mut filled = 0_usize;
    // Not a length, so that a repeat of it is noticed.
    let mut previous = 16_u8;
    let mut in_buffer = 0_u32;
    // Bound: `number` turns, at most 316, as a run has at least one length.
    while filled < number {
        // A codeword and its extra bits are at most 14.
        if in_buffer < 14 {
            own.refill();
            in_buffer = REFILLED;
        }
        let entry = table
            .get(own.peek(ones(PRECODE_BITS)))
            .copied()
            .unwrap_or(Entry::INVALID);
        let extra = own.peek(ones(entry.bits())).wrapping_shr(entry.code_bits());
        own.drop(entry.bits());
        in_buffer = in_buffer.wrapping_sub(14);
        // No branch on which of them it is: no processor predicts that.
        let (length, repeat) = entry.length_and_repeat();
        let length = if entry.is_special() { previous } else { length };
        let repeat = repeat.wrapping_add(extra);
        let end = filled.wrapping_add(repeat);
        let Some(count) = counts.get_mut(usize::from(length)) else {
            return Err(BadLengthRepeat);
        };
        if end > number {
            return Err(BadLengthRepeat);
        }
        *count = count.wrapping_add(u16::try_from(repeat).unwrap_or(0));
        // Bound: 9 turns, as no run is longer than 138. What is written beyond the run, the next one writes anew.
        loop {
            if let Some(piece) = lengths.get_mut(filled..).and_then(<[u8]>::first_chunk_mut::<PIECE>) {
                *piece = [length; PIECE];
            }
            filled = filled.wrapping_add(PIECE);
            if filled >= end {
                break;
            }
        }
        filled = end;
        previous = length;
    }
    *bits = own;
    Ok(counts)
}

/// The order in which the lengths of the code for code lengths are stored.
const ORDER: [u8; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

const PRECODE: Alphabet = Alphabet {
    first_bits: PRECODE_BITS,
    literals: 0,
    others: &RUNS,
    may_be_lone: false,
};
const LITLEN: Alphabet = Alphabet {
    first_bits: LITLEN_BITS,
    literals: 256,
    others: &LENGTHS,
    may_be_lone: true,
};
const DISTANCE: Alphabet = Alphabet {
    first_bits: DISTANCE_BITS,
    literals: 0,
    others: &DISTANCES,
    may_be_lone: true,
};

/// The symbols of the code for code lengths.
#[rustfmt::skip]
static RUNS: [Entry; 19] = [
    Entry::run(0, 1, 0), Entry::run(1, 1, 0), Entry::run(2, 1, 0), Entry::run(3, 1, 0),
    Entry::run(4, 1, 0), Entry::run(5, 1, 0), Entry::run(6, 1, 0), Entry::run(7, 1, 0),
    Entry::run(8, 1, 0), Entry::run(9, 1, 0), Entry::run(10, 1, 0), Entry::run(11, 1, 0),
    Entry::run(12, 1, 0), Entry::run(13, 1, 0), Entry::run(14, 1, 0), Entry::run(15, 1, 0),
    Entry::PREVIOUS, Entry::run(0, 3, 3), Entry::run(0, 11, 7),
];

/// The literal/length symbols from 256 on. The last two have codewords in the fixed code, and no meaning.
#[rustfmt::skip]
static LENGTHS: [Entry; 32] = [
    Entry::END_OF_BLOCK,
    Entry::base(3, 0), Entry::base(4, 0), Entry::base(5, 0), Entry::base(6, 0),
    Entry::base(7, 0), Entry::base(8, 0), Entry::base(9, 0), Entry::base(10, 0),
    Entry::base(11, 1), Entry::base(13, 1), Entry::base(15, 1), Entry::base(17, 1),
    Entry::base(19, 2), Entry::base(23, 2), Entry::base(27, 2), Entry::base(31, 2),
    Entry::base(35, 3), Entry::base(43, 3), Entry::base(51, 3), Entry::base(59, 3),
    Entry::base(67, 4), Entry::base(83, 4), Entry::base(99, 4), Entry::base(115, 4),
    Entry::base(131, 5), Entry::base(163, 5), Entry::base(195, 5), Entry::base(227, 5),
    Entry::base(258, 0), Entry::INVALID, Entry::INVALID,
];

/// The distance symbols. The last two have codewords in the fixed code, and no meaning.
#[rustfmt::skip]
static DISTANCES: [Entry; 32] = [
    Entry::base(1, 0), Entry::base(2, 0), Entry::base(3, 0), Entry::base(4, 0),
    Entry::base(5, 1), Entry::base(7, 1), Entry::base(9, 2), Entry::base(13, 2),
    Entry::base(17, 3), Entry::base(25, 3), Entry::base(33, 4), Entry::base(49, 4),
    Entry::base(65, 5), Entry::base(97, 5), Entry::base(129, 6), Entry::base(193, 6),
    Entry::base(257, 7), Entry::base(385, 7), Entry::base(513, 8), Entry::base(769, 8),
    Entry::base(1025, 9), Entry::base(1537, 9), Entry::base(2049, 10), Entry::base(3073, 10),
    Entry::base(4097, 11), Entry::base(6145, 11), Entry::base(8193, 12), Entry::base(12289, 12),
    Entry::base(16385, 13), Entry::base(24577, 13), Entry::INVALID, Entry::INVALID,
];
