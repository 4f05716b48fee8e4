//! The output of a dump: no complete dump is lost, and holes stay holes.

#![cfg(unix)]

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::process::{Command, Output};

use crate::place::{CLUSTER, Place, Qcow, SPAN, stderr, tool_path};

/// Writes an image of 64 MiB with two clusters, and returns its disk.
pub(crate) fn image(place: &Place) -> Vec<u8> {
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

pub(crate) fn assert_success(output: &Output) {
    assert!(output.status.success(), "{}", stderr(output));
}

/// Returns the number of bytes that a file takes.
pub(crate) fn allocated(place: &Place, name: &str) -> u64 {
    fs::metadata(place.path(name)).unwrap().blocks() * 512
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
