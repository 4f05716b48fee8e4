//! Writes streams bit by bit, for blocks that no compressor makes.

use std::prelude::v1::*;
use std::vec;

/// Writes bits in the order that the format uses.
#[derive(Default)]
pub(super) struct BitWriter {
    pub(super) bytes: Vec<u8>,
    pub(super) used: usize,
}

impl BitWriter {
    /// Appends a number, lowest bit first.
    pub(super) fn number(&mut self, value: u32, bits: u32) -> &mut Self {
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
    pub(super) fn code(&mut self, value: u32, bits: u32) -> &mut Self {
        self.number(value.reverse_bits() >> (32 - bits), bits)
    }

    /// Appends all bits of `other`.
    pub(super) fn append(&mut self, other: &Self) {
        for bit in 0..other.used {
            self.number(u32::from(other.bytes[bit / 8] >> (bit % 8)), 1);
        }
    }

    /// Starts a last, dynamic block. Its code for code lengths has 16 codewords of 4 bits: each
    /// length below 14 is its own codeword, 14 repeats the previous length (symbol 16), and 15 is a
    /// run of zeros (symbol 17).
    pub(super) fn dynamic(litlens: u32, distances: u32) -> Self {
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
    pub(super) fn lengths(&mut self, lengths: &[u32]) -> &mut Self {
        for &length in lengths {
            self.code(length, 4);
        }
        self
    }

    /// Appends `count` code lengths of 0, as runs where possible.
    pub(super) fn zeros(&mut self, mut count: u32) -> &mut Self {
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

/// Starts a dynamic block with the codewords 0 for `a`, 10 for the end of the block, and 11 for a
/// match of 3 bytes. The caller appends the length of the only distance codeword.
pub(super) fn three_symbols() -> BitWriter {
    let mut writer = BitWriter::dynamic(258, 1);
    writer.zeros(97).lengths(&[1]).zeros(158).lengths(&[2, 2]);
    writer
}

/// Returns the lengths of a random complete code: `leaves` of the `symbols` symbols have a
/// codeword, of 15 bits at most. `needed` is one of them.
pub(super) fn complete_code(
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
pub(super) fn codewords(lengths: &[u32]) -> Vec<u32> {
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

/// Returns the header of a block with these codes, each length for itself.
pub(super) fn header(litlen: &[u32], distance: &[u32]) -> BitWriter {
    let mut header = BitWriter::default();
    header.number(0, 1).number(2, 2);
    header
        .number(litlen.len() as u32 - 257, 5)
        .number(distance.len() as u32 - 1, 5)
        .number(15, 4);
    // 13 codewords of 4 bits and 6 of 5 bits are a complete code.
    let precode: Vec<u32> = (0..19).map(|symbol| 4 + u32::from(symbol > 12)).collect();
    let words = codewords(&precode);
    for symbol in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15] {
        header.number(precode[symbol], 3);
    }
    for &length in litlen.iter().chain(distance) {
        header.code(words[length as usize], precode[length as usize]);
    }
    header
}

/// Returns a block with these codes and of `literals` literals, the shortest that there are, in
/// nearly as few bits as the format allows.
pub(super) fn block(litlen: &[u32], distance: &[u32], literals: usize) -> BitWriter {
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
        // One bit for the most frequent symbol, two for the next, and so on. With more than 8
        // symbols, 4 bits for each.
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
    let words = codewords(litlen);
    let literal = (0..256).filter(|&at| litlen[at] != 0).min_by_key(|&at| litlen[at]);
    // A code without literals can have an empty block only.
    for symbol in literal.into_iter().cycle().take(literals).chain([256]) {
        block.code(words[symbol], litlen[symbol]);
    }
    block
}
