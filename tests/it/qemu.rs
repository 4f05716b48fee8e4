//! Images that `qemu-img` and `qemu-io` write read as `qemu-img convert` reads them.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output};

use crate::common::Random;
use qcow1::{Chain, Image, Key};
use tempfile::TempDir;

/// Runs one of QEMU's programs in a folder.
fn run(folder: &TempDir, program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder.path())
        .output();
    output.unwrap_or_else(|error| panic!("{program} does not start ({error}): install qemu-utils"))
}

/// Runs one of QEMU's programs, which must succeed.
fn qemu(folder: &TempDir, program: &str, arguments: &[&str]) {
    let output = run(folder, program, arguments);
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Writes `count` runs at random offsets with `qemu-io`. Each run has one byte value.
fn scribble(folder: &TempDir, image: &str, size: u64, random: &mut Random, count: u64) {
    let mut arguments = vec!["-f".to_owned(), "qcow".to_owned()];
    for _ in 0..count {
        let start = random.below(size);
        let len = 1 + random.below((size - start).min(100_000));
        let value = random.below(256);
        arguments.push("-c".into());
        arguments.push(format!("write -q -P {value} {start} {len}"));
    }
    arguments.push(image.into());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    qemu(folder, "qemu-io", &arguments);
}

/// Compares a chain of images, top first, with `right.raw`. Without a key, `qemu-img convert` first
/// makes that file from the top image.
fn compare(folder: &TempDir, names: &[&str], key: Option<&Key>, random: &mut Random) {
    if key.is_none() {
        qemu(
            folder,
            "qemu-img",
            &["convert", "-f", "qcow", "-O", "raw", names[0], "right.raw"],
        );
    }
    let right = std::fs::read(folder.path().join("right.raw")).unwrap();
    for memory in [20_000, 65_536, 4 << 20] {
        let mut memories: Vec<Vec<u8>> = names.iter().map(|_| vec![0; memory]).collect();
        let mut chain: Chain<Image<File, &mut [u8]>, 3> = Chain::new();
        for (name, memory) in names.iter().zip(&mut memories) {
            let file = File::open(folder.path().join(name)).unwrap();
            let is_raw = Path::new(name).extension().is_some_and(|extension| extension == "raw");
            let mut image = if is_raw {
                Image::open_raw(file, &mut memory[..]).unwrap()
            } else {
                Image::open(file, &mut memory[..]).unwrap()
            };
            if let Some(key) = key {
                image.set_key(key);
            }
            chain.push(image).unwrap();
        }
        // QEMU rounds the size down to sectors, and `convert` rounds it up.
        let whole = chain.size().min(right.len() as u64) as usize;
        assert!(chain.size() - whole as u64 <= 511);
        let mut bytes = vec![0xcc; whole];
        chain.read_at(0, &mut bytes).unwrap();
        assert!(bytes == right[..whole], "{names:?} as a whole");
        for _ in 0..200 {
            let start = random.below(whole as u64) as usize;
            let len = random.below(((whole - start) as u64).min(70_000) + 1) as usize;
            let mut bytes = vec![0xcc; len];
            chain.read_at(start as u64, &mut bytes).unwrap();
            assert!(bytes == right[start..start + len], "{names:?}: {len} bytes at {start}");
        }
    }
}

#[test]
#[ignore = "needs qemu-img"]
fn layouts_that_qemu_io_wrote_at_random_read_as_qemu_reads_them() {
    let mut random = Random(11);
    for size in [1 << 20, 5 << 20, (2 << 20) + 4096, 1536] {
        let folder = tempfile::tempdir().unwrap();
        qemu(
            &folder,
            "qemu-img",
            &["create", "-q", "-f", "qcow", "a.qcow", &size.to_string()],
        );
        scribble(&folder, "a.qcow", size, &mut random, 30);
        compare(&folder, &["a.qcow"], None, &mut random);
    }
}

#[test]
#[ignore = "needs qemu-img"]
fn sizes_off_the_sectors_the_clusters_and_the_spans_read_as_qemu_reads_them() {
    let mut random = Random(12);
    let span = 2 << 20;
    for size in [
        513,
        1025,
        5000,
        512 + 5000,
        4097,
        65_537,
        span - 1,
        span,
        span + 1,
        span + 513,
    ] {
        let folder = tempfile::tempdir().unwrap();
        let bytes = random.bytes(size);
        std::fs::write(folder.path().join("a.raw"), &bytes).unwrap();
        qemu(
            &folder,
            "qemu-img",
            &["convert", "-f", "raw", "-O", "qcow", "a.raw", "a.qcow"],
        );
        compare(&folder, &["a.qcow"], None, &mut random);
    }
}

#[test]
#[ignore = "needs qemu-img"]
fn chains_of_three_read_as_qemu_reads_them() {
    let mut random = Random(13);
    for (base_size, middle_size, top_size) in [
        (3 << 20, 3 << 20, 3 << 20),
        (1 << 20, 3 << 20, 2 << 20),
        (3 << 20, 1 << 20, 4 << 20),
    ] {
        for raw in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let base = if raw { "base.raw" } else { "base.qcow" };
            if raw {
                let bytes = random.bytes(base_size as usize);
                std::fs::write(folder.path().join(base), bytes).unwrap();
            } else {
                qemu(
                    &folder,
                    "qemu-img",
                    &["create", "-q", "-f", "qcow", base, &base_size.to_string()],
                );
                scribble(&folder, base, base_size, &mut random, 20);
            }
            let create = |name: &str, below: &str, format: &str, size: u64| {
                let size = size.to_string();
                qemu(
                    &folder,
                    "qemu-img",
                    &["create", "-q", "-f", "qcow", "-b", below, "-F", format, name, &size],
                );
            };
            create("middle.qcow", base, if raw { "raw" } else { "qcow" }, middle_size);
            scribble(&folder, "middle.qcow", middle_size, &mut random, 15);
            create("top.qcow", "middle.qcow", "qcow", top_size);
            scribble(&folder, "top.qcow", top_size, &mut random, 15);
            compare(&folder, &["top.qcow", "middle.qcow", base], None, &mut random);
        }
    }
}

