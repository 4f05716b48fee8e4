//! The header: fields that are ignored, legal values, and values that are refused.

use crate::case::{Case, Disk, Expect, with};
use crate::common::Refusal;

const FORMAT: &str = "format: header";

/// Returns a small image that is sound.
fn sound() -> Disk {
    Disk::small(2048).data(512, 1024)
}

/// Returns the same image with other bytes in its header.
fn sound_with(at: usize, bytes: &[u8]) -> Vec<u8> {
    with(sound().image.build(), at, bytes)
}

pub fn cases() -> Vec<Case> {
    let mut cases = vec![Case::reads(
        "sound",
        FORMAT,
        "A small image in which nothing is odd.",
        &sound(),
    )];
    legal(&mut cases);
    magic_and_version(&mut cases);
    fields(&mut cases);
    places(&mut cases);
    cases
}

fn legal(cases: &mut Vec<Case>) {
    let guest = sound().guest;
    for (name, at, bytes, shows) in [
        (
            "padding-ffff",
            34,
            [0xff; 2].as_slice(),
            "The two bytes of padding are never looked at.",
        ),
        (
            "mtime-ffffffff",
            20,
            &[0xff; 4],
            "The time of the last change is never looked at.",
        ),
        (
            "name-length-without-offset",
            16,
            &[0, 0, 0, 5],
            "The length of a backing name is ignored if its offset is 0.",
        ),
        (
            "huge-name-length-without-offset",
            16,
            &[0xff; 4],
            "The length of a backing name is not even checked if its offset is 0.",
        ),
        (
            "name-offset-without-length",
            8,
            &[0, 0, 0, 0, 0, 0, 2, 0],
            "A backing name of no bytes is no backing: holes are zeros.",
        ),
        (
            "name-past-the-end-without-length",
            8,
            &[0x7f; 8],
            "The offset of a backing name of no bytes is ignored.",
        ),
    ] {
        cases.push(Case::reads_as(name, FORMAT, shows, sound_with(at, bytes), &guest));
    }
    for offset in [49, 55, 56, 61, 512, 1000, 4096] {
        let shows = format!("The L1 may start at any byte: here at {offset}.");
        let disk = Disk::new(70_144, |image| image.l1_at(offset))
            .data(0, 1024)
            .data(66_048, 1024);
        cases.push(Case::reads(&format!("l1-at-{offset}"), FORMAT, &shows, &disk));
    }
    let shows = "The L1 is the last thing in the file.";
    let mut disk = Disk::new(70_144, |image| image.l1_at(4096));
    disk.image.table_at(0, 1024);
    let disk = disk.data_at(512, 2048);
    assert_eq!(disk.image.build().len(), 4096 + 3 * 8);
    cases.push(Case::reads("l1-at-the-end", FORMAT, shows, &disk));
    let shows = "Bytes after everything that is referenced are ignored.";
    let mut file = sound().image.build();
    file.extend([0xa5; 777]);
    cases.push(Case::reads_as("trailing-bytes", FORMAT, shows, file, &guest));
}

fn magic_and_version(cases: &mut Vec<Case>) {
    let none = Refusal::NotQcow;
    let file = || sound().image.build();
    for (name, shows, bytes) in [
        ("no-bytes", "A file of no bytes is not QCOW.", Vec::new()),
        ("3-bytes", "Less than the magic number is not QCOW.", b"QFI".to_vec()),
        (
            "7-bytes",
            "The magic number without a version is not QCOW.",
            b"QFI\xfb\0\0\0".to_vec(),
        ),
        ("zeros", "A file of zeros is not QCOW.", vec![0; 512]),
        (
            "text",
            "A text is not QCOW.",
            b"QFI and other letters of no meaning whatever, longer than a header\n".to_vec(),
        ),
        ("magic-fa", "One wrong bit in the magic number.", sound_with(3, &[0xfa])),
        (
            "magic-swapped",
            "The magic number in the other byte order.",
            sound_with(0, b"\xfbIFQ"),
        ),
        (
            "cowd",
            "Another format of that time: VMware's COWD.",
            with(file(), 0, b"COWD\x01\0\0\0"),
        ),
    ] {
        cases.push(Case::refused(name, FORMAT, shows, bytes, none));
    }
    for (name, version) in [
        ("version-0", 0_u32),
        ("version-2", 2),
        ("version-3", 3),
        ("version-4", 4),
        ("version-little-endian", 0x0100_0000),
        ("version-ffffffff", u32::MAX),
    ] {
        let shows = "QCOW of another version is reported as such, not as a file that is not QCOW.";
        let file = sound_with(4, &version.to_be_bytes());
        cases.push(Case::refused(name, FORMAT, shows, file, Refusal::Unsupported));
    }
    let shows = "A file that ends after the version still has one: 2 is not supported.";
    let bytes = b"QFI\xfb\0\0\0\x02".to_vec();
    cases.push(Case::refused(
        "version-2-cut",
        FORMAT,
        shows,
        bytes,
        Refusal::Unsupported,
    ));
    for len in [8, 32, 47] {
        let shows = format!("A header cut at byte {len} is corrupt, even if missing bytes read as zeros.");
        cases.push(Case::corrupt(
            &format!("cut-at-{len}"),
            FORMAT,
            &shows,
            file()[..len].to_vec(),
        ));
    }
}

