//! Checks a file, each byte of which is the fuzzer's, and compares with the simple check of the tests. A clean image
//! must read without corruption.

use qcow1::{BlockSize, CheckOptions, Error, Header, Image, Key, Memory, OpenOptions};

use super::KEY;
use super::bounds;
use super::checker::{self, agrees, to_flaw};
use super::compare;
use super::device::{Device, Log};
use super::oracle::{Layer, Oracle, Rules};

/// The number of bytes that are read of a clean disk.
const READ: u64 = 16_384;

/// The maximum memory that is lent, in bytes.
const LENT: usize = 24_000;

/// The maximum number of words. The simple check compares each part with all others, so it is too slow for more.
const WORDS: u64 = 400;

pub fn check(bytes: &[u8]) -> bool {
    // The last byte selects the options.
    let Some((&mode, file)) = bytes.split_last() else {
        return false;
    };
    let salvage = mode & 1 != 0;
    let overlaps = mode & 2 != 0;
    let block_size = [BlockSize::BYTE, BlockSize::B512, BlockSize::B4096][usize::from(mode >> 3) % 3];
    let Ok(mut oracle) = Oracle::open(file, Rules { salvage }) else {
        return false;
    };
    oracle.key = Some(KEY);
    if oracle.l1_words() + file.len() as u64 / 8 > WORDS {
        return false;
    }

    let log = Log::default();
    let needed = Header::parse(file).map_or(512, |header| header.memory_for(block_size, u64::MAX).compressed);
    let inflate = mode & 4 != 0 && needed <= LENT;
    let rules = checker::Rules {
        salvage,
        overlaps,
        inflate,
    };
    let report = checker::check(file, rules);
    let mut memory = vec![0xdd; needed.min(LENT)];
    let options = OpenOptions::new().salvage(salvage);
    let mut image = Image::open_with(options, Device::new(file, block_size, &log), &mut memory).unwrap();
    image.set_key(&Key::from_bytes(KEY));
    let size = image.size();

    let mut bitmap = vec![0xdd; if overlaps { image.check_bitmap_len() } else { 0 }];
    let mut options = CheckOptions::new().inflate(inflate);
    if overlaps {
        options = options.bitmap(&mut bitmap);
    }
    let mut found = Vec::new();
    let before = log.requests();
    assert!(before <= bounds::OPEN, "{before} reads to open");
    let summary = image
        .check_with(options, |finding| {
            let guest = finding.corrupt.guest_offset().unwrap_or(0);
            assert!(finding.count > 0 && guest + finding.guest_len <= size);
            found.push(to_flaw(&finding));
        })
        .unwrap();
    let cost = log.requests() - before;
    assert!(
        agrees(summary, &found, &report),
        "{summary:?} {found:?}, the plain check {report:?}"
    );
    let inflated = summary.compressed_bytes.div_ceil(oracle.cluster_size());
    let most = bounds::check(report.words, if inflate { inflated } else { 0 });
    assert!(cost <= most, "{cost} reads, not {most}");

    if summary.findings == 0 {
        clean(&mut image, oracle, (needed > LENT).then_some(needed), inflate);
    }
    true
}

/// Reads both ends of an image without findings, and compares with the oracle. `lack` is the bytes of memory that its
/// compressed clusters need, if it was lent less.
fn clean(image: &mut Image<Device<'_>, impl Memory>, oracle: Oracle<'_>, lack: Option<usize>, has_inflated: bool) {
    let layers = [Layer::Qcow(oracle)];
    let size = image.size();
    for start in [0, size.saturating_sub(READ / 2)] {
        let mut bytes = vec![0; (READ / 2).min(size - start) as usize];
        let read = image.read_at(start, &mut bytes);
        match &read {
            Err(Error::Corrupt(corrupt)) if has_inflated => panic!("clean, but {corrupt}"),
            _ => compare::read(&layers, &[lack], start, &bytes, &read),
        }
    }
}
