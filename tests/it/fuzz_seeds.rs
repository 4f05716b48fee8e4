//! Runs the fuzz targets over their committed seeds, so that each test run covers what fuzzing has
//! reached.

#[path = "../../fuzz/src/lib.rs"]
#[allow(
    dead_code,
    reason = "the targets share modules with these tests, and each uses a part of them"
)]
mod fuzz;

use std::collections::BTreeSet;
use std::path::Path;

use fuzz::TARGETS;

/// The maximum length of all seeds together, in bytes.
const MAX_SEED_BYTES: usize = 2 << 20;

/// Returns the seeds of a target: the files in its archive.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let name = format!("fuzz/seeds/{target}.tar");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&name);
    let archive = std::fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (mut rest, mut seeds) = (&archive[..], Vec::new());
    // A file is a header of 512 bytes, with the length in octal digits, and its bytes in blocks of
    // 512. A block of zeros follows the last file.
    while rest[0] != 0 {
        let len = std::str::from_utf8(&rest[124..135]).unwrap();
        let len = usize::from_str_radix(len, 8).unwrap();
        seeds.push(rest[512..][..len].to_vec());
        rest = &rest[512 + len.next_multiple_of(512)..];
    }
    seeds
}

/// Runs a target over its seeds. The target panics if the crate is wrong. It must process nine of
/// ten: a few are rejected at once, as intended.
fn replay(name: &str) {
    let (_, target) = TARGETS.into_iter().find(|(target, _)| *target == name).unwrap();
    let seeds = seeds(name);
    let taken = seeds.iter().filter(|seed| target(seed)).count();
    assert!(
        taken >= 20 && taken * 10 >= seeds.len() * 9,
        "only {taken} of {} seeds were processed",
        seeds.len()
    );
}

#[test]
fn chain_passes_over_its_seeds() {
    replay("chain");
}

#[test]
fn check_passes_over_its_seeds() {
    replay("check");
}

#[test]
fn differential_passes_over_its_seeds() {
    replay("differential");
}

#[test]
fn header_passes_over_its_seeds() {
    replay("header");
}

#[test]
fn image_passes_over_its_seeds() {
    replay("image");
}

#[test]
fn inflate_passes_over_its_seeds() {
    replay("inflate");
}

#[test]
fn session_passes_over_its_seeds() {
    replay("session");
}

#[test]
fn each_target_has_seeds_and_all_of_them_are_small() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let names = |folder: &str| -> BTreeSet<String> {
        let files = std::fs::read_dir(root.join(folder)).unwrap();
        let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
        files.map(|file| name(&file.unwrap().path())).collect()
    };
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("seeds"), targets);
    assert_eq!(names("fuzz_targets"), targets);
    let bytes: usize = targets.iter().flat_map(|name| seeds(name)).map(|seed| seed.len()).sum();
    assert!(bytes <= MAX_SEED_BYTES, "{bytes} bytes");
}
