//! `dump` and `read`: the guest's bytes.

use std::fs;
use std::process::{Command, Stdio};

use crate::place::{CLUSTER, Place, Qcow, SPAN, tool_path};

/// A disk of one full cluster at 0x5000, and another at the end of it, cut to 100 bytes.
fn image() -> Qcow {
    Qcow::new(SPAN + 100).data(0x5000, 0xab).data(SPAN, 0xcd)
}

fn disk() -> Vec<u8> {
    let mut disk = vec![0; (SPAN + 100) as usize];
    disk[0x5000..0x6000].fill(0xab);
    disk[SPAN as usize..].fill(0xcd);
    disk
}

#[test]
fn dump_writes_the_disk() {
    let place = Place::new();
    place.write("image.qcow", image().build());
    assert_eq!(place.output(&["dump", "image.qcow", "out.raw"]), b"");
    assert!(place.read("out.raw") == disk());
    assert!(place.output(&["dump", "image.qcow", "-"]) == disk());
    // Memory changes how often the file is read, and nothing else.
    for memory in ["512", "0x3e7", "5k", "64M"] {
        assert!(place.output(&["dump", "image.qcow", "-", "--memory", memory]) == disk());
    }
}

#[test]
fn dump_replaces_what_a_file_held() {
    let place = Place::new();
    place.write("image.qcow", image().build());
    place.write("out.raw", vec![0xee; 5 << 20]);
    place.output(&["dump", "image.qcow", "out.raw"]);
    assert!(place.read("out.raw") == disk());
}

#[cfg(unix)]
#[test]
fn holes_stay_holes() {
    use std::os::unix::fs::MetadataExt;

    let place = Place::new();
    let size = 64 << 20;
    // The base's data is zeros but for one cluster, so that its blocks of zeros are holes too.
    let mut base = vec![0; size as usize];
    base[40 << 20] = 1;
    place.write("base.raw", &base);
    let top = Qcow::new(size)
        .backing("base.raw")
        .data(3 * SPAN, 0xab)
        .data(5 * SPAN, 0);
    place.write("top.qcow", top.build());
    place.output(&["dump", "top.qcow", "out.raw", "--backing", "raw:base.raw"]);
    base[3 * SPAN as usize..][..CLUSTER as usize].fill(0xab);
    assert!(place.read("out.raw") == base);
    let out = fs::metadata(place.path("out.raw")).unwrap();
    assert_eq!(out.len(), size);
    // In units of 512 bytes, whatever the file system's own.
    assert!(out.blocks() * 512 <= 1 << 20, "{} blocks", out.blocks());

    // A disk that ends in a hole.
    place.write("hole.qcow", Qcow::new(size + 1).build());
    place.output(&["dump", "hole.qcow", "hole.raw"]);
    let hole = fs::metadata(place.path("hole.raw")).unwrap();
    assert_eq!((hole.len(), hole.blocks()), (size + 1, 0));
}

#[test]
fn many_small_runs_come_out_right() {
    let place = Place::new();
    let size = 3 * SPAN;
    let mut image = Qcow::new(size);
    let mut disk = vec![0; size as usize];
    // Every third cluster, then a hole that is worth a look of its own, then neighbours.
    for cluster in (0..500).step_by(3).chain(600..900).chain(1500..1536) {
        let fill = (cluster % 251) as u8;
        image = image.data(cluster * CLUSTER, fill);
        disk[(cluster * CLUSTER) as usize..][..CLUSTER as usize].fill(fill);
    }
    place.write("image.qcow", image.build());
    place.output(&["dump", "image.qcow", "out.raw"]);
    assert!(place.read("out.raw") == disk);
    assert!(place.output(&["dump", "image.qcow", "-", "--memory", "512"]) == disk);
}

#[cfg(unix)]
#[test]
fn dump_writes_to_devices_as_they_are() {
    let place = Place::new();
    place.write("image.qcow", image().build());
    place.output(&["dump", "image.qcow", "/dev/null"]);
    assert!(place.output(&["dump", "image.qcow", "/dev/stdout"]) == disk());
}

#[cfg(target_os = "linux")]
#[test]
fn a_failed_write_names_the_file_and_the_place() {
    let place = Place::new();
    place.write("image.qcow", image().build());
    let error = place.error(&["dump", "image.qcow", "/dev/full"]);
    assert!(error.starts_with("/dev/full: "), "{error}");
    assert!(error.contains("guest offset 0x0"), "{error}");
}

