//! The example `ls`: it lists and prints files of a file system inside an image.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::disks::{ext4_volume, fat_volume, image_of, mixed_folder, with_gpt, with_gpt_4kn, with_mbr};
use crate::common::example::{example, example_path};
use crate::common::pattern;

/// Runs `ls`. Returns whether it succeeds, standard output, and standard error.
fn ls(arguments: &[&str]) -> (bool, String, String) {
    let output = example("ls").args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

/// Returns the path of a file in `tests/data`.
fn data(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    path.to_str().unwrap().to_owned()
}

/// Asserts that a list has these lines, apart from the spaces around them.
fn assert_lines(listed: &str, lines: &[&str]) {
    for line in lines {
        assert!(
            listed.lines().any(|found| found.trim() == *line),
            "{line} is not in\n{listed}"
        );
    }
}

#[test]
fn without_arguments_it_lists_the_disk_of_the_repository() {
    let (success, listed, _) = ls(&[]);
    assert!(success);
    assert_lines(
        &listed,
        &[
            "165  README.TXT",
            "0  BOOT/",
            "30000  BOOT/KERNEL.BIN",
            "24  BOOT/ENTRIES/a loader's configuration.conf",
        ],
    );
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
fn an_error_is_one_line_that_names_the_disk() {
    let disk = data("disk.qcow");
    for (arguments, said) in [
        (vec![disk.as_str(), "nothing.txt"], "no such file"),
        (vec![&disk, "readme.txt/x"], "is not a directory"),
        (vec!["/nonexistent/disk"], "No such file"),
        (vec![&data("make.sh")], "not a QCOW image"),
        (vec![&data("plain.qcow")], "no FAT16, FAT32 or ext4 file system"),
    ] {
        let (success, _, error) = ls(&arguments);
        assert!(!success && error.contains(said), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.starts_with(&format!("ls: {}: ", arguments[0])), "{error}");
    }
}

/// Returns what `ls` prints for a path on a disk. Asserts that it succeeds.
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
        ("in a GPT in blocks of 4,096", with_gpt_4kn(&[(6, &volume)])),
        (
            "second in such a GPT",
            with_gpt_4kn(&[(8, &junk[..12 * 4096]), (256, &volume)]),
        ),
    ] {
        assert_eq!(ls_of(&disk, ""), right, "{place}");
    }
}

#[test]
fn a_gpt_whose_first_copy_is_lost_is_read_from_its_last() {
    let volume = fat_volume();
    let right = ls(&[]).1;
    for (block, mut disk) in [(512, with_gpt(&[(64, &volume)])), (4096, with_gpt_4kn(&[(8, &volume)]))] {
        let whole = disk.clone();
        // Zeros, a bit that the checksum finds, and another program's bytes over header and
        // entries.
        disk[block..2 * block].fill(0);
        assert_eq!(ls_of(&disk, ""), right, "{block}");
        disk.copy_from_slice(&whole);
        disk[block + 72] ^= 1;
        assert_eq!(ls_of(&disk, ""), right, "{block}");
        disk[block..6 * block].fill(0xa5);
        assert_eq!(ls_of(&disk, ""), right, "{block}");
        // The first copy alone is enough, as on a disk that was cut or has grown.
        disk.copy_from_slice(&whole);
        let end = disk.len();
        disk[end - block..].fill(0);
        assert_eq!(ls_of(&disk, ""), right, "{block}");
        // Without either there is none.
        disk[block..2 * block].fill(0);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.qcow");
        std::fs::write(&path, image_of(&disk)).unwrap();
        let (success, _, error) = ls(&[path.to_str().unwrap()]);
        assert!(
            !success && error.contains("neither copy of the GPT's header is valid"),
            "{error}"
        );
    }
}

#[test]
fn a_partition_past_the_end_of_the_disk_is_no_volume() {
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
        assert!(!success && error.contains("no FAT16, FAT32 or ext4"), "{error}");
    }
}

#[test]
#[ignore = "needs mkfs.ext4"]
fn an_ext4_volume_is_found_alone_and_in_either_partition_table() {
    let folder = mixed_folder();
    let volume = ext4_volume(folder.path(), 1024, 16 << 20);
    let junk = pattern(9, 100 * 512);
    let right = ls_of(&volume, "");
    assert_lines(
        &right,
        &[
            "0  empty",
            "1500000  long.bin",
            "12  kernel -> boot/vmlinuz",
            "12  boot/loader/entries/linux.conf",
            "3  many/file number 999",
            "0  lost+found/",
        ],
    );
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
        ("empty/nothing", "empty/nothing: a part of the path is not a directory"),
    ] {
        let (success, _, error) = ls(&[path.to_str().unwrap(), wanted]);
        assert!(!success && error.ends_with(&format!(": {said}\n")), "{error}");
    }
}

/// Returns the error of `ls` without the disk's name. Asserts that it is one line.
fn error_of(disk: &[u8], path: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("disk.qcow");
    std::fs::write(&file, image_of(disk)).unwrap();
    let (success, _, error) = ls(&[file.to_str().unwrap(), path]);
    assert!(!success);
    let line = error.strip_suffix('\n').unwrap();
    assert!(!line.contains(char::is_control), "not one plain line: {error:?}");
    line.split_once("disk.qcow: ").unwrap().1.to_owned()
}

