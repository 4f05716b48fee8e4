//! Where a dump goes: nothing that is complete is lost, and holes stay holes.

#![cfg(unix)]

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

use crate::place::{CLUSTER, Place, Qcow, SPAN, output_of, stderr, tool_path};

/// Writes an image of 64 MiB with two clusters, and returns its disk.
fn image(place: &Place) -> Vec<u8> {
    let size = 64 << 20;
    let image = Qcow::new(size).data(0x5000, 5).data(SPAN, 0).data(3 * SPAN, 3);
    place.write("image.qcow", image.build());
    let mut disk = vec![0; size as usize];
    disk[0x5000..0x6000].fill(5);
    disk[3 * SPAN as usize..][..CLUSTER as usize].fill(3);
    disk
}

/// Runs a shell command in the place, with the tool as `$0`.
fn shell(place: &Place, command: &str) -> Output {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).arg(tool_path()).current_dir(place.path(""));
    shell.output().unwrap()
}

fn assert_success(output: &Output) {
    assert!(output.status.success(), "{}", stderr(output));
}

/// Returns the number of bytes that a file takes.
fn allocated(place: &Place, name: &str) -> u64 {
    fs::metadata(place.path(name)).unwrap().blocks() * 512
}

fn is_superuser() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn standard_output_that_is_a_file_gets_holes() {
    let place = Place::new();
    let disk = image(&place);
    assert_success(&shell(&place, "\"$0\" dump image.qcow - > out.raw"));
    assert!(place.read("out.raw") == disk);
    assert!(allocated(&place, "out.raw") <= 64 << 10);
    // What the shell writes next comes after the disk, which ends in a hole.
    assert_success(&shell(
        &place,
        "(echo first; \"$0\" dump image.qcow -; echo last) > out.raw",
    ));
    assert!(place.read("out.raw") == [b"first\n", &disk[..], b"last\n"].concat());
    assert!(allocated(&place, "out.raw") <= 128 << 10);
    // `read` too.
    assert_success(&shell(
        &place,
        "\"$0\" read image.qcow --offset 0 --length 64M > out.raw",
    ));
    assert!(place.read("out.raw") == disk);
    assert!(allocated(&place, "out.raw") <= 64 << 10);
}

#[test]
fn standard_output_over_old_bytes_leaves_none_of_them() {
    let place = Place::new();
    let disk = image(&place);
    for (old, start) in [(1_usize << 20, 0), (70 << 20, 0), (70 << 20, 777)] {
        place.write("out.raw", vec![0xee; old]);
        let command = format!("exec 3<>out.raw; head -c {start} <&3 >/dev/null; \"$0\" dump image.qcow - >&3");
        assert_success(&shell(&place, &command));
        let out = place.read("out.raw");
        assert_eq!(out.len(), old.max(disk.len() + start));
        assert!(
            out[..start]
                .iter()
                .chain(&out[start + disk.len()..])
                .all(|byte| *byte == 0xee)
        );
        assert!(out[start..][..disk.len()] == disk);
    }
}

#[test]
fn standard_output_in_append_mode_is_written_in_sequence() {
    let place = Place::new();
    let disk = image(&place);
    place.write("out.raw", "first\n");
    assert_success(&shell(
        &place,
        "\"$0\" dump image.qcow - >> out.raw; echo last >> out.raw",
    ));
    assert!(place.read("out.raw") == [b"first\n", &disk[..], b"last\n"].concat());
}

#[test]
fn a_failed_dump_to_a_file_as_standard_output_leaves_the_bytes_that_it_reports() {
    let place = Place::new();
    place.write(
        "image.qcow",
        Qcow::new(4 * SPAN).data(0, 1).word(2 * SPAN, 0x2001).build(),
    );
    let output = shell(&place, "\"$0\" dump image.qcow - > out.raw");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).ends_with("; 4194304 bytes were written before it\n"));
    assert_eq!(fs::metadata(place.path("out.raw")).unwrap().len(), 2 * SPAN);
}

