//! Encrypted images.

use super::key;
use crate::case::{Case, Disk, Read, text};
use crate::common::Refusal;

const FORMAT: &str = "format: encryption";
const SPAN: usize = 512 << 6;

fn disk(size: usize, passphrase: &str) -> Disk {
    Disk::new(size, |image| image.encrypted(key(passphrase)))
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, passphrase, shows) in [
        (
            "key-of-3",
            "key",
            "A short passphrase is padded with zeros; there is no hash and no salt.",
        ),
        ("key-of-15", "fifteen bytes..", "A passphrase of 15 bytes."),
        ("key-of-16", "sixteen bytes...", "A passphrase of 16 bytes is the key."),
        (
            "key-of-30",
            "sixteen bytes...and 14 further",
            "The first 16 bytes of a longer passphrase are the key.",
        ),
    ] {
        let disk = disk(4096, passphrase).data(0, 2048);
        cases.push(Case::reads(name, FORMAT, shows, &disk).key(passphrase));
    }

    let sound = || disk(4096, "passphrase").data(512, 1024).data(3584, 512);
    let mut add = |name: &str, shows: &str, disk: Disk| {
        cases.push(Case::reads(name, FORMAT, shows, &disk).key("passphrase"));
    };
    add("holes", "Holes are zeros, and are not decrypted.", sound());
    add(
        "compressed",
        "Compressed clusters are stored plain.",
        sound().compressed(0).compressed(2048),
    );
    let shows =
        "The sector number is the guest's, not the file's: clusters written backwards, two of them at one place.";
    let backwards = (0..8)
        .rev()
        .fold(disk(4096, "passphrase"), |disk, i| disk.data(i * 512, 512));
    add("backwards", shows, backwards);
    let shows = "The sector number counts from the disk's start, not from a span's.";
    add(
        "second-span",
        shows,
        disk(2 * SPAN, "passphrase").data(512, 512).data(SPAN + 512, 1024),
    );
    let big = Disk::new(3 * 4096, |image| image.bits(12, 6).encrypted(key("passphrase"))).data(4096, 8192);
    add("of-4096", "Each sector of a cluster has its own number.", big);
    let far = disk(600 * 512, "passphrase").data(300 * 512, 1024).data(599 * 512, 512);
    add(
        "number-above-255",
        "A sector number of more than 8 bits: its low byte comes first.",
        far,
    );
    add(
        "size-1000",
        "The last sector, which is partly past the end of the disk, is whole in the file.",
        disk(1000, "passphrase").data(0, 1000),
    );
    let shows = "Data that is not cluster aligned.";
    let mut unaligned = Disk::new(8192, |image| image.bits(12, 6).encrypted(key("passphrase")));
    unaligned.image.table_at(0, 512);
    add("data-at-4608", shows, unaligned.data_at(4096, 4608));
    add("l1-at-61", "Tables off their alignment are not encrypted either.", {
        Disk::new(4096, |image| {
            image.encrypted(key("passphrase")).l1_at(61).tables_off_by(7)
        })
        .data(512, 1024)
    });

    let shows = "The key of an image that is not encrypted is ignored.";
    cases.push(
        Case::reads(
            "key-for-a-plain-image",
            FORMAT,
            shows,
            &Disk::small(4096).data(512, 1024),
        )
        .key("passphrase"),
    );
    let shows = "Without a key encrypted clusters are an error, never their ciphertext; holes read.";
    let reads = vec![
        Read::gives(0, &[0; 512]),
        Read::fails(512, 512, Refusal::KeyRequired),
        Read::gives(1536, &[0; 512]),
    ];
    let file = sound().image.build();
    cases.push(Case::refused("without-key", FORMAT, shows, file, Refusal::KeyRequired).then(reads));
    let shows = "Without a key compressed clusters read: they are stored plain.";
    let reads = vec![
        Read::gives(0, &text(0, 512)),
        Read::fails(512, 512, Refusal::KeyRequired),
    ];
    let file = sound().compressed(0).image.build();
    cases.push(Case::refused("without-key-compressed", FORMAT, shows, file, Refusal::KeyRequired).then(reads));
    let shows = "An image in which nothing is encrypted reads without its key.";
    let disk = disk(4096, "passphrase").compressed(512);
    cases.push(Case::reads("no-key-needed", FORMAT, shows, &disk));
    cases
}
