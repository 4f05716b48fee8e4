//! Files that end too soon.

use super::key;
use crate::case::{Backing, Case, Disk, Expect, text, with};
use crate::common::oracle::inflate;
use crate::deflate::{Deflate, deflate};

const FORMAT: &str = "format: table words";
const SPAN: usize = 512 << 6;

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    data(&mut cases);
    tables(&mut cases);
    compressed(&mut cases);
    encrypted(&mut cases);
    below(&mut cases);
    cases
}

fn data(cases: &mut Vec<Case>) {
    let disk = Disk::small(2048).data(0, 2048);
    for cut in [1, 100, 512, 513, 2048] {
        let shows = format!("The last {cut} bytes of the data are missing.");
        let left = disk.lost(2048 - cut..2048);
        let name = format!("data-by-{cut}");
        cases.push(Case::cut(&name, FORMAT, &shows, disk.without(cut), &left));
    }
    let disk = Disk::new(2560, |image| image.bits(10, 6)).data(0, 2560);
    for cut in [1, 511, 512] {
        let shows = format!("The file's last {cut} bytes are missing, all of them past the end of the disk.");
        let name = format!("behind-the-disk-by-{cut}");
        cases.push(Case::reads_as(&name, FORMAT, &shows, disk.without(cut), &disk.guest));
    }
    let shows = "The last byte of the disk is missing, with everything after it.";
    let left = disk.lost(2559..2560);
    cases.push(Case::cut(
        "behind-the-disk-and-1",
        FORMAT,
        shows,
        disk.without(513),
        &left,
    ));
    let odd = Disk::small(1000).data(0, 1000);
    let shows = "The file ends with the disk, inside a sector.";
    cases.push(Case::reads_as(
        "with-the-disk",
        FORMAT,
        shows,
        odd.without(24),
        &odd.guest,
    ));
    let shows = "The last byte of a disk that ends inside a sector is missing.";
    cases.push(Case::cut(
        "odd-by-1",
        FORMAT,
        shows,
        odd.without(25),
        &odd.lost(999..1000),
    ));
    let shows = "A cluster of 16 KiB, of which the file has the 1024 bytes that are inside the disk.";
    let disk = Disk::new(1024, |image| image.bits(14, 6)).data(0, 1024);
    let file = disk.without(16_384 - 1024);
    cases.push(Case::reads_as("large-cluster", FORMAT, shows, file, &disk.guest));
    let shows = "The cut is in the last cluster of the file, which is the first of the disk.";
    let disk = Disk::small(1024).data(512, 512).data(0, 512);
    cases.push(Case::cut(
        "first-cluster",
        FORMAT,
        shows,
        disk.without(12),
        &disk.lost(500..512),
    ));
}

