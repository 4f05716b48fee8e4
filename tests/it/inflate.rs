//! The DEFLATE decoder by itself, compared with zlib and miniz_oxide, which share no code with it.

// The decoder is private to the crate, so the test includes its source.
#[path = "../../src/inflate/mod.rs"]
#[allow(dead_code, unreachable_pub)]
#[allow(clippy::module_inception)]
mod inflate;

use crate::common::{Random, pattern};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use inflate::{InflateError, SmallTables, Tables, Workspace, inflate as ours_into};
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use zerocopy::{FromBytes, IntoBytes};

/// The memory of both decoders, filled with garbage at first.
struct Memory {
    tables: Tables,
    small: SmallTables,
}

impl Memory {
    fn new() -> Self {
        let tables = Tables::read_from_bytes(&[0xa7; size_of::<Tables>()]).unwrap();
        let small = SmallTables::read_from_bytes(&[0xa7; size_of::<SmallTables>()]).unwrap();
        Self { tables, small }
    }

    /// Decodes a stream to `len` bytes with either memory. Asserts that both results are the same.
    fn inflate(&mut self, stream: &[u8], len: usize) -> Result<Vec<u8>, InflateError> {
        let [fast, small] =
            [Workspace::Tables(&mut self.tables), Workspace::Small(&mut self.small)].map(|mut memory| {
                let mut output = vec![0xcc; len];
                ours_into(stream, &mut output, &mut memory).map(|()| output)
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

/// Decodes a stream with zlib. Returns the bytes if they fill the output, even if zlib refuses what follows, because
/// QEMU tests only the output.
fn reference(stream: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut zlib = Decompress::new(false);
    let mut output = vec![0; len];
    let _ = zlib.decompress(stream, &mut output, FlushDecompress::Finish);
    (zlib.total_out() as usize == len).then_some(output)
}

/// Decodes a stream with miniz_oxide. Unlike zlib, it accepts a block without a code for its own end.
fn miniz(stream: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut output = vec![0; len];
    let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let (_, _, written) = decompress(&mut DecompressorOxide::new(), stream, &mut output, 0, flags);
    (written == len).then_some(output)
}

/// Asserts that the crate, zlib and miniz_oxide decode a stream to the same bytes, or all refuse it.
fn agrees(stream: &[u8], len: usize) {
    let ours = ours(stream, len).ok();
    assert_eq!(ours, reference(stream, len), "stream {stream:02x?}");
    assert_eq!(ours, miniz(stream, len), "stream {stream:02x?}");
}

/// Compresses with zlib to a raw stream. QEMU uses `window_bits` of 12.
fn zlib_stream(bytes: &[u8], level: u32, window_bits: u8) -> Vec<u8> {
    let mut zlib = Compress::new_with_window_bits(Compression::new(level), false, window_bits);
    let mut stream = Vec::with_capacity(bytes.len() * 2 + 100);
    zlib.compress_vec(bytes, &mut stream, FlushCompress::Finish).unwrap();
    stream
}

/// Returns data of all kinds, `len` bytes each: zeros, text, a program, noise, a pattern, few symbols, far matches.
fn samples(len: usize) -> Vec<Vec<u8>> {
    let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let text = include_str!("../../README.md").as_bytes();
    let mut random = Random(7);
    let few = random
        .bytes(len)
        .iter()
        .map(|byte| b"abc"[usize::from(byte % 3)])
        .collect();
    let mut far = random.bytes(len / 2);
    far.extend_from_within(..);
    far.resize(len, 0);
    vec![
        vec![0; len],
        text.iter().copied().cycle().take(len).collect(),
        program.iter().copied().skip(program.len() / 3).take(len).collect(),
        random.bytes(len),
        pattern(3, len),
        few,
        far,
    ]
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
fn an_error_is_a_clause_that_a_sentence_can_end_with() {
    let text = InflateError::EndsEarly.to_string();
    assert_eq!(text, "the last compressed block ends before the output is full");
}

#[test]
fn the_tables_take_7912_bytes_and_the_small_ones_1032() {
    assert_eq!((size_of::<Tables>(), size_of::<SmallTables>()), (7912, 1032));
}

#[test]
fn fixed_and_stored_blocks_build_no_tables() {
    let mut stream = BitWriter::default();
    for byte in 0..100 {
        // An empty fixed block, a fixed block of a literal and a match, an empty stored block, a stored block of one
        // byte.
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
    assert!(memory.tables.as_bytes().iter().all(|&byte| byte == 0xa7));
    assert!(memory.small.as_bytes().iter().all(|&byte| byte == 0xa7));
}

/// Writes bits in the order that the format uses.
#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    used: usize,
}

impl BitWriter {
    /// Appends a number, lowest bit first.
    fn number(&mut self, value: u32, bits: u32) -> &mut Self {
        for bit in 0..bits {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().unwrap() |= u8::from(value >> bit & 1 != 0) << (self.used % 8);
            self.used += 1;
        }
        self
    }

    /// Appends a codeword, highest bit first.
    fn code(&mut self, value: u32, bits: u32) -> &mut Self {
        self.number(value.reverse_bits() >> (32 - bits), bits)
    }

    /// Appends all bits of `other`.
    fn append(&mut self, other: &Self) {
        for bit in 0..other.used {
            self.number(u32::from(other.bytes[bit / 8] >> (bit % 8)), 1);
        }
    }

    /// Starts a last, dynamic block. Its code for code lengths has 16 codewords of 4 bits: each length below 14 is its
    /// own codeword, 14 repeats the previous length (symbol 16), and 15 is a run of zeros (symbol 17).
    fn dynamic(litlens: u32, distances: u32) -> Self {
        let mut this = Self::default();
        this.number(1, 1).number(2, 2);
        this.number(litlens - 257, 5).number(distances - 1, 5).number(19 - 4, 4);
        // By symbol: 16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15.
        for length in [4, 4, 0, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 0, 4, 0] {
            this.number(length, 3);
        }
        this
    }

    /// Appends code lengths below 14.
    fn lengths(&mut self, lengths: &[u32]) -> &mut Self {
        for &length in lengths {
            self.code(length, 4);
        }
        self
    }

    /// Appends `count` code lengths of 0, as runs where possible.
    fn zeros(&mut self, mut count: u32) -> &mut Self {
        while count > 0 {
            if count < 3 {
                self.code(0, 4);
                count -= 1;
            } else {
                let run = count.min(10);
                self.code(15, 4).number(run - 3, 3);
                count -= run;
            }
        }
        self
    }
}

/// Starts a dynamic block with the codewords 0 for `a`, 10 for the end of the block, and 11 for a match of 3 bytes. The
/// caller appends the length of the only distance codeword.
fn three_symbols() -> BitWriter {
    let mut writer = BitWriter::dynamic(258, 1);
    writer.zeros(97).lengths(&[1]).zeros(158).lengths(&[2, 2]);
    writer
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
    // zlib accepts a lone codeword in the two codes of a block, but not in the code for code lengths.
    refused(lone.number(1, 3).number(0, 9), IncompleteCode);
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

/// Returns the lengths of a random complete code: `leaves` of the `symbols` symbols have a codeword, of 15 bits at
/// most. `needed` is one of them.
fn complete_code(
    u: &mut arbtest::arbitrary::Unstructured<'_>,
    symbols: usize,
    needed: usize,
    leaves: usize,
) -> arbtest::arbitrary::Result<Vec<u32>> {
    let mut lengths = vec![1, 1];
    while lengths.len() < leaves {
        // Mostly the newest leaf is split, so that there are long codewords.
        let leaf = if u.ratio(2, 3)? {
            lengths.len() - 1
        } else {
            u.choose_index(lengths.len())?
        };
        if lengths[leaf] < 15 {
            lengths[leaf] += 1;
            lengths.push(lengths[leaf]);
        } else {
            lengths.swap(0, leaf);
            let shortest = (0..lengths.len()).min_by_key(|&at| lengths[at]).unwrap();
            lengths[shortest] += 1;
            lengths.push(lengths[shortest]);
        }
    }
    let mut code = vec![0; symbols];
    code[needed] = lengths.pop().unwrap();
    for length in lengths {
        let mut symbol = u.choose_index(symbols)?;
        while code[symbol] != 0 {
            symbol = (symbol + 1) % symbols;
        }
        code[symbol] = length;
    }
    Ok(code)
}

/// Returns the canonical codewords of a code.
fn codewords(lengths: &[u32]) -> Vec<u32> {
    let mut next = 0;
    let mut words = vec![0; lengths.len()];
    for bits in 1..16 {
        for (word, _) in words.iter_mut().zip(lengths).filter(|(_, length)| **length == bits) {
            *word = next;
            next += 1;
        }
        next *= 2;
    }
    words
}

/// Returns an empty block with these codes, in nearly as few bits as the format allows.
fn empty_block(litlen: &[u32], distance: &[u32]) -> BitWriter {
    // Symbols of the code for code lengths, with the value and the number of their extra bits.
    let mut written: Vec<(usize, u32, u32)> = Vec::new();
    let all = [litlen, distance].concat();
    for run in all.chunk_by(|a, b| a == b) {
        let (length, mut left) = (run[0] as usize, run.len() as u32);
        if length != 0 {
            written.push((length, 0, 0));
            left -= 1;
        }
        while left != 0 {
            let (symbol, repeated, least, bits) = match (length, left) {
                (0, 11..) => (18, left.min(138), 11, 7),
                (0, 3..) => (17, left, 3, 3),
                (1.., 3..) => (16, left.min(6), 3, 2),
                _ => (length, 1, 1, 0),
            };
            written.push((symbol, repeated - least, bits));
            left -= repeated;
        }
    }
    let mut used: Vec<(usize, usize)> = (0..19)
        .map(|symbol| (written.iter().filter(|one| one.0 == symbol).count(), symbol))
        .filter(|(number, _)| *number != 0)
        .collect();
    used.sort_by(|a, b| b.cmp(a));
    let mut precode = [0; 19];
    for (rank, (_, symbol)) in used.iter().enumerate() {
        // One bit for the most frequent symbol, two for the next, and so on. With more than 8 symbols, 4 bits for each.
        precode[*symbol] = if used.len() <= 8 {
            (rank + 1).min(used.len() - 1) as u32
        } else {
            4
        };
    }
    if used.len() > 8 {
        // A complete code needs all of the 16 codewords.
        let unused: Vec<usize> = (0..19).filter(|&symbol| precode[symbol] == 0).collect();
        unused
            .iter()
            .take(16 - used.len())
            .for_each(|&symbol| precode[symbol] = 4);
    }
    let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let named = order.iter().rposition(|&symbol| precode[symbol] != 0).unwrap() as u32 + 1;
    let words = codewords(&precode);
    let mut block = BitWriter::default();
    block.number(0, 1).number(2, 2);
    block
        .number(litlen.len() as u32 - 257, 5)
        .number(distance.len() as u32 - 1, 5)
        .number(named - 4, 4);
    order[..named as usize].iter().for_each(|&symbol| {
        block.number(precode[symbol], 3);
    });
    for (symbol, extra, bits) in written {
        block.code(words[symbol], precode[symbol]).number(extra, bits);
    }
    block.code(codewords(litlen)[256], litlen[256]);
    block
}

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
            for mut workspace in [
                Workspace::Tables(&mut memory.tables),
                Workspace::Small(&mut memory.small),
            ] {
                inflate::work::take();
                let result = ours_into(&stream.bytes, &mut vec![0; 65_536], &mut workspace);
                assert_eq!(result, Err(InflateError::InputEnded));
                let (sets, steps) = inflate::work::take();
                assert!(sets >= blocks, "{sets} sets for {blocks} blocks");
                // A block has 257 code lengths or more, and a step writes at most eight of them.
                assert!(steps >= 33 * blocks, "{steps} steps for {blocks} blocks");
                assert!(
                    sets <= stream.bytes.len() / inflate::BYTES_PER_SET,
                    "{sets} sets of tables"
                );
                assert!(steps <= sets * inflate::STEPS_PER_SET, "{steps} steps for {sets} sets");
            }
        }
    }
    assert_eq!(shortest, 90, "bits of the shortest dynamic block that is known");
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
            stream.number(0, 1).number(2, 2);
            stream
                .number(litlens as u32 - 257, 5)
                .number(distances as u32 - 1, 5)
                .number(15, 4);
            // 13 codewords of 4 bits and 6 of 5 bits are a complete code.
            let precode: Vec<u32> = (0..19).map(|symbol| 4 + u32::from(symbol > 12)).collect();
            let words = codewords(&precode);
            for symbol in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15] {
                stream.number(precode[symbol], 3);
            }
            for &length in litlen.iter().chain(&distance) {
                stream.code(words[length as usize], precode[length as usize]);
            }
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
        let mut workspace = Workspace::Tables(&mut memory.tables);
        inflate::work::take();
        let _ = ours_into(&stream.bytes, &mut [0; 1000], &mut workspace);
        let (sets, steps) = inflate::work::take();
        assert!(steps <= sets * inflate::STEPS_PER_SET, "{steps} steps for {sets} sets");
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
