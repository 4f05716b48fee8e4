//! `--backing` and `--follow`: chains of images.

use std::fs;

use crate::place::{CLUSTER, Place, Qcow, SPAN};

/// Writes a chain of three files, and returns its disk. Each file supplies one cluster, and the
/// lower files also store clusters that a higher file hides.
fn three(place: &Place) -> Vec<u8> {
    fs::create_dir(place.path("sub")).unwrap();
    let top = Qcow::new(SPAN).backing("sub/middle.qcow").data(0, 1);
    place.write("top.qcow", top.build());
    // The name is relative to this image, not to the working directory.
    let middle = Qcow::new(SPAN).backing("base.raw").data(0, 2).data(CLUSTER, 2);
    place.write("sub/middle.qcow", middle.build());
    place.write("sub/base.raw", [3; 3 * CLUSTER as usize - 1000]);
    let mut disk = vec![0; SPAN as usize];
    disk[..3 * CLUSTER as usize - 1000].fill(3);
    disk[..2 * CLUSTER as usize].fill(2);
    disk[..CLUSTER as usize].fill(1);
    disk
}

#[test]
fn backing_files_are_given_top_first() {
    let place = Place::new();
    let disk = three(&place);
    let middle = ["--backing", "qcow:sub/middle.qcow"];
    let base = ["--backing", "raw:sub/base.raw"];
    let dump = ["dump", "top.qcow", "-"];
    assert!(place.output(&[&dump[..], &middle, &base].concat()) == disk);
    // A raw base names no backing file, so no image can be below it.
    let error = place.error(&[&dump[..], &base, &middle].concat());
    assert_eq!(
        error,
        "sub/middle.qcow: cannot be the backing file of 'sub/base.raw', which names none"
    );
}

#[test]
fn follow_opens_what_the_images_name() {
    let place = Place::new();
    let disk = three(&place);
    assert!(place.output(&["dump", "top.qcow", "-", "--follow"]) == disk);
    let top = place.path("top.qcow");
    let read = ["--offset", "0x2000", "--length", "4k", "--follow"];
    let read = [&["read", top.to_str().unwrap()], &read[..]].concat();
    assert!(place.output(&read) == disk[0x2000..0x3000]);
    // An absolute name is used as it is.
    let absolute = place.path("sub/base.raw");
    place.write(
        "abs.qcow",
        Qcow::new(CLUSTER).backing(absolute.to_str().unwrap()).build(),
    );
    assert!(place.output(&["dump", "abs.qcow", "-", "--follow"]) == [3; CLUSTER as usize]);
}

#[test]
fn a_hole_without_its_backing_file_says_what_to_pass() {
    let place = Place::new();
    three(&place);
    let error = place.error(&["dump", "top.qcow", "out.raw"]);
    assert!(error.starts_with("top.qcow: at guest offset 0x1000: "), "{error}");
    for option in ["--backing raw:FILE", "--backing qcow:FILE", "--follow"] {
        assert!(error.contains(option), "{error}");
    }
    // The error names the image that lacks its backing file.
    let read = ["read", "top.qcow", "--offset", "8k", "--length", "1"];
    let error = place.error(&[&read[..], &["--backing", "qcow:sub/middle.qcow"]].concat());
    assert!(
        error.starts_with("sub/middle.qcow: at guest offset 0x2000: "),
        "{error}"
    );
    // What the image stores itself needs no backing file.
    let read = ["read", "top.qcow", "--offset", "4095", "--length", "1"];
    assert_eq!(place.output(&read), [1]);
}

#[test]
fn an_error_names_the_image_of_the_chain_that_it_is_in() {
    let place = Place::new();
    place.write("top.qcow", Qcow::new(SPAN).backing("base.qcow").data(0, 1).build());
    place.write("base.qcow", Qcow::new(SPAN).word(0x5000, 0x7777).build());
    let error = place.error(&["dump", "top.qcow", "out", "--follow", "--memory", "512"]);
    assert!(
        error.starts_with("base.qcow: at guest offset 0x5000: corrupt image: "),
        "{error}"
    );
}

#[test]
fn a_backing_file_declared_raw_is_never_probed() {
    let place = Place::new();
    place.write("secret", [9; 4096]);
    // A guest can write such a header into the first sector of its raw disk.
    let evil = Qcow::new(SPAN).backing("secret").build();
    place.write("evil.raw", &evil);
    place.write("top.qcow", Qcow::new(SPAN).backing("evil.raw").build());
    let read = ["read", "top.qcow", "--offset", "0", "--length", "48"];
    let raw = [&read[..], &["--backing", "raw:evil.raw"]].concat();
    let output = place.tool(&raw).assert().success().stdout(evil[..48].to_vec());
    // This may be a mistake of the user's.
    let note = "qcow1: evil.raw: begins with QCOW's magic number, and is read as a raw disk, as declared\n";
    output.stderr(note);
    assert!(place.output(&[&raw[..], &["--quiet"]].concat()) == evil[..48]);
    // `--follow` probes the file, which its documentation warns of.
    assert_eq!(place.output(&[&read[..], &["--follow"]].concat()), [9; 48]);
}