/// Byte offsets in `fat_volume()`: 128 sectors of tables, 32 sectors of the root directory,
/// clusters of 512 bytes.
const TABLE: usize = 512;
const ROOT: usize = 129 * 512;
const CLUSTERS: usize = ROOT + 32 * 512;
/// The entries of BOOT and README.TXT in the root directory.
const BOOT: usize = ROOT + 32;
const README: usize = ROOT + 64;
/// The directory BOOT, and its entries ENTRIES and KERNEL.BIN.
const BOOT_FOLDER: usize = CLUSTERS;
const ENTRIES: usize = BOOT_FOLDER + 64;
const KERNEL: usize = BOOT_FOLDER + 96;
/// The directory ENTRIES.
const ENTRIES_FOLDER: usize = CLUSTERS + 512;

/// Returns the FAT volume with other bytes at some offsets.
fn fat_with(changes: &[(usize, &[u8])]) -> Vec<u8> {
    let mut volume = fat_volume();
    for (at, bytes) in changes {
        volume[*at..][..bytes.len()].copy_from_slice(bytes);
    }
    volume
}

/// Returns the FAT volume with another entry of `cluster` in both file allocation tables, and with
/// `changes`.
fn fat_with_link(cluster: usize, next: u16, changes: &[(usize, &[u8])]) -> Vec<u8> {
    let at = TABLE + 2 * cluster;
    let next = next.to_le_bytes();
    fat_with(&[&[(at, &next[..]), (at + 64 * 512, &next[..])], changes].concat())
}

#[test]
fn a_closed_pipe_is_no_error_and_a_full_disk_is_one() {
    let ls = |stdout: Stdio| {
        let mut ls = Command::new(example_path("ls"));
        ls.args([&data("disk.qcow"), "boot/kernel.bin"]);
        ls.stdout(stdout).stderr(Stdio::piped());
        ls
    };
    let mut unread = ls(Stdio::piped()).spawn().unwrap();
    drop(unread.stdout.take());
    let output = unread.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &output.stderr[..]), (Some(0), &b""[..]));

    if cfg!(target_os = "linux") {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = ls(full.into()).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(error.contains("standard output cannot be written: "), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[cfg(unix)]
#[test]
fn arguments_need_not_be_utf_8() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let name = OsStr::from_bytes(b"d\xff\x1b[2J");
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join(name);
    std::fs::copy(data("disk.qcow"), &disk).unwrap();
    let listed = example("ls").arg(&disk).assert().success().stderr("");
    assert!(String::from_utf8_lossy(&listed.get_output().stdout).contains("README.TXT"));
    for arguments in [vec![disk.as_os_str(), name], vec![name]] {
        let output = example("ls").args(arguments).assert().code(1).stdout("");
        let error = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.contains(r"\u{1b}[2J: "), "{error}");
    }
}

#[test]
fn volumes_that_are_not_supported_are_refused_by_name() {
    let none = "no FAT16, FAT32 or ext4 file system is on this disk; the volume at byte 0 is not read: ";
    for (changes, says) in [
        // 2,000 sectors, which make it FAT12.
        (&[(19, &[0xd0, 0x07][..])][..], "FAT12 is not supported"),
        (
            &[(11, &[0, 0x10])],
            "FAT with sectors of 4096 bytes is not supported, only of 512",
        ),
        // NTFS has the same fields as FAT, with 0 in these.
        (
            &[(3, b"NTFS    "), (13, &[0])],
            "its boot sector gives 0 sectors to a cluster, so it is not FAT",
        ),
        (
            &[(3, b"NTFS    "), (14, &[0, 0, 0, 0, 0])],
            "its boot sector gives no file allocation table, so it is not FAT",
        ),
    ] {
        assert_eq!(error_of(&fat_with(changes), ""), format!("{none}{says}"));
    }
    // The partitions after such a volume are still searched.
    let disk = with_mbr(&[(0x07, 64, &fat_with(&[(13, &[0])])), (0x0e, 40_000, &fat_volume())]);
    assert_eq!(ls_of(&disk, ""), ls(&[]).1);
}

#[test]
fn a_boot_sector_that_contradicts_itself_is_refused() {
    for changes in [
        &[(13, &[3][..])][..],
        // No tables, 255 tables, tables of no sectors, and tables larger than the volume.
        &[(16, &[0])],
        &[(16, &[0xff])],
        &[(22, &[0, 0])],
        &[(22, &[0xff, 0xff])],
        // A table with too few entries.
        &[(22, &[31, 0])],
        // No sectors, and the maximum number of sectors.
        &[(19, &[0, 0])],
        &[(19, &[0, 0]), (32, &[0xff; 4])],
        // As many sectors as a FAT32 volume, but without the fields of FAT32.
        &[(19, &[0, 0]), (32, &[0, 0, 0x10, 0])],
        &[(14, &[0xff, 0xff])],
        &[(17, &[0xff, 0xff]), (19, &[0, 0x10])],
    ] {
        let error = error_of(&fat_with(changes), "");
        assert!(error.contains("is not read: "), "{changes:?}: {error}");
    }
}

