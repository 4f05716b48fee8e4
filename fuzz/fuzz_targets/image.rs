//! A whole file: opened, read at many places, and gone through, beside the plain reader of the tests.
#![no_main]

#[path = "../../tests/common/oracle.rs"]
#[allow(dead_code)]
mod oracle;

use libfuzzer_sys::fuzz_target;
use oracle::{Layer, Oracle, Rules};
use qcow1::{BlockSize, Blocks, Error, Image, Key, OpenOptions};

/// What is read of a disk, at its start, at its end, and in between.
const READ: u64 = 20_000;

fuzz_target!(|bytes: &[u8]| {
    // The last byte says how to read the rest.
    let Some((&mode, file)) = bytes.split_last() else {
        return;
    };
    let salvage = mode & 1 != 0;
    let block_size = BlockSize::new(1 << (mode >> 1 & 15)).unwrap();
    let key = (mode & 0x20 != 0).then_some([7; 16]);
    let mut memory = vec![0xdd; if mode & 0x40 == 0 { 65_536 } else { 300_000 }];
    let options = OpenOptions::new().salvage(salvage);
    let opened = options.open(Blocks::new(file, block_size), &mut memory);
    let oracle = Oracle::open(file, Rules { salvage, no_xen: false });
    assert_eq!(opened.is_ok(), oracle.is_ok());
    let (Ok(mut image), Ok(mut oracle)) = (opened, oracle) else {
        return;
    };
    oracle.key = key;
    if let Some(key) = key {
        image.set_key(&Key::from_bytes(key));
    }
    let layers = [Layer::Qcow(oracle)];
    let size = image.size();
    for (start, len) in [
        (0, READ),
        (size.saturating_sub(READ), READ),
        (size / 2, READ),
        (0, 1),
        (513, 1000),
        (size.saturating_sub(1), 1),
    ] {
        let len = len.min(size.saturating_sub(start)) as usize;
        let mut ours = vec![0xcc; len];
        match (image.read_at(start, &mut ours), oracle::read(&layers, start, len)) {
            (Ok(()), Ok(theirs)) => assert!(ours == theirs),
            (Err(Error::MemoryTooSmall { needed }), _) => assert!(needed > 65_536),
            (ours, theirs) => assert_eq!(ours.is_ok(), theirs.is_ok(), "{ours:?}"),
        }
    }
    check(&mut image);
});

/// Runs follow each other without a gap, and each word that is wrong is found.
fn check(image: &mut Image<'_, Blocks<&[u8]>>) {
    let mut end = 0;
    for extent in image.extents().take(10_000) {
        let Ok(extent) = extent else {
            break;
        };
        assert!(extent.len > 0 && extent.start == end);
        end = extent.end();
    }
    assert!(end <= image.size());
}