#[cfg(unix)]
#[test]
fn dump_never_writes_over_an_image() {
    let place = Place::new();
    let top = Qcow::new(SPAN).backing("base.raw").data(0, 1).build();
    place.write("top.qcow", &top);
    place.write("base.raw", [5; 4096]);
    fs::hard_link(place.path("top.qcow"), place.path("link")).unwrap();
    std::os::unix::fs::symlink("base.raw", place.path("symlink")).unwrap();
    for out in ["top.qcow", "link", "base.raw", "symlink"] {
        let error = place.error(&["dump", "top.qcow", out, "--follow"]);
        assert!(error.starts_with(&format!("{out}: is the same file as")), "{error}");
    }
    // Standard output may be the image too.
    let out = fs::OpenOptions::new()
        .append(true)
        .open(place.path("base.raw"))
        .unwrap();
    let mut tool = Command::new(tool_path());
    tool.args(["dump", "top.qcow", "-", "--follow"])
        .current_dir(place.path(""))
        .stdout(out)
        .stderr(Stdio::null());
    assert_eq!(tool.status().unwrap().code(), Some(1));
    assert!(place.read("top.qcow") == top);
    assert!(place.read("base.raw") == [5; 4096]);
}

#[test]
fn a_failed_dump_says_where_and_claims_no_more_than_it_has() {
    let place = Place::new();
    let image = Qcow::new(2 * SPAN).data(0x5000, 0xab).word(SPAN + 0x3000, 0x2001);
    place.write("image.qcow", image.build());
    let error = place.error(&["dump", "image.qcow", "out.raw"]);
    assert!(
        error.starts_with("image.qcow: at guest offset 0x203000: corrupt image: "),
        "{error}"
    );
    let written = place.read("out.raw");
    assert!(
        error.ends_with(&format!("; 'out.raw' holds the {} bytes before it", written.len())),
        "{error}"
    );
    let mut before = vec![0; written.len()];
    before[0x5000..0x6000].fill(0xab);
    assert!(written == before);
    assert!(written.len() > 0x6000);
}

#[test]
fn read_gives_the_bytes_asked_for() {
    let place = Place::new();
    place.write("image.qcow", image().build());
    let read =
        |offset: &str, length: &str| place.output(&["read", "image.qcow", "--offset", offset, "--length", length]);
    assert_eq!(read("20479", "2"), [0, 0xab]);
    assert_eq!(read("0x4fff", "0x2"), [0, 0xab]);
    assert_eq!(read("20k", "4k"), [0xab; 4096]);
    assert_eq!(read("2M", "100"), [0xcd; 100]);
    assert!(read("0", "2097252") == disk());
    assert_eq!(read("2097252", "0"), b"");
}

#[test]
fn read_past_the_end_writes_nothing() {
    let place = Place::new();
    place.write("image.qcow", image().build());
    for (offset, length) in [
        ("2M", "101"),
        ("2097252", "1"),
        ("0", "3M"),
        ("0xffffffffffffffff", "2"),
        ("1G", "0"),
    ] {
        // `error` wants nothing on standard output.
        let error = place.error(&["read", "image.qcow", "--offset", offset, "--length", length]);
        assert!(error.starts_with("image.qcow: has 2097252 bytes, and "), "{error}");
    }
}

#[test]
fn salvage_reads_zeros_past_the_end_of_the_file() {
    let place = Place::new();
    let mut file = image().build();
    // The last cluster goes, and the second table with it.
    file.truncate(3 * 4096 + 10);
    place.write("cut.qcow", &file);
    let error = place.error(&["dump", "cut.qcow", "out.raw"]);
    assert!(
        error.starts_with("cut.qcow: at guest offset 0x200000: corrupt image: "),
        "{error}"
    );
    place.output(&["dump", "cut.qcow", "out.raw", "--salvage"]);
    let mut left = disk();
    left[SPAN as usize..].fill(0);
    assert!(place.read("out.raw") == left);
    // Not even the L1 is left.
    file.truncate(50);
    place.write("cut.qcow", &file);
    let error = place.error(&["read", "cut.qcow", "--offset", "0", "--length", "1"]);
    assert!(error.starts_with("cut.qcow: corrupt image: the L1 table"), "{error}");
    assert_eq!(
        place.output(&["read", "cut.qcow", "--offset", "0x5000", "--length", "1", "--salvage"]),
        [0]
    );
}

