//! The decoder, compared with zlib and miniz_oxide, which share no code with it.

mod samples;
mod work;
mod writer;

use std::prelude::v1::*;
use std::vec;

use super::{InflateError, Workspace, inflate as ours_into};
use flate2::{Decompress, FlushDecompress};
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use samples::{Random, samples, zlib_stream};
use writer::{BitWriter, codewords, complete_code, header, three_symbols};

/// The memory of both decoders, filled with garbage at first.
struct Memory {
    fast: [u8; Workspace::FAST],
    small: [u8; Workspace::SMALL],
}

impl Memory {
    fn new() -> Self {
        Self {
            fast: [0xa7; Workspace::FAST],
            small: [0xa7; Workspace::SMALL],
        }
    }

    fn workspaces(&mut self) -> [Workspace<'_>; 2] {
        [&mut self.fast[..], &mut self.small].map(|memory| Workspace::new(memory).unwrap())
    }

    /// Decodes a stream to `len` bytes with either memory. Asserts that both results are the same.
    fn inflate(&mut self, stream: &[u8], len: usize) -> Result<Vec<u8>, InflateError> {
        let [fast, small] = self.workspaces().map(|mut workspace| {
            let mut output = vec![0xcc; len];
            ours_into(stream, &mut output, &mut workspace).map(|()| output)
        });
        assert!(
            fast == small,
            "{:?}, {:?}: stream {stream:02x?}",
            fast.err(),
            small.err()
        );
        fast
    }
}

/// Decodes a stream with the crate's decoder, with new memory.
fn ours(stream: &[u8], len: usize) -> Result<Vec<u8>, InflateError> {
    Memory::new().inflate(stream, len)
}

/// Decodes a stream with zlib. Returns the bytes if they fill the output, even if zlib refuses what
/// follows, because QEMU tests only the output.
fn reference(stream: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut zlib = Decompress::new(false);
    let mut output = vec![0; len];
    let _ = zlib.decompress(stream, &mut output, FlushDecompress::Finish);
    (zlib.total_out() as usize == len).then_some(output)
}

/// Decodes a stream with miniz_oxide. Unlike zlib, it accepts a block without a code for its own
/// end.
fn miniz(stream: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut output = vec![0; len];
    let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let (_, _, written) = decompress(&mut DecompressorOxide::new(), stream, &mut output, 0, flags);
    (written == len).then_some(output)
}

/// Asserts that the crate, zlib and miniz_oxide decode a stream to the same bytes, or all refuse
/// it.
fn agrees(stream: &[u8], len: usize) {
    let ours = ours(stream, len).ok();
    assert_eq!(ours, reference(stream, len), "stream {stream:02x?}");
    assert_eq!(ours, miniz(stream, len), "stream {stream:02x?}");
}

#[test]
fn whatever_zlib_or_miniz_oxide_wrote_is_read_at_every_cluster_size_and_level() {
    for bits in 9..=16 {
        for bytes in samples(1 << bits) {
            for level in 0..=9 {
                for window in [12, 15] {
                    let stream = zlib_stream(&bytes, level, window);
                    assert!(ours(&stream, bytes.len()).as_ref() == Ok(&bytes), "zlib, level {level}");
                }
                let stream = compress_to_vec(&bytes, u8::try_from(level).unwrap());
                assert!(
                    ours(&stream, bytes.len()).as_ref() == Ok(&bytes),
                    "miniz_oxide, level {level}"
                );
            }
        }
    }
}

#[test]
fn an_output_that_is_shorter_than_the_stream_gets_the_first_bytes() {
    let bytes = &samples(4096)[1];
    let stream = zlib_stream(bytes, 6, 12);
    for len in 0..bytes.len() {
        assert!(ours(&stream, len).as_deref() == Ok(&bytes[..len]), "{len} bytes");
    }
}

