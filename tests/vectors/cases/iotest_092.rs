//! The headers that iotest 092 makes, QEMU's own test of malformed headers. Each field is set here
//! as the test sets it.

use crate::case::{Case, Expect, with};
use crate::common::ImageBuilder;

const SOURCE: &str = "QEMU iotest 092";

/// Returns an image of 64 MiB of holes, as QEMU makes it, with other bytes at some offsets.
fn empty_with(patches: &[(usize, &[u8])]) -> Vec<u8> {
    let mut file = ImageBuilder::new(64 << 20).build();
    file.resize(560, 0);
    patches.iter().fold(file, |file, (at, bytes)| with(file, *at, bytes))
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for bits in [0xff, 0x1f, 0x08, 0x11] {
        let shows = format!("cluster_bits {bits} is outside 9 to 16.");
        let file = empty_with(&[(32, &[bits])]);
        cases.push(Case::corrupt(&format!("cluster-bits-{bits}"), SOURCE, &shows, file));
    }
    for bits in [0xff, 0x05, 0x0e, 0x1b] {
        let shows = format!("l2_bits {bits} is outside 6 to 13.");
        let file = empty_with(&[(33, &[bits])]);
        cases.push(Case::corrupt(&format!("l2-bits-{bits}"), SOURCE, &shows, file));
    }
    for (name, size) in [
        ("size-eeeeeeeeeeeeeeee", 0xeeee_eeee_eeee_eeee_u64),
        ("size-7fffffffffffffff", u64::MAX >> 1),
    ] {
        let file = empty_with(&[(24, &size.to_be_bytes())]);
        let shows = "A size whose L1 is larger than any file.";
        cases.push(Case::corrupt(name, SOURCE, shows, file).salvages(Expect::zeros(size)));
    }
    for (name, len) in [
        ("name-of-ffffffff", [0xff; 4]),
        ("name-of-7fffffff", [0x7f, 0xff, 0xff, 0xff]),
    ] {
        let file = empty_with(&[(8, &[0, 0, 0, 0xff]), (16, &len)]);
        let shows = "A backing name that is far too long.";
        cases.push(Case::corrupt(name, SOURCE, shows, file));
    }
    cases
}