#[test]
fn encrypted_clusters_are_refused_without_a_password() {
    let place = Place::new();
    place.write("secret.qcow", image().field(36, &1_u32.to_be_bytes()).build());
    let error = place.error(&["dump", "secret.qcow", "out"]);
    assert!(
        error.starts_with("secret.qcow: at guest offset 0x5000: the cluster is encrypted"),
        "{error}"
    );
}

/// An image of the repository's.
fn committed(name: &str) -> String {
    format!("{}/../tests/data/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// The digest that stands beside the images of the repository.
fn digest(name: &str) -> String {
    let digests = std::fs::read_to_string(committed("SHA256")).unwrap();
    let line = digests.lines().find(|line| line.ends_with(name)).unwrap();
    line.split_once(' ').unwrap().0.to_owned()
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[test]
fn encrypted_clusters_are_decrypted_with_the_first_line_of_the_password_file() {
    let place = Place::new();
    let image = committed("encrypted.qcow");
    for password in ["passphrase", "passphrase\n", "passphrase\r\nanother line\n"] {
        place.write("password", password);
        let bytes = place.output(&["dump", &image, "-", "--password-file", "password"]);
        assert_eq!(sha256(&bytes), digest("encrypted.qcow"));
    }
}

#[test]
fn compressed_clusters_are_inflated() {
    let place = Place::new();
    let bytes = place.output(&["dump", &committed("compressed.qcow"), "-"]);
    assert_eq!(sha256(&bytes), digest("compressed.qcow"));
}

/// The exit status and standard error of the tool where nobody reads its standard output.
fn unread(place: &Place, args: &[&str]) -> (Option<i32>, String) {
    let mut tool = Command::new(tool_path())
        .args(args)
        .current_dir(place.path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(tool.stdout.take());
    let output = tool.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_closed_pipe_is_no_error() {
    let place = Place::new();
    let mut image = Qcow::new(SPAN);
    for cluster in 0..200 {
        image = image.data(cluster * 2 * CLUSTER, 7);
    }
    place.write("image.qcow", image.build());
    for args in [
        &["dump", "image.qcow", "-"][..],
        &["read", "image.qcow", "--offset", "0", "--length", "2M"],
        &["map", "image.qcow", "--json"],
        &["info", "image.qcow"],
        &["check", "image.qcow"],
        &["--help"],
    ] {
        assert_eq!(unread(&place, args), (Some(0), String::new()), "{args:?}");
    }
}

#[test]
fn a_reader_that_goes_does_not_make_an_image_clean() {
    let place = Place::new();
    place.write("image.qcow", Qcow::new(SPAN).word(0, 7).build());
    assert_eq!(unread(&place, &["check", "image.qcow"]), (Some(2), String::new()));
}

#[test]
fn what_lies_before_a_flaw_is_kept_to_the_cluster() {
    let place = Place::new();
    let mut image = Qcow::new(SPAN);
    for cluster in 0..40 {
        image = image.data(cluster * CLUSTER, 7);
    }
    place.write("image.qcow", image.compressed(40 * CLUSTER, b"no stream").build());
    let error = place.error(&["dump", "image.qcow", "out.raw"]);
    assert!(error.starts_with("image.qcow: at guest offset 0x28000: "), "{error}");
    assert!(
        error.ends_with("; 'out.raw' holds the 163840 bytes before it"),
        "{error}"
    );
    assert_eq!(place.read("out.raw"), [7; 40 * CLUSTER as usize]);
}

#[test]
fn a_file_stays_as_it_was_until_there_is_a_byte_to_put_in_it() {
    let place = Place::new();
    place.write("image.qcow", Qcow::new(SPAN).backing("base").data(CLUSTER, 7).build());
    place.write("out.raw", "what was there");
    let error = place.error(&["dump", "image.qcow", "out.raw"]);
    assert!(error.ends_with("; 'out.raw' was left as it was"), "{error}");
    assert_eq!(place.read("out.raw"), b"what was there");
    // Nor is the backing file that an image names written over, whether it was opened or not.
    place.write("base", "what was there");
    let full = Qcow::new(CLUSTER).backing("base").data(0, 7);
    place.write("full.qcow", full.build());
    let error = place.error(&["dump", "full.qcow", "base"]);
    assert!(error.contains("is the same file as the image 'base'"), "{error}");
    assert_eq!(place.read("base"), b"what was there");
}
