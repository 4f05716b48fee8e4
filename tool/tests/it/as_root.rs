//! The output of a dump on mounts, on devices, and beside files of other users. These tests need
//! root.

#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::out::{allocated, assert_success, image};
use crate::place::{CLUSTER, Place, Qcow, SPAN, output_of, stderr, tool_path};

#[test]
#[ignore = "needs root"]
fn a_file_in_a_sticky_folder_that_belongs_to_another_user_is_written_in_place() {
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
#[ignore = "needs root, mount and bindfs"]
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
#[ignore = "needs root and mount"]
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
#[ignore = "needs root and losetup"]
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
