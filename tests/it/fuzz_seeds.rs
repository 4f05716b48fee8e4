//! The inputs that fuzzing starts from: one small image of each kind. `WRITE_SEEDS=1 cargo test --test it fuzz_seeds` writes
//! them anew.

use std::path::Path;

use crate::common::{ImageBuilder, pattern};

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut plain = ImageBuilder::new(70_000).bits(9, 6);
    plain
        .data(512, &pattern(1, 1500))
        .data(40_000 / 512 * 512, &pattern(2, 600));
    let mut odd = ImageBuilder::new(5001).bits(10, 6).l1_at(61).tables_off_by(5);
    odd.data(0, &pattern(3, 5001));
    let mut compressed = ImageBuilder::new(9000).bits(9, 6);
    compressed
        .compressed(0, &pattern(4, 512))
        .compressed(512, &pattern(5, 512));
    compressed.data(1024, &pattern(6, 512)).compressed(4096, &[9; 512]);
    let mut encrypted = ImageBuilder::new(4000).bits(9, 6).encrypted([7; 16]);
    encrypted.data(0, &pattern(7, 1000)).compressed(2048, &pattern(8, 512));
    let mut xen = ImageBuilder::new(3000).bits(9, 6).xen(0);
    xen.data(512, &pattern(9, 512));
    let mut overlay = ImageBuilder::new(6000).bits(9, 6).backing_at(48, b"base").l1_at(56);
    overlay.data(1024, &pattern(10, 512));
    vec![
        ("plain", plain.build()),
        ("odd", odd.build()),
        ("compressed", compressed.build()),
        ("encrypted", encrypted.build()),
        ("xen", xen.build()),
        ("overlay", overlay.build()),
        ("empty", ImageBuilder::new(64 << 20).build()),
    ]
}

/// Every seed of every target, and where it stands.
fn files() -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for (name, image) in seeds() {
        files.push((format!("header/{name}"), image[..image.len().min(560)].to_vec()));
        // The last byte says how the rest is read: strictly, by sectors, with the key where there is one.
        let mut input = image.clone();
        input.push(9 << 1 | u8::from(name == "encrypted") << 5);
        files.push((format!("image/{name}"), input));
        files.push((format!("check/{name}"), image.clone()));
        // The lengths of its parts stand at the end of a structured input; the fuzzer finds better ones.
        files.push((format!("chain/{name}"), image));
    }
    for level in [0, 1, 9] {
        let bytes = [&pattern(11, 400)[..], b"abcabcabcabcabc", &[0; 300]].concat();
        let mut input = miniz_oxide::deflate::compress_to_vec(&bytes, level);
        // The last two bytes are the length of the output.
        input.extend((bytes.len() as u16).to_le_bytes());
        files.push((format!("inflate/level-{level}"), input));
    }
    files
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds")
}

#[test]
fn the_committed_seeds_are_these() {
    for (name, bytes) in files() {
        if std::env::var_os("WRITE_SEEDS").is_some() {
            let path = folder().join(&name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, &bytes).unwrap();
        }
        assert!(
            std::fs::read(folder().join(&name)).is_ok_and(|found| found == bytes),
            "fuzz/seeds/{name} is another; write the seeds anew"
        );
    }
}
