//! A read depends on the image, and never on earlier reads.

use crate::case::{Case, Disk, Read, text};
use crate::common::Refusal;
use crate::deflate::{Deflate, deflate};

const LEFT_BEHIND: &str = "defect: QEMU, a failed read changes a later one";
const OFFSET_ALONE: &str = "defect: QEMU, a stream is known by its offset alone";
const SPAN: usize = 512 << 6;

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    left_behind(&mut cases);
    offset_alone(&mut cases);
    cases
}

/// Returns reads of clusters, in this order. Those of cluster `bad` fail.
fn reads(disk: &Disk, bad: usize, order: &[usize]) -> Vec<Read> {
    let read = |&cluster: &usize| {
        let at = cluster * 512;
        if cluster == bad {
            Read::fails(at as u64, 512, Refusal::Corrupt)
        } else {
            Read::gives(at as u64, &disk.guest[at..at + 512])
        }
    };
    order.iter().map(read).collect()
}

fn left_behind(cases: &mut Vec<Case>) {
    let bytes = text(512, 512);
    let (start, rest) = bytes.split_at(200);
    for (name, shows, stream) in [
        (
            "good-bad-good",
            "A good compressed cluster, a corrupt one, and the good one again.",
            Deflate::new().block(true, 1).literals(start).symbol(286).build(),
        ),
        (
            "good-short-good",
            "A good compressed cluster, one that is too short, and the good one again.",
            deflate(rest),
        ),
    ] {
        let disk = Disk::small(2048)
            .compressed(0)
            .stream(512, &stream, &[0; 512])
            .compressed(1024)
            .data(1536, 512);
        let reads = reads(&disk, 1, &[0, 1, 0, 1, 2, 1, 3, 2, 1, 0]);
        cases.push(Case::corrupt(name, LEFT_BEHIND, shows, disk.image.build()).then(reads));
    }
    let shows = "A table that cannot be read between reads of one that can.";
    let mut disk = Disk::small(2 * SPAN).data(0, 512).compressed(512);
    disk.image.l1_word(1, 1 << 63 | 512);
    let reads = reads(&disk, 64, &[0, 64, 0, 1, 64, 1]);
    cases.push(Case::corrupt("good-bad-table", LEFT_BEHIND, shows, disk.image.build()).then(reads));
}

fn offset_alone(cases: &mut Vec<Case>) {
    let stream = deflate(&text(0, 512));
    let good = |disk: Disk, at| disk.stream_at(at, 2048, &stream, &text(0, 512));
    for (name, len, shows) in [
        (
            "size-0-behind-good",
            0,
            "A word with a good stream's offset and no size, after the good one.",
        ),
        (
            "size-1-behind-good",
            1,
            "A word with a good stream's offset and a size of 1, after the good one.",
        ),
        (
            "cut-behind-good",
            stream.len() as u64 / 2,
            "A word with a good stream's offset and half its size, after the good one.",
        ),
    ] {
        let disk = good(Disk::small(1024), 0).word(512, 1 << 63 | len << 54 | 2048);
        let reads = reads(&disk, 1, &[1, 0, 1, 0]);
        cases.push(Case::corrupt(name, OFFSET_ALONE, shows, disk.image.build()).then(reads));
    }
    let shows = "A word with a good stream's offset and half its size, before the good one.";
    let cut = 1 << 63 | (stream.len() as u64 / 2) << 54 | 2048;
    let disk = good(Disk::small(1024), 512).word(0, cut);
    let reads = reads(&disk, 0, &[0, 1, 0, 1]);
    cases.push(Case::corrupt("cut-before-good", OFFSET_ALONE, shows, disk.image.build()).then(reads));
}