#[test]
#[ignore = "needs qemu-img"]
fn compressed_images_read_as_qemu_reads_them() {
    let mut random = Random(14);
    let folder = tempfile::tempdir().unwrap();
    // Random bytes, which do not deflate, holes, and bytes that deflate.
    let mut bytes = Vec::new();
    for round in 0..40 {
        match round % 4 {
            0 => bytes.extend(random.bytes(30_000)),
            1 => bytes.extend([0; 50_000]),
            _ => bytes.extend((0..40_000).map(|i: u64| ((i * i) >> 7) as u8 & 0x3f)),
        }
    }
    std::fs::write(folder.path().join("a.raw"), &bytes).unwrap();
    // qemu-img exits with 1 although the image is correct, so only the contents are tested.
    run(
        &folder,
        "qemu-img",
        &["convert", "-c", "-f", "raw", "-O", "qcow", "a.raw", "a.qcow"],
    );
    compare(&folder, &["a.qcow"], None, &mut random);
    scribble(&folder, "a.qcow", bytes.len() as u64 / 512 * 512, &mut random, 20);
    compare(&folder, &["a.qcow"], None, &mut random);
}

#[test]
#[ignore = "needs qemu-img"]
fn encrypted_images_read_as_they_were_before_qemu_encrypted_them() {
    let mut random = Random(15);
    for password in ["short", "exactly 16 bytes", "longer than sixteen bytes"] {
        let folder = tempfile::tempdir().unwrap();
        let bytes = random.bytes(700_416);
        std::fs::write(folder.path().join("right.raw"), &bytes).unwrap();
        let secret = format!("secret,id=s0,data={password}");
        let options = "encrypt.format=aes,encrypt.key-secret=s0";
        qemu(
            &folder,
            "qemu-img",
            &[
                "convert",
                "--object",
                &secret,
                "-f",
                "raw",
                "-O",
                "qcow",
                "-o",
                options,
                "right.raw",
                "a.qcow",
            ],
        );
        let key = Key::from_passphrase(password.as_bytes());
        compare(&folder, &["a.qcow"], Some(&key), &mut random);
    }
}
