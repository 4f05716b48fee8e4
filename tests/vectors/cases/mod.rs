//! The list of cases, a group to a file.

mod backing;
mod compressed;
mod encrypted;
mod geometry;
mod header;
mod history;
mod iotest_092;
mod sizes;
mod tables;
mod truncated;
mod xen;

use crate::case::Case;

/// Returns every case, in the order of the manifest.
pub fn all() -> Vec<Case> {
    let groups = [
        ("header", header::cases()),
        ("iotest-092", iotest_092::cases()),
        ("geometry", geometry::cases()),
        ("sizes", sizes::cases()),
        ("tables", tables::cases()),
        ("compressed", compressed::cases()),
        ("encrypted", encrypted::cases()),
        ("backing", backing::cases()),
        ("truncated", truncated::cases()),
        ("xen", xen::cases()),
        ("history", history::cases()),
    ];
    let cases = groups.into_iter().flat_map(|(group, cases)| {
        cases.into_iter().map(move |mut case| {
            case.name = format!("{group}-{}", case.name);
            case.group = group;
            case
        })
    });
    cases.collect()
}

/// Returns the key that a passphrase is: its first 16 bytes, with zeros after a shorter one.
pub fn key(passphrase: &str) -> [u8; 16] {
    let mut key = [0; 16];
    for (to, from) in key.iter_mut().zip(passphrase.bytes()) {
        *to = from;
    }
    key
}
