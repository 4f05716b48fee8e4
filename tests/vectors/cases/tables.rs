//! Words of the L1 and L2 tables.

use crate::case::{Case, Disk, Read, text};
use crate::common::Refusal;

const FORMAT: &str = "format: table words";
const SPAN: usize = 512 << 6;

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    legal(&mut cases);
    aligned(&mut cases);
    wrong(&mut cases);
    cases
}

fn legal(cases: &mut Vec<Case>) {
    let shows = "A hole in the L1 and one in an L2 table are both zeros.";
    let disk = Disk::small(3 * SPAN).data(512, 512).data(2 * SPAN + 1024, 1024);
    cases.push(Case::reads("holes", FORMAT, shows, &disk));

    let shows = "Clusters written backwards: none is adjacent to its neighbor.";
    let disk = (0..12).rev().fold(Disk::small(6144), |disk, i| disk.data(i * 512, 512));
    cases.push(Case::reads("backwards", FORMAT, shows, &disk));

    let shows = "The first and the last entry of a table, and of the next.";
    let disk = [0, SPAN - 512, SPAN, 2 * SPAN - 512]
        .into_iter()
        .fold(Disk::small(2 * SPAN), |disk, at| disk.data(at, 512));
    cases.push(Case::reads("first-and-last", FORMAT, shows, &disk));

    for skew in [1, 3, 4, 8, 509] {
        let shows = format!("An L2 table may start at any byte: here {skew} after a sector's start.");
        let disk = Disk::new(2 * SPAN, |image| image.tables_off_by(skew))
            .data(512, 1024)
            .data(SPAN, 512);
        cases.push(Case::reads(&format!("l2-off-by-{skew}"), FORMAT, &shows, &disk));
    }

    for host in [512 * 9, 512 * 11] {
        let shows = format!("A cluster of 4 KiB at {host}, which is a multiple of 512 and not of the cluster.");
        let mut disk = Disk::new(8192, |image| image.bits(12, 6));
        disk.image.table_at(0, 512);
        let disk = disk.data_at(4096, host);
        cases.push(Case::reads(&format!("data-at-{host}"), FORMAT, &shows, &disk));
    }
    let shows = "A cluster of 16 KiB in the first sector after the header, at 512.";
    let mut disk = Disk::new(20_480, |image| image.bits(14, 6));
    disk.image.table_at(0, 16_896);
    cases.push(Case::reads("data-at-512", FORMAT, shows, &disk.data_at(0, 512)));

    let shows = "Two entries of one table name the same cluster.";
    let mut disk = Disk::small(2048).data_at(0, 1024);
    disk.image.l2_word(1024, 1024);
    disk.sees(1024, &text(0, 512));
    cases.push(Case::reads("a-cluster-twice", FORMAT, shows, &disk));

    let shows = "Two entries of the L1 name the same table.";
    let mut disk = Disk::small(2 * SPAN);
    disk.image.table_at(0, 512).l1_word(1, 512);
    let mut disk = disk.data_at(512, 1024);
    disk.sees(SPAN + 512, &text(512, 512));
    cases.push(Case::reads("a-table-twice", FORMAT, shows, &disk));

    for host in [2049, 2559] {
        let shows = format!("Two entries of the L1 name the same table, which starts at {host}: at an odd byte.");
        let mut disk = Disk::small(2 * SPAN);
        disk.image.table_at(0, host).l1_word(1, host);
        let mut disk = disk.data_at(512, 1024).data_at(SPAN - 512, 4096);
        disk.sees(SPAN + 512, &text(512, 512));
        disk.sees(2 * SPAN - 512, &text(SPAN as u64 - 512, 512));
        cases.push(Case::reads(
            &format!("an-odd-table-twice-at-{host}"),
            FORMAT,
            &shows,
            &disk,
        ));
    }

    let shows = "Words after the last cluster of the disk are ignored, however wrong.";
    let disk = Disk::small(1024)
        .data(0, 1024)
        .word(1024, 0x7777)
        .word(SPAN - 512, u64::MAX);
    cases.push(Case::reads("words-behind-the-disk", FORMAT, shows, &disk));
}

/// QEMU aligns tables to the cluster, not to the table.
fn aligned(cases: &mut Vec<Case>) {
    let source = "defect: libqcow";
    let shows = "QEMU's overlays have tables of 32 KiB at multiples of 512, here at 0x400 and 0x8600.";
    let mut disk = Disk::new((512 << 12) + 1024, |image| image.bits(9, 12));
    disk.image.table_at(0, 0x400).table_at(512 << 12, 0x8600);
    let disk = disk.data_at(1024, 0x8400).data_at((512 << 12) + 512, 0x10600);
    cases.push(Case::reads("l2-as-in-an-overlay", source, shows, &disk));
    for host in [512, 1024, 1536, 2560] {
        let shows = format!("A table of 1 KiB at {host}, in clusters of 512 bytes.");
        let mut disk = Disk::new(4096, |image| image.bits(9, 7));
        disk.image.table_at(0, host);
        let disk = disk.data(0, 1024).data(2048, 512);
        cases.push(Case::reads(&format!("l2-of-1024-at-{host}"), source, &shows, &disk));
    }
}

