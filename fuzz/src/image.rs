//! Opens a file, each byte of which is the fuzzer's, reads it at several offsets and iterates over its extents, and
//! compares with the oracle.

use qcow1::{BlockSize, Header};

use super::bounds;
use super::compare;
use super::levels::{Lent, Level, Opened};

/// The number of bytes that are read at each offset.
const READ: u64 = 1200;

/// The maximum memory that is lent, in bytes, unless a block is larger.
const LENT: usize = 24_000;

pub fn image(bytes: &[u8]) -> bool {
    // The last two bytes select the options and an offset.
    let Some((file, &[mode, place])) = bytes.split_last_chunk::<2>() else {
        return false;
    };
    let block_size = BlockSize::new(1 << (mode >> 1 & 15)).unwrap();
    let needed = Header::parse(file).map_or(512, |header| header.memory_for(block_size, u64::MAX).compressed);
    let minimum = 512.max(block_size.bytes() as usize);
    let levels = [Level {
        file: file.to_vec(),
        block_size,
        lend: needed.min(LENT).max(minimum),
        is_raw: false,
    }];
    let mut lent = Lent::new(&levels);
    let mut opened = Opened::new(&levels, &mut lent, mode & 1 != 0);
    if opened.layers.is_empty() {
        return false;
    }
    if mode & 0x20 != 0 {
        opened.set_key(0);
    }
    let size = opened.chain.size();
    let middle = compare::place(u16::from(place) << 8 | 0xc000, size);
    for start in [0, middle, size.saturating_sub(READ), 511] {
        let start = start.min(size);
        let mut bytes = vec![0xcc; READ.min(size - start) as usize];
        let before = opened.costs();
        let read = opened.chain.read_at(start, &mut bytes);
        opened.cost_of_read(before, start, bytes.len() as u64);
        compare::read(&opened.layers, &opened.lacks, start, &bytes, &read);
    }
    extents(&mut opened);
    true
}

/// Compares the first extents. Asserts that they are adjacent and inside the disk.
fn extents(opened: &mut Opened<'_>) {
    let (layer, shape, log) = (&opened.layers[0], &opened.shapes[0], &opened.logs[0][0]);
    let mut end = 0;
    let mut before = log.requests();
    for extent in opened.chain.image_mut(0).unwrap().extents().take(24) {
        assert!(log.requests() - before <= bounds::extent(shape, end, u64::MAX));
        before = log.requests();
        compare::extent(layer, end, u64::MAX, &extent, false);
        let Ok(extent) = extent else {
            break;
        };
        end = extent.end();
    }
    assert!(end <= shape.size);
}
