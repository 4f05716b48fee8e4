//! Opens a chain of three files, each byte of which is the fuzzer's, and compares reads and extents with the oracle.

use arbitrary::Unstructured;
use qcow1::{BlockSize, Header};

use super::compare;
use super::levels::{Lent, Level, Opened};

/// The maximum memory that is lent to an image, in bytes.
const LENT: usize = 24_000;

pub fn chain(bytes: &[u8]) -> bool {
    run(&mut Unstructured::new(bytes)).unwrap_or(false)
}

fn run(u: &mut Unstructured<'_>) -> arbitrary::Result<bool> {
    let flags: u8 = u.arbitrary()?;
    let cuts: [u16; 2] = u.arbitrary()?;
    let reads: [(u16, u8); 5] = u.arbitrary()?;
    let depth = 3 - usize::from(flags >> 1 & 1);
    let rest = u.len();
    let mut levels = Vec::with_capacity(depth);
    for level in 0..depth {
        let len = cuts.get(level).map_or(rest, |&len| usize::from(len % 2048));
        let file = u.bytes(len.min(u.len()))?.to_vec();
        let is_raw = level > 0 && level + 1 == depth && flags & 4 != 0;
        let block_size = if flags & 8 == 0 {
            BlockSize::BYTE
        } else {
            BlockSize::B512
        };
        let needed = Header::parse(&file).map_or(512, |header| header.memory_for(block_size, u64::MAX).compressed);
        levels.push(Level {
            file,
            block_size,
            lend: needed.min(LENT),
            is_raw,
        });
    }
    let mut lent = Lent::new(&levels);
    let mut opened = Opened::new(&levels, &mut lent, flags & 1 != 0);
    let size = opened.chain.size();
    if opened.layers.is_empty() || size == 0 {
        return Ok(false);
    }
    for (start, len) in reads {
        let offset = compare::place(start, size);
        let mut bytes = vec![0xcc; (u64::from(len) * 8 + 1).min(size - offset) as usize];
        let before = opened.costs();
        let read = opened.chain.read_at(offset, &mut bytes);
        opened.cost_of_read(before, offset, bytes.len() as u64);
        compare::read(&opened.layers, &opened.lacks, offset, &bytes, &read);

        let max_len = u64::from(len) << 8 | 1;
        let before = opened.costs();
        let extent = opened.chain.extent_at(offset, max_len);
        opened.cost_of_extent(before, offset, max_len);
        compare::chain_extent(&opened.layers, offset, max_len, &extent, false);
    }
    Ok(true)
}