fn tables(cases: &mut Vec<Case>) {
    // The table is the last thing in the file: its words 0 and 1 are 512 and 1024.
    let mut disk = Disk::small(4096);
    disk.image.table_at(0, 2048);
    let disk = disk.data_at(0, 512).data_at(512, 1024);
    for (name, cut, shows) in [
        (
            "l2-by-1",
            1,
            "An L2 table is judged as a whole, even if only holes are missing.",
        ),
        ("l2-by-496", 496, "An L2 table of which only the words in use are left."),
        (
            "l2-inside-a-word",
            497,
            "An L2 word whose last byte, a zero, is missing: salvage reads it right.",
        ),
    ] {
        cases.push(Case::cut(name, FORMAT, shows, disk.without(cut), &disk.guest));
    }
    let shows = "An L2 word whose last two bytes are missing: salvage reads it as a hole.";
    cases.push(Case::cut(
        "l2-by-498",
        FORMAT,
        shows,
        disk.without(498),
        &disk.lost(512..1024),
    ));
    let shows = "The file ends at the start of its L2 table.";
    cases.push(Case::cut(
        "l2-all",
        FORMAT,
        shows,
        disk.without(512),
        &disk.lost(0..1024),
    ));

    // The L1 is the last thing in the file.
    let mut disk = Disk::new(2 * SPAN, |image| image.l1_at(4096));
    disk.image.table_at(0, 512).table_at(SPAN as u64, 1024);
    let disk = disk.data_at(0, 1536).data_at(SPAN, 2048);
    for (name, cut, left) in [
        ("l1-by-1", 1, disk.guest.clone()),
        ("l1-by-2", 2, disk.lost(SPAN..SPAN + 512)),
        ("l1-by-8", 8, disk.lost(SPAN..SPAN + 512)),
        ("l1-by-16", 16, vec![0; 2 * SPAN]),
        ("l1-and-more", 600, vec![0; 2 * SPAN]),
    ] {
        let shows = "The end of the L1 is missing.";
        cases.push(Case::cut(name, FORMAT, shows, disk.without(cut), &left));
    }
    let shows = "Nothing is left but the header.";
    let file = Disk::small(2048).data(0, 2048).image.build()[..48].to_vec();
    cases.push(Case::cut("header-alone", FORMAT, shows, file, &[0; 2048]));
    let shows = "Nothing is left but the header and the L1.";
    let file = Disk::small(2048).data(0, 2048).image.build()[..56].to_vec();
    cases.push(Case::cut("header-and-l1", FORMAT, shows, file, &[0; 2048]));
    let shows = "The second of two tables is missing, with everything after it.";
    let disk = Disk::small(2 * SPAN).data(0, 1024).data(SPAN, 1024);
    let left = disk.lost(SPAN..SPAN + 1024);
    cases.push(Case::cut("second-table", FORMAT, shows, disk.without(1025), &left));
}

fn compressed(cases: &mut Vec<Case>) {
    let source = "format: compressed clusters";
    let stream = deflate(&text(512, 512));
    let disk = Disk::small(1024).data(0, 512).stream(512, &stream, &text(512, 512));
    let shows = "The end of a stream is missing, before the cluster is full.";
    let cut = stream.len() / 2;
    let filled = inflate(&stream[..stream.len() - cut], &mut [0; 512]);
    assert!((1..512).contains(&filled));
    let left = disk.lost(512 + filled..1024);
    cases.push(Case::cut("stream", source, shows, disk.without(cut), &left));
    let shows = "A stream of which nothing is left.";
    let left = disk.lost(512..1024);
    cases.push(Case::cut(
        "stream-all",
        source,
        shows,
        disk.without(stream.len()),
        &left,
    ));
    let start = text(512, 256);
    let cluster = start.repeat(2);
    let again = |stream: Deflate| stream.block(true, 1).repeat(256, 256).end().build();
    // In a fixed block, each of these literals takes 8 bits, after the 3 bits of the block's
    // header.
    let literals = again(Deflate::new().block(false, 1).literals(&start).end());
    let coded = Disk::small(1024).data(0, 512).stream(512, &literals, &cluster);
    let shows = "A stream of literals is cut inside one: salvage yields those before it.";
    let left = coded.lost(512 + 99..1024);
    let file = coded.without(literals.len() - 100);
    cases.push(Case::cut("literals", source, shows, file, &left));
    let stored = again(Deflate::new().stored(false, &start));
    let copied = Disk::small(1024).data(0, 512).stream(512, &stored, &cluster);
    let shows = "A stored block is cut after 100 bytes: salvage yields them.";
    let left = copied.lost(512 + 100..1024);
    let file = copied.without(stored.len() - 5 - 100);
    cases.push(Case::cut("stored-block", source, shows, file, &left));
    let invalid = Deflate::new().block(false, 1).literals(&start[..100]).end();
    let invalid = invalid.block(true, 3).stored(true, &start).build();
    let broken = Disk::small(1024).data(0, 512).stream(512, &invalid, &cluster);
    let shows = "A truncated stream that is invalid before its cut: salvage yields what comes before that.";
    let left = broken.lost(512 + 100..1024);
    let file = broken.without(50);
    cases.push(Case::cut("invalid-stream", source, shows, file, &left));

    let mut padded = stream.clone();
    padded.extend([0; 40]);
    let disk = Disk::small(1024).data(0, 512).stream(512, &padded, &text(512, 512));
    for cut in [1, 40] {
        let shows = format!(
            "{cut} of the bytes after a stream's end are missing. No reader needs them, but the word's size includes them."
        );
        let name = format!("behind-a-stream-by-{cut}");
        cases.push(Case::cut(&name, source, &shows, disk.without(cut), &disk.guest));
    }
    let shows = "A stored block of zeros is missing from a stream: salvage yields zeros in its place.";
    let (start, zeros) = (text(512, 16), [0; 312]);
    let mut cluster: Vec<u8> = start.iter().copied().cycle().take(200).collect();
    cluster.extend(zeros);
    let body = Deflate::new().block(false, 1).literals(&start).repeat(16, 184).end();
    let disk = Disk::small(1024)
        .data(0, 512)
        .stream(512, &body.stored(true, &zeros).build(), &cluster);
    cases.push(Case::cut(
        "zeros-of-a-stream",
        source,
        shows,
        disk.without(300),
        &disk.guest,
    ));
}

