//! Three files on top of each other, read beside the plain reader of the tests.
#![no_main]

#[path = "../../tests/common/oracle.rs"]
#[allow(dead_code)]
mod oracle;

use libfuzzer_sys::fuzz_target;
use oracle::{Layer, Oracle, Rules};
use qcow1::{Chain, Error, Image};

#[derive(arbitrary::Arbitrary, Debug)]
struct Input<'a> {
    top: &'a [u8],
    middle: &'a [u8],
    base: &'a [u8],
    raw_base: bool,
    reads: [(u32, u16); 8],
}

fuzz_target!(|input: Input<'_>| {
    let mut memories = [[0xdd_u8; 20_000]; 3];
    let mut chain: Chain<Image<'_, &[u8]>, 3> = Chain::new();
    let mut layers = Vec::new();
    let files = [input.top, input.middle, input.base];
    for (level, (file, memory)) in files.into_iter().zip(&mut memories).enumerate() {
        let raw = level == 2 && input.raw_base;
        let (image, layer) = if raw {
            (Image::open_raw(file, memory).unwrap(), Layer::Raw(file))
        } else {
            let Ok(image) = Image::open(file, memory) else {
                break;
            };
            (image, Layer::Qcow(Oracle::open(file, Rules::default()).unwrap()))
        };
        if chain.push(image).is_err() {
            break;
        }
        layers.push(layer);
    }
    if layers.is_empty() {
        return;
    }
    for (start, len) in input.reads {
        let start = u64::from(start) % chain.size().max(1);
        let len = u64::from(len).min(chain.size() - start.min(chain.size())) as usize;
        let mut ours = vec![0xcc; len];
        match (chain.read_at(start, &mut ours), oracle::read(&layers, start, len)) {
            (Ok(()), Ok(theirs)) => assert!(ours == theirs),
            (Err(Error::MemoryTooSmall { needed }), _) => assert!(needed > 20_000),
            (ours, theirs) => assert_eq!(ours.is_ok(), theirs.is_ok(), "{ours:?}"),
        }
        if start < chain.size() {
            let _ = chain.extent_at(start, len as u64 + 1);
        }
    }
});