#[test]
fn a_directory_whose_chain_is_a_cycle_is_an_error() {
    // All entries are deleted ones, and none marks the end.
    let full: Vec<u8> = b"DELETED    \x20".iter().copied().chain([0; 20]).collect();
    let mut full = full.repeat(16);
    full.iter_mut().step_by(32).for_each(|first| *first = 0xe5);
    let error = error_of(&fat_with_link(2, 2, &[(BOOT_FOLDER, &full)]), "");
    assert_eq!(error, "damaged: a directory's chain of clusters has no end");
    // A directory that contains itself.
    let error = error_of(&fat_with(&[(ENTRIES + 26, &[2, 0])]), "");
    assert!(error.contains("too many open directories"), "{error}");
}

#[test]
fn a_chain_that_leads_out_of_the_volume_is_an_error() {
    let outside = "damaged: a chain of clusters leads out of the volume";
    for cluster in [0, 1, 0x3fff, 0xfff7, 0xffff_u16] {
        let number = cluster.to_le_bytes();
        assert_eq!(error_of(&fat_with(&[(BOOT + 26, &number)]), ""), outside);
        assert_eq!(error_of(&fat_with(&[(README + 26, &number)]), "readme.txt"), outside);
        if cluster != 0xffff {
            assert_eq!(error_of(&fat_with_link(2, cluster, &[]), ""), outside);
            assert_eq!(error_of(&fat_with_link(9, cluster, &[]), "boot/kernel.bin"), outside);
        }
    }
    let short = error_of(&fat_with_link(9, 0xffff, &[]), "boot/kernel.bin");
    assert_eq!(short, "damaged: a file's chain of clusters is shorter than the file");
    let long = error_of(&fat_with(&[(KERNEL + 28, &[0xff; 4])]), "boot/kernel.bin");
    assert_eq!(long, "damaged: a file's chain of clusters is shorter than the file");
}

#[test]
fn control_characters_in_names_are_escaped() {
    let kind = 11;
    let listed = ls_of(&fat_with(&[(README, b"\x1b[2J\x9b1m"), (BOOT + kind, &[0x10])]), "");
    assert!(listed.contains(r"\u{1b}[2J\u{9b}1m"), "{listed}");
    // The first part of a long name is stored just before the entry of the short name. Its second
    // character becomes U+202E, which reverses the direction of text.
    let volume = fat_volume();
    let mut parts = volume[ENTRIES_FOLDER..][..512].chunks(32);
    let first = parts.position(|entry| entry[0] & 0x1f == 1 && entry[kind] == 0x0f);
    let second_character = ENTRIES_FOLDER + first.unwrap() * 32 + 3;
    let listed = ls_of(&fat_with(&[(second_character, &[0x2e, 0x20])]), "");
    assert!(listed.contains(r"BOOT/ENTRIES/a\u{202e}loader"), "{listed}");
    let plain = |char: char| char == '\n' || !(char.is_control() || char == '\u{202e}');
    assert!(listed.chars().all(plain), "{listed:?}");
}

#[test]
fn a_name_that_the_library_panics_over_is_an_error() {
    // A long name of two parts. The last part begins with the low half of a surrogate pair whose
    // high half is missing.
    let part = |number: u8, first: u16| {
        let mut entry = [b'A'; 32];
        entry.iter_mut().step_by(2).for_each(|byte| *byte = 0);
        entry[0] = number;
        entry[1..3].copy_from_slice(&first.to_le_bytes());
        entry[11..14].copy_from_slice(&[0x0f, 0, 0]);
        // The other 12 of the 13 characters. A 0 would end the name.
        for at in [3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30] {
            entry[at..at + 2].copy_from_slice(&[b'A', 0]);
        }
        entry
    };
    let name = [part(0x42, 0xdc00), part(0x01, 0x41)].concat();
    let error = error_of(&fat_with(&[(README + 32, &name)]), "");
    assert_eq!(error, "damaged: the FAT library panicked");
}

#[cfg(unix)]
#[test]
#[ignore = "needs mkfs.ext4"]
fn names_in_ext4_need_not_be_utf_8_and_their_control_characters_are_escaped() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let folder = tempfile::tempdir().unwrap();
    let name = OsStr::from_bytes(b"a\xff\x1b[2J\n");
    std::fs::write(folder.path().join(name), "bytes").unwrap();
    std::os::unix::fs::symlink("\x1b[2J", folder.path().join("link")).unwrap();
    let volume = ext4_volume(folder.path(), 1024, 4 << 20);
    let listed = ls_of(&volume, "");
    assert!(listed.contains("a\u{fffd}\\u{1b}[2J\\n\n"), "{listed}");
    assert!(listed.contains("link -> \\u{1b}[2J\n"), "{listed}");
    let disk = folder.path().join("disk.qcow");
    std::fs::write(&disk, image_of(&volume)).unwrap();
    let printed = example("ls").arg(&disk).arg(name).assert().success();
    printed.stdout("bytes");
}
