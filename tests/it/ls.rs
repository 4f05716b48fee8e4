//! The example `ls`: files out of a file system inside an image.

use std::path::Path;

use crate::common::disks::{ext4_volume, fat_volume, folder_of_all_sorts, image_of, with_gpt, with_mbr};
use crate::common::example::example;
use crate::common::pattern;

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

/// What `ls` prints of a disk; it must succeed.
fn ls_of(disk: &[u8], path: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("disk.qcow");
    std::fs::write(&file, image_of(disk)).unwrap();
    let (success, listed, error) = ls(&[file.to_str().unwrap(), path]);
    assert!(success, "{error}");
    listed
}

#[test]
fn a_fat_volume_is_found_alone_and_in_either_partition_table() {
    let volume = fat_volume();
    let junk = pattern(9, 100 * 512);
    let right = ls(&[]).1;
    for (place, disk) in [
        ("alone", volume.clone()),
        ("in an MBR", with_mbr(&[(0x0e, 64, &volume)])),
        (
            "third in an MBR",
            with_mbr(&[(0, 0, &[]), (0x83, 1, &junk), (0x0c, 300, &volume)]),
        ),
        ("in a GPT", with_gpt(&[(34, &volume)])),
        ("second in a GPT", with_gpt(&[(34, &junk), (2048, &volume)])),
    ] {
        assert_eq!(ls_of(&disk, ""), right, "{place}");
    }
}

#[test]
fn a_table_of_partitions_past_the_end_is_no_volume() {
    let volume = fat_volume();
    let mut disks = [with_mbr(&[(0x0e, 64, &volume)]), with_gpt(&[(64, &volume)])];
    for disk in &mut disks {
        disk.truncate(50 * 512);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.qcow");
    for disk in disks {
        std::fs::write(&path, image_of(&disk)).unwrap();
        let (success, _, error) = ls(&[path.to_str().unwrap()]);
        assert!(!success && error.contains("no FAT and no ext4"), "{error}");
    }
}

#[test]
#[ignore = "needs mkfs.ext4"]
fn an_ext4_volume_is_found_alone_and_in_either_partition_table() {
    let folder = folder_of_all_sorts();
    let volume = ext4_volume(folder.path(), 1024, 16 << 20);
    let junk = pattern(9, 100 * 512);
    let right = ls_of(&volume, "");
    for line in [
        "0  empty",
        "1500000  long.bin",
        "12  kernel -> boot/vmlinuz",
        "12  boot/loader/entries/linux.conf",
        "3  many/file number 999",
        "0  lost+found/",
    ] {
        assert!(
            right.lines().any(|found| found.trim() == line),
            "{line} is not in\n{right}"
        );
    }
    for disk in [
        with_mbr(&[(0x82, 1, &junk), (0x83, 2048, &volume)]),
        with_gpt(&[(34, &junk), (2048, &volume), (40_000, &fat_volume())]),
    ] {
        assert_eq!(ls_of(&disk, ""), right);
        assert_eq!(ls_of(&disk, "/boot/loader/entries/linux.conf"), "title Linux\n");
        assert_eq!(
            ls_of(&disk, "boot/loader"),
            "         0  boot/loader/entries/\n        12  boot/loader/entries/linux.conf\n"
        );
    }
    let (path, image) = (folder.path().join("ext4.qcow"), image_of(&volume));
    std::fs::write(&path, image).unwrap();
    for (wanted, said) in [
        ("nothing", "nothing: no such file"),
        ("empty/nothing", "empty/nothing: not all of it is a directory"),
    ] {
        let (success, _, error) = ls(&[path.to_str().unwrap(), wanted]);
        assert!(!success && error.ends_with(&format!(": {said}\n")), "{error}");
    }
}