fn encrypted(cases: &mut Vec<Case>) {
    let source = "format: encryption";
    let disk = Disk::new(2048, |image| image.encrypted(key("passphrase"))).data(0, 2048);
    for (cut, lost) in [(1, 1536..2048), (512, 1536..2048), (513, 1024..2048)] {
        let shows =
            format!("The last {cut} bytes of encrypted data are missing: a sector with a missing byte is lost.");
        let name = format!("encrypted-by-{cut}");
        let left = disk.lost(lost);
        cases.push(Case::cut(&name, source, &shows, disk.without(cut), &left).key("passphrase"));
    }
    let shows = "The last sector is not whole, so that its first bytes cannot be decrypted either.";
    let disk = Disk::new(1000, |image| image.encrypted(key("passphrase"))).data(0, 1000);
    let left = disk.lost(512..1000);
    cases.push(Case::cut("encrypted-behind-the-disk", source, shows, disk.without(24), &left).key("passphrase"));
    let shows = "A cluster of 4 KiB, of which the file has the two sectors that are inside the disk.";
    let disk = Disk::new(1024, |image| image.bits(12, 6).encrypted(key("passphrase"))).data(0, 1024);
    let file = disk.without(3072);
    cases.push(Case::reads_as("encrypted-cluster", source, shows, file, &disk.guest).key("passphrase"));
}

fn below(cases: &mut Vec<Case>) {
    let source = "format: backing";
    let base = Disk::small(2048).data(0, 2048);
    let backing = Backing {
        name: "cut.qcow",
        is_qcow: true,
        bytes: base.without(600),
    };
    let disk = Disk::new(2048, |image| image.backing_at(48, b"cut.qcow").l1_at(56));
    let shows = "The backing image is cut: an error if its missing data is read.";
    let left = base.lost(1448..2048);
    let case = Case::cut("backing", source, shows, disk.image.build(), &left);
    cases.push(case.over(&[&backing]));
    let shows = "The backing image is cut in a part that the image above hides.";
    let disk = disk.over(&base.guest).data(1024, 1024);
    cases.push(Case::reads("backing-never-read", source, shows, &disk).over(&[&backing]));

    let shows = "An L2 table past the end of an overlay: an error, and to salvage a hole.";
    let mut disk = Disk::new(4096, |image| image.backing_at(48, b"cut.qcow").l1_at(56));
    disk.image.table_at(0, 512);
    let file = disk.image.build();
    let file = with(file, 56, &(600_u64).to_be_bytes());
    let mut left = base.lost(1448..2048);
    left.resize(4096, 0);
    cases.push(
        Case::corrupt("l2-of-an-overlay", source, shows, file)
            .salvages(Expect::bytes(&left))
            .over(&[&backing]),
    );
}