#[test]
#[cfg(target_os = "linux")]
fn a_closed_standard_output_is_an_error() {
    let place = Place::new();
    image(&place);
    for command in ["dump image.qcow -", "read image.qcow --offset 0 --length 1"] {
        let closed = shell(&place, &format!("\"$0\" {command} >&-"));
        assert_eq!(closed.status.code(), Some(1));
        assert!(
            stderr(&closed).starts_with("qcow1: standard output: is closed"),
            "{}",
            stderr(&closed)
        );
        assert_success(&shell(&place, &format!("\"$0\" {command} >/dev/null")));
    }
}

#[test]
fn a_limit_of_the_file_size_is_an_error_and_leaves_no_file() {
    let place = Place::new();
    image(&place);
    for (out, says) in [
        (
            "new.raw",
            "qcow1: new.raw: cannot hold 67108864 bytes: File too large (os error 27)\n",
        ),
        (
            "- > new.raw",
            "qcow1: standard output: cannot be written: File too large (os error 27)",
        ),
    ] {
        let output = shell(&place, &format!("ulimit -f 1024; \"$0\" dump image.qcow {out}"));
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(stderr(&output).starts_with(says), "{}", stderr(&output));
        let _ = fs::remove_file(place.path("new.raw"));
        assert_eq!(place.names(), ["image.qcow"]);
    }
}

#[test]
fn a_file_in_a_sticky_folder_that_belongs_to_another_user_is_written_in_place() {
    if !is_superuser() {
        return;
    }
    let place = Place::new();
    let disk = image(&place);
    let tool = place.path("qcow1");
    fs::copy(tool_path(), &tool).unwrap();
    let permit = |name: &str, mode| fs::set_permissions(place.path(name), fs::Permissions::from_mode(mode)).unwrap();
    fs::create_dir(place.path("sticky")).unwrap();
    place.write("sticky/out.raw", vec![0xee; 70 << 20]);
    permit("", 0o755);
    permit("sticky", 0o1777);
    permit("sticky/out.raw", 0o666);
    let before = fs::metadata(place.path("sticky/out.raw")).unwrap();
    let dump = || {
        let mut dump = Command::new(&tool);
        dump.args(["dump", "image.qcow", "sticky/out.raw"])
            .current_dir(place.path(""));
        output_of(dump.uid(65534).gid(65534))
    };
    assert_success(&dump());
    let after = fs::metadata(place.path("sticky/out.raw")).unwrap();
    assert_eq!(
        (after.ino(), after.uid(), after.mode()),
        (before.ino(), 0, before.mode())
    );
    assert!(place.read("sticky/out.raw") == disk);
    assert!(after.blocks() * 512 <= 64 << 10);
    assert_eq!(fs::read_dir(place.path("sticky")).unwrap().count(), 1);
    // A dump that fails leaves it as it was.
    place.write("image.qcow", Qcow::new(SPAN).word(0x3000, 0x2001).build());
    let failed = dump();
    assert!(
        stderr(&failed).contains("; 'sticky/out.raw' was left as it was; `qcow1 dump IMAGE - > OUT` needs no new file"),
        "{}",
        stderr(&failed)
    );
    assert!(place.read("sticky/out.raw") == disk);
}

#[test]
#[ignore = "needs mount and bindfs"]
fn a_dump_onto_what_cannot_be_replaced_is_complete() {
    let place = Place::new();
    let disk = image(&place);
    let run = |program: &str, args: &[&str]| {
        let status = Command::new(program).args(args).current_dir(place.path("")).status();
        assert!(
            status.unwrap_or_else(|_| panic!("{program} can't be run")).success(),
            "{program} {args:?}"
        );
    };
    // A file on which another is mounted, as in containers.
    place.write("host.raw", "old");
    place.write("out.raw", "below");
    run("mount", &["--bind", "host.raw", "out.raw"]);
    let dump = place.tool(&["dump", "image.qcow", "out.raw"]).output().unwrap();
    run("umount", &["out.raw"]);
    assert_success(&dump);
    assert!(place.read("host.raw") == disk);
    assert_eq!(place.read("out.raw"), b"below");
    assert_eq!(place.names(), ["host.raw", "image.qcow", "out.raw"]);
    // File systems that refuse one step.
    for refused in ["--chmod-deny", "--chown-deny", "--rename-deny"] {
        for folder in ["real", "mounted"] {
            let _ = fs::create_dir(place.path(folder));
        }
        place.write("real/old.raw", "old");
        run("bindfs", &[refused, "real", "mounted"]);
        let dumps = ["old", "new"].map(|name| {
            let dump = ["dump", "image.qcow", &format!("mounted/{name}.raw")];
            place.tool(&dump).output().unwrap()
        });
        run("umount", &["mounted"]);
        dumps.iter().for_each(assert_success);
        for name in ["real/old.raw", "real/new.raw"] {
            assert!(place.read(name) == disk, "{refused}");
            fs::remove_file(place.path(name)).unwrap();
        }
        assert_eq!(fs::read_dir(place.path("real")).unwrap().count(), 0);
    }
}