#[test]
fn a_backing_file_declared_qcow_must_be_qcow() {
    let place = Place::new();
    place.write("top.qcow", Qcow::new(SPAN).backing("base").build());
    place.write("base", [0; 4096]);
    let error = place.error_with(5, &["dump", "top.qcow", "-", "--backing", "qcow:base"]);
    assert_eq!(error, "base: not a QCOW image: the magic number is missing");
}

#[test]
fn a_missing_backing_file_is_reported_with_the_image_that_names_it() {
    let place = Place::new();
    fs::create_dir(place.path("sub")).unwrap();
    place.write("sub/top.qcow", Qcow::new(SPAN).backing("gone.raw").build());
    let error = place.error(&["dump", "sub/top.qcow", "out.raw", "--follow"]);
    assert!(error.starts_with("sub/gone.raw: cannot be opened: "), "{error}");
    assert!(
        error.ends_with("(it is the backing file that 'sub/top.qcow' names)"),
        "{error}"
    );
    assert!(!place.path("out.raw").exists());
}

#[test]
fn a_loop_is_an_error_that_names_the_file() {
    let place = Place::new();
    place.write("self.qcow", Qcow::new(SPAN).backing("self.qcow").build());
    let error = place.error(&["dump", "self.qcow", "-", "--follow"]);
    assert!(error.starts_with("self.qcow: ") && error.contains("loop"), "{error}");

    place.write("a.qcow", Qcow::new(SPAN).backing("b.qcow").build());
    place.write("b.qcow", Qcow::new(SPAN).backing("./a.qcow").build());
    let error = place.error(&["dump", "a.qcow", "-", "--follow"]);
    assert!(
        error.starts_with("./a.qcow: ") || error.starts_with("a.qcow: "),
        "{error}"
    );
    assert!(error.contains("loop") && error.contains("'b.qcow'"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_loop_is_found_by_the_file_and_not_by_its_name() {
    let place = Place::new();
    place.write("a.qcow", Qcow::new(SPAN).backing("link").build());
    std::os::unix::fs::symlink("a.qcow", place.path("link")).unwrap();
    fs::hard_link(place.path("a.qcow"), place.path("hard")).unwrap();
    for top in ["a.qcow", "hard"] {
        let error = place.error(&["dump", top, "-", "--follow"]);
        assert!(error.starts_with("link: ") && error.contains("loop"), "{error}");
    }
}

#[test]
fn a_chain_of_200_images_is_read() {
    let place = Place::new();
    for depth in 0..200 {
        let image = Qcow::new(SPAN).backing(format!("{}.qcow", depth + 1));
        place.write(&format!("{depth}.qcow"), image.build());
    }
    place.write("199.qcow", Qcow::new(SPAN).data(0, 8).build());
    let read = ["read", "0.qcow", "--follow", "--offset", "0", "--length", "2"];
    assert_eq!(place.output(&read), [8, 8]);
    let error = place.error(&[
        "read",
        "0.qcow",
        "--offset",
        "0",
        "--length",
        "2",
        "--backing",
        "qcow:1.qcow",
    ]);
    assert!(error.starts_with("1.qcow: at guest offset 0x0: "), "{error}");
}

#[test]
fn a_name_ends_at_its_first_nul() {
    let place = Place::new();
    // Nothing rewrites a name of QCOW1, so one that was edited in place is shorter than its length.
    place.write("top.qcow", Qcow::new(SPAN).backing(b"base.raw\0\0\0old").build());
    place.write("base.raw", [6; 512]);
    let read = ["read", "top.qcow", "--follow", "--offset", "511", "--length", "2"];
    assert_eq!(place.output(&read), [6, 0]);
    assert_eq!(place.json(&["info", "top.qcow", "--json"])["backing_file"], "base.raw");
    let error = place.error(&["dump", "top.qcow", "base.raw"]);
    assert!(error.starts_with("base.raw: is the same file as"), "{error}");
}

#[test]
fn a_name_with_a_protocol_is_a_file_and_the_error_says_what_to_pass() {
    let place = Place::new();
    place.write("base.raw", [6; 512]);
    place.write("top.qcow", Qcow::new(SPAN).backing("file:base.raw").build());
    let error = place.error(&["dump", "top.qcow", "-", "--follow"]);
    assert!(error.contains("pass --backing raw:base.raw"), "{error}");
    place.write("file:base.raw", [7; 512]);
    let read = ["read", "top.qcow", "--follow", "--offset", "0", "--length", "1"];
    assert_eq!(place.output(&read), [7]);
}

#[test]
fn a_map_of_a_chain_names_the_file_that_stores_each_run() {
    let place = Place::new();
    three(&place);
    let run = |start: u64, length: u64, kind: &str, offset: Option<u64>, depth: u64, file: &str| {
        serde_json::json!({
            "start": start, "length": length, "kind": kind, "offset": offset, "depth": depth, "file": file,
        })
    };
    let stored = 3 * CLUSTER - 1000;
    let base = "sub/base.raw";
    let expected = serde_json::json!([
        run(0, CLUSTER, "data", Some(0x2000), 0, "top.qcow"),
        run(CLUSTER, CLUSTER, "data", Some(0x3000), 1, "sub/middle.qcow"),
        run(2 * CLUSTER, CLUSTER - 1000, "data", Some(2 * CLUSTER), 2, base),
        // Past the end of the raw file.
        run(stored, SPAN - stored, "zero", None, 2, base),
    ]);
    let given = ["--backing", "qcow:sub/middle.qcow", "--backing", "raw:sub/base.raw"];
    for options in [&["--follow"][..], &given] {
        assert_eq!(
            place.json(&[&["map", "top.qcow", "--json"], options].concat()),
            expected
        );
    }
    let text = String::from_utf8(place.output(&["map", "top.qcow", "--follow"])).unwrap();
    assert!(
        text.contains("  0x1000    0x1000  data        0x3000                sub/middle.qcow\n"),
        "{text}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn holes_of_a_raw_backing_file_are_zeros_and_take_no_time() {
    use std::os::unix::fs::FileExt;

    let place = Place::new();
    let size = 1 << 42;
    place.write("top.qcow", Qcow::new(size).backing("base.raw").build());
    let base = fs::File::create(place.path("base.raw")).unwrap();
    base.set_len(size).unwrap();
    base.write_all_at(&[9; 4096], 3 << 40).unwrap();
    let map = place.json(&["map", "top.qcow", "--follow", "--json"]);
    let kinds: Vec<_> = map.as_array().unwrap().iter().map(|run| &run["kind"]).collect();
    assert_eq!(kinds, ["zero", "data", "zero"]);
    assert_eq!(map[1]["offset"].as_u64(), Some(3 << 40));
    // Reading 4 TiB would take an hour.
    place.output(&["dump", "top.qcow", "out.raw", "--follow"]);
    let out = fs::File::open(place.path("out.raw")).unwrap();
    let mut bytes = [0; 8192];
    out.read_exact_at(&mut bytes, (3 << 40) - 4096).unwrap();
    assert!(bytes[..4096] == [0; 4096] && bytes[4096..] == [9; 4096]);
    assert_eq!(out.metadata().unwrap().len(), size);
}

#[test]
fn qcow2_is_refused_by_name() {
    let place = Place::new();
    for version in [2_u8, 3] {
        place.write("two.qcow2", Qcow::new(SPAN).field(7, &[version]).build());
        place.write("top.qcow", Qcow::new(SPAN).backing("two.qcow2").build());
        for args in [
            &["info", "two.qcow2"][..],
            &["check", "two.qcow2"],
            &["dump", "two.qcow2", "-"],
            &["dump", "top.qcow", "-", "--follow"],
            &["dump", "top.qcow", "-", "--backing", "qcow:two.qcow2"],
        ] {
            let error = place.error_with(5, args);
            assert!(error.starts_with("two.qcow2: this is a QCOW2 image"), "{error}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_is_refused_and_not_waited_for() {
    let place = Place::new();
    place.pipe("pipe");
    place.write("top.qcow", Qcow::new(SPAN).backing("pipe").build());
    let error = place.error(&["dump", "top.qcow", "-", "--follow"]);
    assert!(error.starts_with("pipe: is a pipe or a socket"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_without_a_size_is_refused_instead_of_read_as_an_empty_disk() {
    let place = Place::new();
    for (path, says) in [
        ("/dev/zero", "is a character device"),
        // Its metadata claims a regular file of 0 bytes.
        ("/proc/self/status", "has no size"),
    ] {
        place.write("top.qcow", Qcow::new(SPAN).backing(path).build());
        for options in [&["--backing", &format!("raw:{path}")][..], &["--follow"]] {
            let error = place.error(&[&["dump", "top.qcow", "out"], options].concat());
            assert!(error.starts_with(&format!("{path}: {says}")), "{error}");
        }
    }
}