#[test]
fn every_truncation_of_a_stream_is_refused_unless_the_output_is_full() {
    for bytes in samples(1024) {
        for stream in [
            zlib_stream(&bytes, 9, 12),
            zlib_stream(&bytes, 0, 12),
            compress_to_vec(&bytes, 1),
        ] {
            for len in 0..stream.len() {
                agrees(&stream[..len], 1024);
            }
            assert_eq!(ours(&[], 1024), Err(InflateError::InputEnded));
        }
    }
}

#[test]
fn every_flipped_bit_of_a_stream_gives_what_zlib_makes_of_it() {
    for bytes in samples(700) {
        for mut stream in [zlib_stream(&bytes, 9, 12), compress_to_vec(&bytes, 1)] {
            for bit in 0..stream.len() * 8 {
                stream[bit / 8] ^= 1 << (bit % 8);
                agrees(&stream, 700);
                stream[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }
}

#[test]
fn garbage_gives_what_zlib_makes_of_it() {
    let mut random = Random(11);
    for _ in 0..20_000 {
        let len = random.below(200) as usize;
        let mut stream = random.bytes(len);
        // Half of them are made to start with a dynamic block, which random bytes seldom do.
        if let Some(first) = stream.first_mut()
            && *first & 0x80 != 0
        {
            *first = *first & !7 | 5;
        }
        agrees(&stream, 512);
    }
}

#[test]
fn a_broken_stream_does_not_change_what_the_next_one_decodes_to() {
    let mut memory = Memory::new();
    let all = samples(4096);
    let streams: Vec<_> = all.iter().map(|bytes| zlib_stream(bytes, 6, 12)).collect();
    for broken in &streams {
        for cut in [1, broken.len() / 2, broken.len() - 2] {
            let _ = memory.inflate(&broken[..cut], 4096);
            for (stream, bytes) in streams.iter().zip(&all) {
                assert!(memory.inflate(stream, 4096).as_ref() == Ok(bytes));
            }
        }
    }
}

#[test]
fn each_error_is_a_clause_that_a_sentence_can_end_with() {
    use InflateError::*;
    for (error, clause) in [
        (InputEnded, "the compressed data ends before the output is full"),
        (EndsEarly, "the last compressed block ends before the output is full"),
        (BadBlockType, "a compressed block has the reserved type 3"),
        (
            StoredLengthMismatch,
            "the two copies of a stored block's length disagree",
        ),
        (
            TooManyCodes,
            "a compressed block announces more codes than the format has",
        ),
        (OversubscribedCode, "a compressed block's code is over-subscribed"),
        (IncompleteCode, "a compressed block's code is incomplete"),
        (
            BadLengthRepeat,
            "a code length repeats where none came before, or past the last one",
        ),
        (NoEndOfBlock, "a compressed block has no code for its own end"),
        (BadSymbol, "a compressed literal or length is not a symbol of its code"),
        (BadDistance, "a compressed distance is not a symbol of its code"),
        (DistanceTooFar, "a match reaches back before the start of the output"),
    ] {
        assert_eq!(error.to_string(), clause);
    }
}

#[test]
fn the_debug_output_of_a_workspace_says_whether_it_has_tables() {
    let mut memory = Memory::new();
    let [fast, small] = memory.workspaces().map(|workspace| std::format!("{workspace:?}"));
    assert!(
        fast.contains(if cfg!(feature = "fast") { "true" } else { "false" }),
        "{fast}"
    );
    assert!(small.contains("false"), "{small}");
}

#[test]
fn memory_of_any_alignment_and_length_gets_the_tables_that_its_length_permits() {
    let mut memory = [0; Workspace::FAST + 8];
    for start in 0..8 {
        for (len, is_fast) in [
            (0, None),
            (Workspace::SMALL - 1, None),
            (Workspace::SMALL, Some(false)),
            (
                Workspace::FAST - 1,
                (Workspace::FAST > Workspace::SMALL).then_some(false),
            ),
            (Workspace::FAST, Some(cfg!(feature = "fast"))),
        ] {
            let workspace = Workspace::new(&mut memory[start..start + len]);
            let found = workspace.map(|workspace| workspace.tables.is_some());
            assert_eq!(found, is_fast, "{len} bytes");
        }
    }
}

#[test]
fn fixed_and_stored_blocks_build_no_tables() {
    let mut stream = BitWriter::default();
    for byte in 0..100 {
        // An empty fixed block, a fixed block of a literal and a match, an empty stored block, a
        // stored block of one byte.
        stream.number(0, 1).number(1, 2).code(0, 7);
        stream
            .number(0, 1)
            .number(1, 2)
            .code(0x30 + byte, 8)
            .code(1, 7)
            .code(0, 5)
            .code(0, 7);
        for len in [0, 1] {
            stream.number(0, 1).number(0, 2);
            while !stream.used.is_multiple_of(8) {
                stream.number(0, 1);
            }
            stream.number(len, 16).number(!len & 0xffff, 16).number(0, 8 * len);
        }
    }
    let mut memory = Memory::new();
    assert!(memory.inflate(&stream.bytes, 500).is_ok());
    assert!(memory.fast.iter().all(|&byte| byte == 0xa7));
    assert!(memory.small.iter().all(|&byte| byte == 0xa7));
}

#[test]
fn each_kind_of_broken_block_is_refused_by_its_name() {
    use InflateError::*;
    let refused = |writer: &BitWriter, error: InflateError| {
        // Zeros follow, so that the input does not end before the error.
        let stream = [&writer.bytes[..], &[0; 64]].concat();
        assert_eq!(ours(&stream, 1000), Err(error));
        assert_eq!(reference(&stream, 1000), None);
    };
    let mut reserved = BitWriter::default();
    refused(reserved.number(1, 1).number(3, 2), BadBlockType);

    let mut stored = BitWriter::default();
    stored.number(1, 1).number(0, 2).number(0, 5);
    refused(stored.number(5, 16).number(5, 16), StoredLengthMismatch);

    let mut early = BitWriter::default();
    refused(early.number(1, 1).number(1, 2).code(0x30, 8).code(0, 7), EndsEarly);

    let mut too_far = BitWriter::default();
    refused(
        too_far.number(1, 1).number(1, 2).code(0x30, 8).code(1, 7).code(1, 5),
        DistanceTooFar,
    );

    let mut no_length = BitWriter::default();
    refused(no_length.number(1, 1).number(1, 2).code(0xc0 + 286 - 280, 8), BadSymbol);

    let mut no_distance = BitWriter::default();
    refused(
        no_distance
            .number(1, 1)
            .number(1, 2)
            .code(0x30, 8)
            .code(1, 7)
            .code(30, 5),
        BadDistance,
    );

    for (litlens, distances) in [(287, 1), (288, 1), (257, 31), (257, 32)] {
        refused(&BitWriter::dynamic(litlens, distances), TooManyCodes);
    }

    let mut no_previous = BitWriter::dynamic(257, 1);
    refused(no_previous.code(14, 4).number(0, 2), BadLengthRepeat);

    let mut past_the_last = BitWriter::dynamic(257, 1);
    past_the_last.zeros(256).lengths(&[1]).code(15, 4).number(7, 3);
    refused(&past_the_last, BadLengthRepeat);

    let mut endless = BitWriter::dynamic(257, 1);
    endless.lengths(&[1, 1]).zeros(254).lengths(&[0, 0]);
    refused(&endless, NoEndOfBlock);

    let mut over = BitWriter::dynamic(257, 1);
    over.lengths(&[1, 1]).zeros(254).lengths(&[1, 0]);
    refused(&over, OversubscribedCode);

    let mut incomplete = BitWriter::dynamic(257, 1);
    incomplete.lengths(&[2, 2]).zeros(254).lengths(&[2, 0]);
    refused(&incomplete, IncompleteCode);

    let mut over = BitWriter::dynamic(257, 3);
    over.lengths(&[1]).zeros(255).lengths(&[1, 1, 1, 1]);
    refused(&over, OversubscribedCode);

    let mut incomplete = BitWriter::dynamic(257, 2);
    incomplete.lengths(&[1]).zeros(255).lengths(&[1, 2, 2]);
    refused(&incomplete, IncompleteCode);

    let mut lone = BitWriter::default();
    lone.number(1, 1).number(2, 2).number(0, 5).number(0, 5).number(0, 4);
    // zlib accepts a lone codeword in the two codes of a block, but not in the code for code
    // lengths.
    refused(lone.number(1, 3).number(0, 9), IncompleteCode);
}

#[test]
fn a_codeword_that_a_code_of_one_symbol_does_not_have_is_refused() {
    // The end has the codeword 0.
    let mut stream = BitWriter::dynamic(257, 1);
    stream.zeros(256).lengths(&[1, 0]).number(1, 1).number(0, 32);
    assert_eq!(ours(&stream.bytes, 5), Err(InflateError::BadSymbol));
    assert_eq!(reference(&stream.bytes, 5), None);
}

#[test]
fn a_fixed_distance_that_the_input_cuts_is_bad_if_each_end_of_it_would_be() {
    let mut stream = BitWriter::default();
    // Two literals of 9 bits, a length of 3, and the first 4 bits of the codewords 30 and 31.
    stream
        .number(1, 1)
        .number(1, 2)
        .code(0x190, 9)
        .code(0x190, 9)
        .code(1, 7)
        .code(0xf, 4);
    assert_eq!(stream.used, 32);
    assert_eq!(ours(&stream.bytes, 5), Err(InflateError::BadDistance));
}

#[test]
fn a_match_before_many_zero_bits_is_copied_from_its_distance() {
    // Codewords 00 for `a`, 01 for `b`, 10 for the end, 11 for a match of 3 bytes; 0 for distance 1
    // and 1 for distance 2.
    let mut stream = BitWriter::dynamic(258, 2);
    stream
        .zeros(97)
        .lengths(&[2, 2])
        .zeros(157)
        .lengths(&[2, 2])
        .lengths(&[1, 1]);
    stream.code(0b00, 2).code(0b01, 2).code(0b11, 2).code(0, 1);
    for _ in 0..60 {
        stream.code(0b00, 2);
    }
    stream.code(0b10, 2);
    let expected = [&b"abbbb"[..], &[b'a'; 60]].concat();
    assert_eq!(ours(&stream.bytes, expected.len()), Ok(expected.clone()));
    assert_eq!(reference(&stream.bytes, expected.len()), Some(expected));
}

#[test]
fn a_block_without_distances_does_not_get_those_of_the_block_before() {
    let mut litlen = vec![0; 258];
    (litlen[0], litlen[256], litlen[257]) = (2, 2, 1);
    let words = codewords(&litlen);
    let mut stream = header(&litlen, &[2, 2, 2, 2]);
    stream.code(words[0], 2).code(words[256], 2);
    stream.append(&header(&litlen, &[0]));
    // Enough literals that the block gets tables, and then a match.
    for _ in 0..=crate::SHORT_BLOCK {
        stream.code(words[0], 2);
    }
    stream.code(words[257], 1).number(u32::MAX, 32).number(u32::MAX, 32);
    assert_eq!(ours(&stream.bytes, 500), Err(InflateError::BadDistance));
    assert_eq!(reference(&stream.bytes, 500), None);
}

#[test]
fn a_block_may_have_one_distance_codeword_of_one_bit_or_none() {
    // `a`, a match of three bytes at distance 1, and the end.
    let mut one = three_symbols();
    one.lengths(&[1]).code(0, 1).code(3, 2).code(0, 1).code(2, 2);
    assert_eq!(ours(&one.bytes, 4).as_deref(), Ok(&b"aaaa"[..]));
    agrees(&one.bytes, 4);

    // The unused codeword has no symbol.
    let mut unused = three_symbols();
    unused
        .lengths(&[1])
        .code(0, 1)
        .code(3, 2)
        .code(1, 1)
        .code(2, 2)
        .number(0, 32);
    assert_eq!(ours(&unused.bytes, 4), Err(InflateError::BadDistance));
    agrees(&unused.bytes, 4);

    // A block without distance codewords can contain only literals.
    let mut none = three_symbols();
    none.lengths(&[0]).code(0, 1).code(0, 1).code(2, 2).number(0, 32);
    assert_eq!(ours(&none.bytes, 2).as_deref(), Ok(&b"aa"[..]));
    agrees(&none.bytes, 2);
    let mut none = three_symbols();
    none.lengths(&[0]).code(0, 1).code(3, 2).code(0, 1).number(0, 32);
    assert_eq!(ours(&none.bytes, 4), Err(InflateError::BadDistance));
    agrees(&none.bytes, 4);

    // A lone codeword of two bits is refused.
    let mut two_bits = three_symbols();
    two_bits.lengths(&[2]).code(0, 1).code(0, 1).code(0, 1).number(0, 32);
    assert_eq!(ours(&two_bits.bytes, 3), Err(InflateError::IncompleteCode));
    agrees(&two_bits.bytes, 3);
}

#[test]
fn stored_blocks_of_any_length_follow_each_other_at_any_bit() {
    let bytes = Random(5).bytes(1000);
    let mut stream = Vec::new();
    for (chunk, last) in [
        (&bytes[..0], 0),
        (&bytes[..1], 0),
        (&bytes[1..999], 0),
        (&bytes[999..], 0),
        (&[][..], 1),
    ] {
        let len = u16::try_from(chunk.len()).unwrap();
        // The padding after the block type is ignored.
        stream.push(0xa8 | last);
        stream.extend(len.to_le_bytes());
        stream.extend((!len).to_le_bytes());
        stream.extend(chunk);
    }
    assert!(ours(&stream, 1000).as_ref() == Ok(&bytes));
    agrees(&stream, 1001);
    // A fixed block, a stored block whose header starts inside a byte, and another fixed block.
    let mut mixed = BitWriter::default();
    mixed.number(0, 1).number(1, 2).code(0x30 + 97, 8).code(0, 7);
    mixed.number(0, 1).number(0, 2);
    while mixed.used % 8 != 0 {
        mixed.number(1, 1);
    }
    mixed.number(2, 16).number(!2 & 0xffff, 16).number(0x6362, 16);
    mixed.number(1, 1).number(1, 2).code(1, 7).code(2, 5).code(0, 7);
    assert_eq!(ours(&mixed.bytes, 6).as_deref(), Ok(&b"abcabc"[..]));
    agrees(&mixed.bytes, 6);
}

#[test]
fn matches_of_every_length_and_distance_are_copied_to_the_last_byte() {
    let head: Vec<u8> = (0..=255).collect();
    for distance in 1..=64_usize {
        for length in (3..=258_usize).step_by(5) {
            let mut bytes = head.clone();
            for _ in 0..length {
                bytes.push(bytes[bytes.len() - distance]);
            }
            // The copy can overwrite what follows, if that is near enough.
            for tail in [0, 1, 7, 40] {
                bytes.extend(head.iter().rev().take(tail));
                let stream = compress_to_vec(&bytes, 6);
                assert!(ours(&stream, bytes.len()).as_ref() == Ok(&bytes));
                bytes.truncate(256 + length);
            }
        }
    }
}

#[test]
fn the_longest_distance_codewords_with_the_most_extra_bits_are_read_at_every_bit() {
    let mut random = Random(5);
    let mut bytes = random.bytes(1 << 15);
    let mut stream = BitWriter::default();
    stream
        .number(0, 3)
        .number(0, 5)
        .number(1 << 15, 16)
        .number(!(1 << 15) & 0xffff, 16);
    for &byte in &bytes {
        stream.number(byte.into(), 8);
    }
    // A literal, the end, and a length of 3. Distances 28 and 29 have codewords of 15 bits and 13
    // extra bits.
    let mut litlen = vec![0; 258];
    (litlen[0], litlen[256], litlen[257]) = (2, 2, 1);
    let mut distance: Vec<u32> = (1..=14).collect();
    distance.resize(28, 0);
    distance.extend([15, 15]);
    stream.append(&header(&litlen, &distance));
    let [litlen_words, distance_words] = [&litlen, &distance].map(|lengths| codewords(lengths));
    for _ in 0..200 {
        let (symbol, extra) = (28 + random.below(2), random.below(1 << 13));
        stream.code(litlen_words[257], 1);
        stream
            .code(distance_words[symbol as usize], 15)
            .number(extra as u32, 13);
        let start = bytes.len() - (16_385 + (symbol - 28) * 8192 + extra) as usize;
        bytes.extend_from_within(start..start + 3);
    }
    stream.code(litlen_words[256], 2);
    assert!(ours(&stream.bytes, bytes.len()).as_ref() == Ok(&bytes));
    assert!(reference(&stream.bytes, bytes.len()).as_ref() == Some(&bytes));
}

#[test]
fn what_miniz_oxide_compresses_decodes_as_miniz_oxide_decodes_it() {
    let mut random = Random(23);
    for _ in 0..2000 {
        let len = 512 << random.below(4);
        let alphabet = 1 + random.below(256);
        let run = 1 + random.below(40);
        let mut bytes = Vec::new();
        while bytes.len() < len {
            let byte = u8::try_from(random.below(alphabet)).unwrap();
            bytes.extend(std::iter::repeat_n(byte, 1 + random.below(run) as usize));
        }
        bytes.truncate(len);
        let stream = compress_to_vec(&bytes, random.below(10) as u8);
        assert!(ours(&stream, len).as_ref() == Ok(&bytes));
        assert!(miniz(&stream, len).as_ref() == Some(&bytes));
    }
}

#[test]
fn streams_of_any_codes_and_symbols_give_what_zlib_makes_of_them_whole_and_damaged() {
    let mut memory = Memory::new();
    arbtest::arbtest(|u| {
        let mut stream = BitWriter::default();
        for _ in 0..u.int_in_range(1..=3)? {
            let litlens = u.int_in_range(257..=286)?;
            let distances = u.int_in_range(2..=30)?;
            let leaves = u.int_in_range(2..=litlens)?;
            let litlen = complete_code(u, litlens, 256, leaves)?;
            let leaves = u.int_in_range(2..=distances)?;
            let distance = complete_code(u, distances, 0, leaves)?;
            stream.append(&header(&litlen, &distance));
            let [litlen_words, distance_words] = [&litlen, &distance].map(|lengths| codewords(lengths));
            let used = |lengths: &[u32]| (0..lengths.len()).filter(|&at| lengths[at] != 0).collect::<Vec<_>>();
            let (symbols, places) = (used(&litlen), used(&distance));
            for _ in 0..u.int_in_range(0..=60)? {
                let symbol = *u.choose(&symbols)?;
                stream.code(litlen_words[symbol], litlen[symbol]);
                if symbol > 256 {
                    let extra = if symbol < 265 || symbol == 285 {
                        0
                    } else {
                        symbol as u32 / 4 - 65
                    };
                    stream.number(u.arbitrary()?, extra);
                    let place = *u.choose(&places)?;
                    stream.code(distance_words[place], distance[place]);
                    stream.number(u.arbitrary()?, (place as u32 / 2).saturating_sub(1));
                }
            }
            stream.code(litlen_words[256], litlen[256]);
        }
        let [mut workspace, _] = memory.workspaces();
        crate::work::take();
        let _ = ours_into(&stream.bytes, &mut [0; 1000], &mut workspace);
        work::assert_bounded(crate::work::take(), stream.bytes.len());
        let mut bytes = stream.bytes;
        match u.int_in_range(0..=2)? {
            0 => bytes.truncate(u.choose_index(bytes.len())?),
            1 => {
                let bit = u.choose_index(bytes.len() * 8)?;
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            _ => bytes.extend([0; 8]),
        }
        agrees(&bytes, u.int_in_range(1..=300)?);
        Ok(())
    })
    .size_min(600)
    .size_max(4000)
    .budget_ms(1500);
}