#[test]
#[ignore = "needs mount"]
fn a_complete_dump_that_fits_nowhere_else_stays_and_is_named() {
    let place = Place::new();
    // Two thirds of the file system are needed, so there is no room for a copy.
    let size = 6 << 20;
    let mut image = Qcow::new(size);
    for cluster in 0..size / CLUSTER {
        image = image.data(cluster * CLUSTER, 1 + (cluster % 200) as u8);
    }
    place.write("image.qcow", image.build());
    let run = |program: &str, args: &[&str]| {
        let status = Command::new(program).args(args).current_dir(place.path("")).status();
        assert!(
            status.unwrap_or_else(|_| panic!("{program} can't be run")).success(),
            "{program} {args:?}"
        );
    };
    fs::create_dir(place.path("small")).unwrap();
    run("mount", &["-t", "tmpfs", "-o", "size=9m", "none", "small"]);
    place.write("small/host.raw", "old");
    place.write("small/out.raw", "below");
    run("mount", &["--bind", "small/host.raw", "small/out.raw"]);
    let dump = place.tool(&["dump", "image.qcow", "small/out.raw"]).output().unwrap();
    let error = stderr(&dump);
    let named = error
        .trim_end()
        .rsplit_once("; the complete disk is in '")
        .map(|(_, name)| name.trim_end_matches('\'').to_owned());
    let kept = named.as_ref().and_then(|name| fs::read(name).ok());
    run("umount", &["small/out.raw"]);
    run("umount", &["small"]);
    assert_eq!(dump.status.code(), Some(1));
    assert!(
        error.starts_with("qcow1: small/out.raw: cannot be written: No space left on device"),
        "{error}"
    );
    assert!(!error.contains("left as it was"), "{error}");
    let disk = place.output(&["dump", "image.qcow", "-"]);
    assert!(kept.expect("the file is there") == disk);
}

#[test]
#[ignore = "needs losetup"]
#[cfg(target_os = "linux")]
fn a_block_device_gets_its_zeros_as_holes() {
    let place = Place::new();
    let mut disk = image(&place);
    place.write("thin", vec![0xee; 64 << 20]);
    let output = Command::new("losetup")
        .args(["-f", "--show"])
        .arg(place.path("thin"))
        .output();
    let output = output.expect("losetup can't be run");
    assert_success(&output);
    let device = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    let dump = place.tool(&["dump", "image.qcow", &device]).output().unwrap();
    let detached = Command::new("losetup").args(["-d", &device]).status().unwrap();
    assert!(detached.success());
    assert_success(&dump);
    let thin = place.read("thin");
    disk.resize(thin.len(), 0xee);
    assert!(thin == disk);
    assert!(allocated(&place, "thin") <= 128 << 10, "{}", allocated(&place, "thin"));
}

#[test]
#[cfg(target_os = "linux")]
fn a_dump_of_four_tebibytes_of_nothing_takes_no_time_anywhere() {
    let place = Place::new();
    place.write("image.qcow", Qcow::new(4 << 40).data(2 << 40, 7).build());
    assert_success(&shell(&place, "\"$0\" dump image.qcow - > out.raw"));
    let out = File::open(place.path("out.raw")).unwrap();
    assert_eq!(out.metadata().unwrap().len(), 4 << 40);
    let mut bytes = [0; 4096];
    out.read_exact_at(&mut bytes, 2 << 40).unwrap();
    assert_eq!(bytes, [7; 4096]);
}
