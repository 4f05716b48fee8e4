//! Virtual sizes.

use crate::case::{Case, Disk, Expect, Read, Whole, text, with};
use crate::common::ImageBuilder;

const SPAN: usize = 512 << 6;

pub fn cases() -> Vec<Case> {
    let format = "format: header";
    let mut cases = Vec::new();
    for size in [2, 3, 511, 512, 513, 1000, 5000] {
        let shows = format!("A disk of {size} bytes is legal, and is read in full, without padding.");
        let disk = Disk::small(size).data(0, size);
        cases.push(Case::reads(&format!("{size}"), format, &shows, &disk));
    }
    for (name, size) in [
        ("span-less-1", SPAN - 1),
        ("span", SPAN),
        ("span-and-1", SPAN + 1),
        ("span-and-512", SPAN + 512),
        ("two-spans-less-511", 2 * SPAN - 511),
    ] {
        let disk = Disk::small(size).data(0, 512).data((size - 1) / 512 * 512, 512);
        let shows = "The number of L1 entries is rounded up, not down: the last, partial span is there.";
        cases.push(Case::reads(name, format, shows, &disk));
    }
    let disk = Disk::new(9096, |image| image.bits(12, 9)).data(0, 9096);
    let shows = "A size that ends inside a cluster of 4 KiB, whose padding is not part of the disk.";
    cases.push(Case::reads("inside-a-cluster", format, shows, &disk));

    let shows = "The last L1 span, which is partial, is read like any other.";
    let disk = Disk::small(3 * SPAN + 1024).data(0, 512).data(3 * SPAN, 1024);
    cases.push(Case::reads("last-span", "defect: kvmtool", shows, &disk));

    let shows = "A disk that is smaller than what one L1 entry spans has one entry, not none.";
    let disk = Disk::small(1024).data(0, 1024);
    cases.push(Case::reads("less-than-a-span", "defect: kvmtool", shows, &disk));
    let shows = "A read that begins in the last whole L1 span and ends in the partial one after it.";
    let disk = Disk::small(2 * SPAN + 1024)
        .data(2 * SPAN - 1024, 1024)
        .compressed(2 * SPAN)
        .data(2 * SPAN + 512, 512);
    let reads = vec![
        Read::gives(2 * SPAN as u64 - 700, &disk.guest[2 * SPAN - 700..]),
        Read::gives(2 * SPAN as u64 + 100, &disk.guest[2 * SPAN + 100..]),
    ];
    cases.push(Case::reads("into-the-last-span", "defect: kvmtool", shows, &disk).then(reads));

    let shows = "An image of nothing as QEMU makes it: a file of 560 bytes, shorter than one cluster.";
    let mut file = ImageBuilder::new(64 << 20).build();
    file.resize(560, 0);
    cases.push(Case::reads_as("empty-560", "defect: VirtualBox", shows, file, &[]).expects(Expect::zeros(64 << 20)));
    let shows = "The shortest file: a header and one L1 entry, 56 bytes.";
    let disk = Disk::small(SPAN);
    cases.push(Case::reads("empty-56", "defect: 7-Zip, keramics", shows, &disk));
    let shows = "A disk of 32 GiB, of which only one cluster, near the end, is stored.";
    let (size, cluster) = (1 << 35, 1 << 14);
    let far = size - cluster;
    let mut image = ImageBuilder::new(size).bits(14, 11).aligned();
    let bytes = text(7, cluster as usize);
    image.data(far, &bytes);
    let right = Expect {
        whole: Whole::Size(size),
        reads: vec![
            Read::gives(far, &bytes[..4096]),
            Read::gives(0, &[0; 512]),
            Read::gives(far - 512, &[0; 512]),
        ],
    };
    cases.push(Case::reads_as("32-gib", format, shows, image.build(), &[]).expects(right));

    let file = || ImageBuilder::new(4096).bits(9, 6).build();
    for size in [0, 1] {
        let shows = format!("A disk of {size} bytes is not legal.");
        let file = with(file(), 24, &u64::to_be_bytes(size));
        cases.push(Case::corrupt(&format!("{size}"), format, &shows, file));
    }
    for (name, less) in [("2-to-64-less-1", 1), ("a-span-overflows", SPAN as u64)] {
        let shows = "The size and one L1 span more do not fit in 64 bits.";
        let file = with(file(), 24, &(u64::MAX - (less - 1)).to_be_bytes());
        cases.push(Case::corrupt(name, "CVE-2014-0223", shows, file));
    }
    for (name, size) in [
        ("a-span-just-fits", u64::MAX - SPAN as u64),
        ("2-to-63", 1 << 63),
        ("2-to-50", 1 << 50),
    ] {
        let shows = "The L1 that this size needs reaches far past the end of the file.";
        let file = with(file(), 24, &u64::to_be_bytes(size));
        cases.push(Case::corrupt(name, "CVE-2014-0223", shows, file).salvages(Expect::zeros(size)));
    }
    let shows = "One L1 entry more than the file has; its number is cut to 32 bits by a careless reader.";
    let size = (1_u64 << 32 | 1) * SPAN as u64;
    let file = with(file(), 24, &size.to_be_bytes());
    cases.push(Case::corrupt("l1-of-2-to-32", "CVE-2014-0223", shows, file).salvages(Expect::zeros(size)));
    cases
}