fn fields(cases: &mut Vec<Case>) {
    let shows = "Encryption methods other than 0 and 1 are not supported.";
    for (name, method) in [
        ("crypt-2", 2_u32),
        ("crypt-little-endian-1", 0x0100_0000),
        ("crypt-ffffffff", u32::MAX),
    ] {
        let file = sound_with(36, &method.to_be_bytes());
        cases.push(Case::refused(name, FORMAT, shows, file, Refusal::Unsupported));
    }
    // iotest 092 has 8, 17, 31 and 255.
    for bits in [0, 1, 7, 18, 32, 40, 63, 64, 128] {
        let shows = format!("cluster_bits {bits} is outside 9 to 16.");
        let name = format!("cluster-bits-{bits}");
        cases.push(Case::corrupt(&name, FORMAT, &shows, sound_with(32, &[bits])));
    }
    // iotest 092 has 5, 14, 27 and 255.
    for (bits, source) in [
        (0, FORMAT),
        (1, FORMAT),
        (15, FORMAT),
        (16, FORMAT),
        (29, "CVE-2014-0222"),
        (31, "CVE-2014-0222"),
        (32, "CVE-2014-0222"),
        (61, "CVE-2014-0222"),
        (64, "CVE-2014-0222"),
        (128, "CVE-2014-0222"),
    ] {
        let shows = format!("l2_bits {bits} is outside 6 to 13.");
        cases.push(Case::corrupt(
            &format!("l2-bits-{bits}"),
            source,
            &shows,
            sound_with(33, &[bits]),
        ));
    }
    for (cluster, l2) in [(16, 16), (19, 13), (9, 23), (32, 32), (8, 14)] {
        let shows = format!(
            "cluster_bits {cluster} and l2_bits {l2}: a careless reader shifts by their sum, and divides by the result."
        );
        let name = format!("bits-{cluster}-and-{l2}");
        cases.push(Case::corrupt(
            &name,
            "defect: kvmtool",
            &shows,
            sound_with(32, &[cluster, l2]),
        ));
    }
    for (name, len) in [("name-of-1024", 1024_u32), ("name-of-4096", 4096)] {
        let shows = "A backing name is at most 1023 bytes long, even if the file has more.";
        let mut file = sound().image.build();
        let at = file.len() as u64;
        file.resize(file.len() + len as usize, b'/');
        let file = with(with(file, 8, &at.to_be_bytes()), 16, &len.to_be_bytes());
        cases.push(Case::corrupt(name, FORMAT, shows, file));
    }
}

fn places(cases: &mut Vec<Case>) {
    let zeros = Expect::bytes(&[0; 2048]);
    for (name, at, shows) in [
        ("l1-past-the-end", 1_u64 << 40, "The L1 lies past the end of the file."),
        (
            "l1-at-2-to-63",
            1 << 63,
            "The L1 lies past all that a signed offset reaches.",
        ),
        ("l1-wraps", u64::MAX - 3, "The L1 would end past 64 bits."),
    ] {
        let file = sound_with(40, &at.to_be_bytes());
        cases.push(Case::corrupt(name, FORMAT, shows, file).salvages(zeros.clone()));
    }
    let file = sound().image.build();
    let shows = "The L1 ends one byte past the end of the file.";
    let at = file.len() as u64 - 7;
    let file = with(file, 40, &at.to_be_bytes());
    // The word begins in data: zeros and newlines of text, which lead nowhere.
    cases.push(Case::corrupt("l1-one-byte-past", FORMAT, shows, file).salvages(Expect::bytes(&[0; 2048])));
}