fn wrong(cases: &mut Vec<Case>) {
    let shows = "Bit 63 of an L1 word means nothing, and is corrupt.";
    let mut disk = Disk::small(2 * SPAN).data(0, 512);
    disk.image.l1_word(1, 1 << 63 | 512);
    let reads = vec![
        Read::gives(0, &disk.guest[..512]),
        Read::fails(SPAN as u64, 512, Refusal::Corrupt),
    ];
    cases.push(Case::corrupt("l1-bit-63", FORMAT, shows, disk.image.build()).then(reads));
    let shows = "An L1 word that is nothing but bit 63 is no hole.";
    disk.image.l1_word(1, 1 << 63);
    cases.push(Case::corrupt("l1-only-bit-63", FORMAT, shows, disk.image.build()));
    let shows = "An L1 word of all ones.";
    disk.image.l1_word(1, u64::MAX);
    cases.push(Case::corrupt("l1-all-ones", FORMAT, shows, disk.image.build()));

    let disk = Disk::small(4096).data(0, 512);
    for (name, word) in [
        ("data-at-1", 1),
        ("data-at-256", 256),
        ("data-at-1023", 1023),
        ("data-at-1025", 1025),
    ] {
        let shows = "The offset of a plain cluster is a multiple of 512.";
        let disk = disk.clone().word(1024, word);
        let reads = vec![
            Read::gives(0, &disk.guest[..512]),
            Read::fails(1024, 512, Refusal::Corrupt),
            Read::gives(1536, &[0; 512]),
        ];
        cases.push(Case::corrupt(name, FORMAT, shows, disk.image.build()).then(reads));
    }
    for (name, word, shows) in [
        (
            "data-past-the-end",
            1 << 20,
            "A plain cluster past the end of the file.",
        ),
        (
            "data-at-2-to-62",
            1 << 62,
            "A plain cluster at 2^62, past the end of any file; bit 62 is no flag.",
        ),
        (
            "data-at-2-to-63-less-512",
            (1 << 63) - 512,
            "A plain cluster that ends at 2^63.",
        ),
    ] {
        let disk = disk.clone().word(1024, word);
        cases.push(Case::cut(name, FORMAT, shows, disk.image.build(), &disk.guest));
    }
    for (name, word) in [
        ("l2-past-the-end", 1 << 20),
        ("l2-at-2-to-62", 1 << 62),
        ("l2-at-2-to-63-less-1", (1 << 63) - 1),
    ] {
        let shows = "An L2 table past the end of the file is an error, and not a hole.";
        let mut disk = Disk::small(2 * SPAN).data(0, 512);
        disk.image.l1_word(1, word);
        let source = "defect: Xen, Mac-on-Linux, tcmu-runner, QEMU before 2.11";
        cases.push(Case::cut(name, source, shows, disk.image.build(), &disk.guest));
    }
    // If the first cluster of a read fails, the read fails: it must not succeed with a buffer that
    // nothing has filled.
    let source = "defect: kvmtool";
    let mut disk = Disk::small(2 * SPAN).data(512, 1024).data(SPAN, 512);
    let reads = |disk: &Disk| {
        vec![
            Read::fails(0, 1536, Refusal::Corrupt),
            Read::fails(0, 1, Refusal::Corrupt),
            Read::gives(512, &disk.guest[512..1536]),
            Read::fails(511, 2, Refusal::Corrupt),
        ]
    };
    let misaligned = disk.clone().word(0, 513);
    let shows = "A read whose first cluster is misaligned, and the others are good.";
    let case = Case::corrupt("first-cluster-misaligned", source, shows, misaligned.image.build());
    cases.push(case.then(reads(&disk)));
    let shows = "A read whose first cluster is compressed and has no size, and the others are good.";
    let empty = disk.clone().word(0, 1 << 63 | 1024);
    let case = Case::corrupt("first-cluster-empty", source, shows, empty.image.build());
    cases.push(case.then(reads(&disk)));
    let shows = "A read whose first span has bit 63 in its L1 word, and the next is good.";
    disk.image.l1_word(0, 1 << 63 | 512);
    let (start, span) = (SPAN as u64 - 512, SPAN as u64);
    let reads = vec![
        Read::fails(start, 1024, Refusal::Corrupt),
        Read::gives(span, &disk.guest[SPAN..SPAN + 512]),
        Read::fails(start, 512, Refusal::Corrupt),
    ];
    let case = Case::corrupt("first-table-wrong", source, shows, disk.image.build());
    cases.push(case.then(reads));

    let shows = "An L1 in the byte order of another machine, without Xen's mark: corrupt, not empty.";
    let mut disk = Disk::small(SPAN);
    disk.image.table_at(0, 512).l1_word(0, 512_u64.swap_bytes());
    cases.push(Case::cut(
        "l1-little-endian",
        FORMAT,
        shows,
        disk.image.build(),
        &disk.guest,
    ));
}
