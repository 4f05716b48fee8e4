//! The example `ls`: files out of a file system inside an image.

use std::path::Path;

#[path = "common/tool.rs"]
mod tool;

use tool::example;

/// What `ls` prints, and whether it succeeds.
fn ls(arguments: &[&str]) -> (bool, String, String) {
    let output = example("ls").args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

fn data(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    path.to_str().unwrap().to_owned()
}

#[test]
fn without_arguments_it_lists_the_disk_of_the_repository() {
    let (success, listed, _) = ls(&[]);
    assert!(success);
    for line in [
        "165  README.TXT",
        "0  BOOT/",
        "30000  BOOT/KERNEL.BIN",
        "24  BOOT/ENTRIES/a loader's configuration.conf",
    ] {
        assert!(
            listed.lines().any(|found| found.trim() == line),
            "{line} is not in\n{listed}"
        );
    }
}

#[test]
fn a_path_is_printed_or_listed_by_its_long_or_short_name() {
    let disk = data("disk.qcow");
    let (success, printed, _) = ls(&[&disk, "boot/entries/A LOADER'S configuration.conf"]);
    assert!(success);
    assert_eq!(printed, "timeout=3\ndefault=linux\n");
    let (success, printed, _) = ls(&[&disk, "/readme.txt"]);
    assert!(success && printed.starts_with("This file was read out of a FAT volume"));
    let (success, listed, _) = ls(&[&disk, "boot"]);
    assert!(success && listed.contains("boot/KERNEL.BIN") && !listed.contains("README"));
}

#[test]
fn what_is_not_there_is_said_in_one_line() {
    let disk = data("disk.qcow");
    for (arguments, said) in [
        (vec![disk.as_str(), "nothing.txt"], "no such file"),
        (vec![&disk, "readme.txt/x"], "no directory"),
        (vec!["/nonexistent/disk"], "No such file"),
        (vec![&data("make.sh")], "not a QCOW image"),
        (vec![&data("plain.qcow")], "no FAT and no ext4 file system"),
    ] {
        let (success, _, error) = ls(&arguments);
        assert!(!success && error.contains(said), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.starts_with(&format!("ls: {}: ", arguments[0])), "{error}");
    }
}

#[test]
fn a_disk_that_is_one_volume_is_listed_too() {
    // The volume of the disk of the repository, without its partition table.
    let mut memory = vec![0; 65_536];
    let file = std::fs::File::open(data("disk.qcow")).unwrap();
    let mut image = qcow1::Image::open(file, &mut memory).unwrap();
    let mut disk = vec![0; image.len() as usize];
    image.read_at(0, &mut disk).unwrap();
    let volume = &disk[64 * 512..];

    // All of it as one run of plain clusters of 64 KiB behind one table.
    let size = volume.len() as u64;
    let clusters = size.div_ceil(65_536);
    let mut file = vec![0; 65_536];
    file[..4].copy_from_slice(b"QFI\xfb");
    file[7] = 1;
    file[24..32].copy_from_slice(&size.to_be_bytes());
    file[32..34].copy_from_slice(&[16, 13]);
    file[40..48].copy_from_slice(&48_u64.to_be_bytes());
    file[48..56].copy_from_slice(&65_536_u64.to_be_bytes());
    for cluster in 0..8192 {
        let host = if cluster < clusters { (cluster + 2) * 65_536 } else { 0 };
        file.extend(host.to_be_bytes());
    }
    file.extend(volume);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("volume.qcow");
    std::fs::write(&path, file).unwrap();

    let (success, listed, error) = ls(&[path.to_str().unwrap()]);
    assert!(success, "{error}");
    assert_eq!(listed, ls(&[]).1);
}
