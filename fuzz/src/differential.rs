//! Reads chains of valid, then slightly damaged images: the synchronous images, the asynchronous images and the oracle
//! must agree.

use arbitrary::Unstructured;

use super::compare;
use super::forge;
use super::futures::finish;
use super::levels::{Lent, Opened};

/// The maximum number of bytes that are read of a disk.
const READ: u64 = 16_000;

pub fn differential(bytes: &[u8]) -> bool {
    run(&mut Unstructured::new(bytes)).unwrap_or(false)
}

fn run(u: &mut Unstructured<'_>) -> arbitrary::Result<bool> {
    let [flags, step] = u.arbitrary::<[u8; 2]>()?;
    let start: u16 = u.arbitrary()?;
    let levels = forge::chain(u)?;
    let mut lent = Lent::new(&levels);
    let mut opened = Opened::new(&levels, &mut lent, flags & 1 != 0);
    if opened.layers.is_empty() {
        return Ok(false);
    }
    for level in 0..opened.layers.len() {
        if flags >> (level + 1) & 1 != 0 {
            opened.set_key(level);
        }
    }
    let size = opened.chain.size();
    let mut at = if size > READ {
        compare::place(start, size.max(1))
    } else {
        0
    };
    let end = size.min(at + READ);
    // Mostly a few sectors at a time, not aligned to sectors.
    let step = 700 + u64::from(step) * 37;
    while at < end {
        let mut bytes = vec![0xcc; step.min(end - at) as usize];
        let mut slow_bytes = bytes.clone();
        let before = opened.costs();
        let read = opened.chain.read_at(at, &mut bytes);
        let slow_read = finish(opened.slow.read_at(at, &mut slow_bytes));
        assert_eq!(read, slow_read);
        assert!(read.is_err() || bytes == slow_bytes);
        opened.cost_of_read(before, at, bytes.len() as u64);
        compare::read(&opened.layers, &opened.lacks, at, &bytes, &read);
        at += step;
    }
    for logs in opened.logs {
        assert_eq!(logs[0].digest(), logs[1].digest(), "other requests");
    }
    Ok(true)
}
