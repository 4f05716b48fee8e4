//! `info`, `map` and `check`.

use std::fs;
use std::process::Command;

use serde_json::json;

use crate::place::{Place, Qcow, SPAN, stderr, tool_path};

#[test]
fn info_has_each_field_of_the_header() {
    let place = Place::new();
    place.write("plain.qcow", Qcow::new(3 * SPAN - 5000).build());
    let plain = place.json(&["info", "plain.qcow", "--json"]);
    assert_eq!(
        plain,
        json!({
            "image": "plain.qcow",
            "format": "qcow",
            "version": 1,
            "virtual_size": 3 * SPAN - 5000,
            "file_size": 72,
            "allocated_size": plain["allocated_size"],
            "cluster_size": 4096,
            "l2_entries": 512,
            "l1_entries": 3,
            "l1_offset": 48,
            "encrypted": false,
            "backing_file": null,
            "mtime": 0,
            "xen": false,
            "memory_minimum": 512,
            "memory_compressed": 10251,
            "memory_compressed_fast": plain["memory_compressed_fast"],
            "memory_all_tables": plain["memory_all_tables"],
        })
    );
    assert!(!cfg!(unix) || plain["allocated_size"].is_u64());
    assert!(plain["memory_compressed_fast"].as_u64() <= plain["memory_all_tables"].as_u64());

    let overlay = Qcow::new(SPAN)
        .backing("base.raw")
        .field(20, &1_234_567_890_u32.to_be_bytes())
        .field(36, &1_u32.to_be_bytes());
    place.write("overlay.qcow", overlay.build());
    let overlay = place.json(&["info", "overlay.qcow", "--json"]);
    assert_eq!(overlay["backing_file"], "base.raw");
    assert_eq!(overlay["mtime"], 1_234_567_890);
    assert_eq!(overlay["encrypted"], true);
    // The keys are in the order of the documentation, not sorted.
    let keys = place.output(&["info", "overlay.qcow", "--json"]);
    assert!(keys.starts_with(b"{\"image\": \"overlay.qcow\", \"format\": \"qcow\", "));
}

#[test]
fn info_of_an_empty_disk_of_16_tib_asks_for_the_memory_of_the_tables_that_its_file_can_hold() {
    let place = Place::new();
    place.write("empty.qcow", Qcow::new(16 << 40).build());
    let file_size = fs::metadata(place.path("empty.qcow")).unwrap().len();
    let info = place.json(&["info", "empty.qcow", "--json"]);
    let all_tables = info["memory_all_tables"].as_u64().unwrap();
    assert!(
        (file_size..2 * file_size).contains(&all_tables),
        "{file_size} {all_tables}"
    );
    let text = String::from_utf8(place.output(&["info", "empty.qcow"])).unwrap();
    assert!(text.contains(&format!("  {all_tables} bytes (")), "{text}");
    // With that much, a map of the disk reads each byte of the tables once.
    place.output(&["map", "empty.qcow", "--memory", &all_tables.to_string()]);
}

#[test]
fn several_images_are_shown_and_checked_even_if_one_cannot_be_opened() {
    let place = Place::new();
    place.write("a.qcow", Qcow::new(SPAN).build());
    place.write("b.qcow", Qcow::new(2 * SPAN).data(0, 1).build());
    place.write("raw", [1; 512]);
    let bad = Qcow::new(SPAN).word(0x3000, 0x2001).build();
    place.write("bad.qcow", bad);
    let lines = place.output(&["info", "--json", "a.qcow", "b.qcow"]);
    let images = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let sizes: Vec<_> = images
        .map(|line| serde_json::from_slice::<serde_json::Value>(line).unwrap()["virtual_size"].as_u64())
        .collect();
    assert_eq!(sizes, [Some(SPAN), Some(2 * SPAN)]);
    let output = place.tool(&["info", "a.qcow", "raw", "b.qcow"]).assert().code(5);
    let text = String::from_utf8_lossy(&output.get_output().stdout);
    assert!(text.contains("image               a.qcow\n") && text.contains("\n\nimage               b.qcow\n"));
    assert_eq!(
        stderr(output.get_output()),
        "qcow1: raw: not a QCOW image: the magic number is missing\n"
    );
    for (images, status) in [
        (&["a.qcow", "b.qcow"][..], 0),
        (&["a.qcow", "bad.qcow", "b.qcow"], 2),
        (&["bad.qcow", "raw", "b.qcow"], 5),
        (&["bad.qcow", "raw", "gone", "b.qcow"], 1),
    ] {
        let output = place.tool(&[&["check"], images].concat()).assert().code(status);
        let text = String::from_utf8_lossy(&output.get_output().stdout);
        assert!(text.contains("b.qcow: clean\n"), "{text}");
    }
}

#[test]
fn quiet_leaves_the_exit_status_and_the_errors() {
    let place = Place::new();
    place.write("bad.qcow", Qcow::new(SPAN).word(0x3000, 0x2001).build());
    place
        .tool(&["check", "--quiet", "bad.qcow"])
        .assert()
        .code(2)
        .stdout("")
        .stderr("");
    place
        .tool(&["-q", "check", "bad.qcow", "--json"])
        .assert()
        .code(2)
        .stdout("")
        .stderr("");
    let error = place.error(&["check", "-q", "gone.qcow"]);
    assert!(error.starts_with("gone.qcow: cannot be opened: "), "{error}");
}

#[test]
fn an_image_inside_another_file_is_found_at_its_offset() {
    let place = Place::new();
    let image = Qcow::new(SPAN).data(0x5000, 0xab).build();
    // As a member of an archive: other bytes come before it and after it.
    let archive = [&[1; 1000][..], &image, &[2; 9000]].concat();
    place.write("archive", archive);
    let (offset, length) = ("--image-offset=1000", format!("--image-length={}", image.len()));
    let read = ["read", "archive", offset, "--offset", "0x5000", "--length", "2"];
    assert_eq!(place.output(&read), [0xab; 2]);
    place.output(&["check", "archive", offset, &length]);
    let info = place.json(&["info", "archive", offset, &length, "--json"]);
    assert_eq!(info["file_size"].as_u64(), Some(image.len() as u64));
    // Without its length, the image has unused bytes after it.
    place.tool(&["check", "archive", offset]).assert().code(3);
    let error = place.error(&["info", "archive", "--image-offset", "1T"]);
    assert!(error.starts_with("archive: has "), "{error}");
    // The offset is that of the image, not of its backing files.
    let top = [&[1; 1000][..], &Qcow::new(SPAN).backing("base.raw").build()].concat();
    place.write("top", top);
    place.write("base.raw", [7; 512]);
    let read = ["read", "top", offset, "--offset", "0", "--length", "1", "--follow"];
    assert_eq!(place.output(&read), [7]);
}

#[test]
fn info_shows_the_xen_extension() {
    let place = Place::new();
    let mut file = Qcow::new(SPAN).field(40, &4096_u64.to_be_bytes()).build();
    file.resize(4096 + 8, 0);
    file[48..52].copy_from_slice(b"XEN\xfb");
    place.write("xen.qcow", file);
    assert_eq!(place.json(&["info", "xen.qcow", "--json"])["xen"], true);
    let text = String::from_utf8(place.output(&["info", "xen.qcow"])).unwrap();
    assert!(text.contains("little-endian"), "{text}");
}

#[test]
fn info_as_text_is_aligned() {
    let place = Place::new();
    place.write("plain.qcow", Qcow::new(64 << 20).build());
    let text = String::from_utf8(place.output(&["info", "plain.qcow"])).unwrap();
    assert!(
        text.contains("virtual size        67108864 bytes (64.00 MiB)\n"),
        "{text}"
    );
    assert!(text.contains("backing file        none\n"), "{text}");
    assert!(text.contains("compressed clusters none\n"), "{text}");
    assert_eq!(text.matches("compressed").count(), 2, "{text}");
    place.write(
        "compressed.qcow",
        Qcow::new(64 << 20).compressed(3 * SPAN, b"stream").build(),
    );
    let text = String::from_utf8(place.output(&["info", "compressed.qcow"])).unwrap();
    assert!(
        text.contains("compressed clusters yes, the first at guest offset 0x600000\n"),
        "{text}"
    );
    assert!(text.contains("reads compressed clusters too\n"), "{text}");
}

#[test]
fn control_characters_in_names_are_escaped() {
    let place = Place::new();
    let name = "\x1b[2Jbase\n\u{9b}1m\u{202e}war.\u{7f}";
    place.write("evil.qcow", Qcow::new(SPAN).backing(name).build());
    for args in [&["info", "evil.qcow"][..], &["info", "evil.qcow", "--json"]] {
        let text = String::from_utf8(place.output(args)).unwrap();
        let plain = |char: char| char == '\n' || !(char.is_control() || char == '\u{202e}');
        assert!(text.chars().all(plain), "{text:?}");
    }
    assert_eq!(place.json(&["info", "evil.qcow", "--json"])["backing_file"], name);
    // `error` asserts one line without control characters.
    let error = place.error(&["dump", "evil.qcow", "out", "--follow"]);
    assert!(error.contains(r"\u{1b}[2Jbase\n"), "{error}");
    // Not UTF-8.
    place.write("bytes.qcow", Qcow::new(SPAN).backing(b"a\xffb").build());
    assert_eq!(
        place.json(&["info", "bytes.qcow", "--json"])["backing_file"],
        "a\u{fffd}b"
    );
}

#[test]
fn map_merges_neighbors_of_one_kind() {
    let place = Place::new();
    // The first table is at 0x1000, and the clusters follow it in the order of these calls: two
    // adjacent ones, two swapped ones, two streams; then the second table.
    let image = Qcow::new(3 * SPAN + 100)
        .data(0x1000, 1)
        .data(0x2000, 2)
        .data(0x4000, 3)
        .data(0x3000, 4)
        .compressed(0x10000, b"stream")
        .compressed(0x11000, b"another")
        .data(2 * SPAN, 5);
    place.write("image.qcow", image.build());
    let map = place.json(&["map", "image.qcow", "--json"]);
    let run = |start: u64, length: u64, kind: &str, offset: Option<u64>| json!({"start": start, "length": length, "kind": kind, "offset": offset});
    assert_eq!(
        map,
        json!([
            run(0, 0x1000, "zero", None),
            run(0x1000, 0x2000, "data", Some(0x2000)),
            run(0x3000, 0x1000, "data", Some(0x5000)),
            run(0x4000, 0x1000, "data", Some(0x4000)),
            run(0x5000, 0xb000, "zero", None),
            run(0x10000, 0x2000, "compressed", Some(0x6000)),
            run(0x12000, 2 * SPAN - 0x12000, "zero", None),
            run(2 * SPAN, 0x1000, "data", Some(0x8000)),
            run(2 * SPAN + 0x1000, SPAN + 100 - 0x1000, "zero", None),
        ])
    );
    let text = String::from_utf8(place.output(&["map", "image.qcow"])).unwrap();
    assert_eq!(text.lines().count(), 10);
    assert!(text.contains("  0x1000    0x2000  data        0x2000\n"), "{text}");
    assert!(
        text.contains(" 0x10000    0x2000  compressed  0x6000, 13 bytes\n"),
        "{text}"
    );
}

#[test]
fn map_joins_a_run_that_the_crate_returns_in_pieces() {
    let place = Place::new();
    // 2^15 L1 entries are more than the 4,096 table words that one extent covers.
    place.write("holes.qcow", Qcow::new(SPAN << 15).build());
    let map = place.json(&["map", "holes.qcow", "--json"]);
    assert_eq!(
        map,
        json!([{"start": 0, "length": SPAN << 15, "kind": "zero", "offset": null}])
    );
}

#[test]
fn map_shows_what_the_backing_file_stores() {
    let place = Place::new();
    let overlay = Qcow::new(SPAN).backing("base").data(0, 1);
    place.write("overlay.qcow", overlay.build());
    let map = place.json(&["map", "overlay.qcow", "--json"]);
    assert_eq!(
        map[1],
        json!({"start": 4096, "length": SPAN - 4096, "kind": "backing", "offset": null})
    );
}

#[test]
fn check_finds_nothing_in_a_good_image() {
    let place = Place::new();
    let image = Qcow::new(2 * SPAN).data(0x5000, 1).data(SPAN, 2);
    place.write("good.qcow", image.build());
    let found = place.json(&["check", "good.qcow", "--json"]);
    assert_eq!(
        found,
        json!({
            "findings": [],
            "clean": true,
            "data_bytes": 8192,
            "compressed_bytes": 0,
            "hole_bytes": 2 * SPAN - 8192,
            "unreachable_bytes": 0,
        })
    );
    let text = String::from_utf8(place.output(&["check", "good.qcow"])).unwrap();
    assert!(text.starts_with("good.qcow: clean\n"), "{text}");
}

#[test]
fn check_distinguishes_unreachable_bytes_from_corruption() {
    let place = Place::new();
    let mut file = Qcow::new(SPAN).data(0, 1).build();
    file.resize(file.len() + 8192, 7);
    place.write("long.qcow", &file);
    let output = place.tool(&["check", "long.qcow"]).assert().code(3).stderr("");
    let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    assert!(text.contains("unreachable 8192 bytes (8.00 KiB)\n"), "{text}");
    // A host cluster that is used twice is found only with a usage map, and an invalid stream only
    // by inflating it.
    let image = Qcow::new(SPAN)
        .data(0, 1)
        .word(4096, 8192)
        .compressed(8192, b"no stream");
    place.write("bad.qcow", image.build());
    let output = place.tool(&["check", "bad.qcow", "--json"]).assert().code(2).stderr("");
    let found: serde_json::Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    let guests: Vec<_> = found["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["guest_offset"])
        .collect();
    assert_eq!(guests, [&json!(4096), &json!(8192)]);
}

#[test]
fn check_reports_where_an_image_is_corrupt() {
    let place = Place::new();
    let image = Qcow::new(2 * SPAN)
        .data(0, 1)
        .word(0x3000, 0x2001)
        .word(0x7000, 0x0123_4567_8000)
        // The second L1 entry.
        .field(56, &0x7fff_0000_u64.to_be_bytes());
    place.write("bad.qcow", image.build());
    let output = place
        .tool(&["check", "bad.qcow", "--json"])
        .assert()
        .code(2)
        .stderr("")
        .get_output()
        .clone();
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["clean"], false);
    let place_of = |finding: &serde_json::Value| {
        let number = |name| finding[name].as_u64();
        (number("guest_offset"), number("host_offset"), finding["kind"].clone())
    };
    let places: Vec<_> = found["findings"].as_array().unwrap().iter().map(place_of).collect();
    assert_eq!(
        places,
        [
            (Some(0x3000), Some(0x2001), json!("cluster")),
            (Some(0x7000), Some(0x0123_4567_8000), json!("cluster")),
            (Some(SPAN), Some(0x7fff_0000), json!("l2_table")),
        ]
    );

    let output = place.tool(&["check", "bad.qcow"]).assert().code(2).stderr("");
    let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    assert!(
        text.starts_with("guest 0x3000          host 0x2001          the cluster"),
        "{text}"
    );
    assert!(text.contains("bad.qcow: corrupt, 3 findings\n"), "{text}");
}

#[test]
fn check_reports_flaws_of_one_kind_in_sequence_as_one() {
    let place = Place::new();
    let mut image = Qcow::new(SPAN);
    for guest in (0x8000..0x2_8000).step_by(4096) {
        image = image.word(guest, guest + 0x100_0000);
    }
    place.write("cut.qcow", image.build());
    let output = place.tool(&["check", "cut.qcow", "--json"]).assert().code(2).stderr("");
    let found: serde_json::Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(
        found["findings"],
        json!([{
            "kind": "cluster",
            "guest_offset": 0x8000,
            "guest_length": 0x2_0000,
            "host_offset": 0x100_8000,
            "count": 32,
            "message": "the cluster for guest offset 0x8000, at host offset 0x1008000, reaches past the end of the file \
                        (first of 32 in sequence, up to guest offset 0x28000)",
        }])
    );
    let output = place.tool(&["check", "cut.qcow"]).assert().code(2).stderr("");
    let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    assert!(text.contains("cut.qcow: corrupt, 1 finding\n"), "{text}");
}

#[test]
#[cfg(target_os = "linux")]
fn check_takes_little_memory_for_a_large_file_that_is_mostly_holes() {
    let place = Place::new();
    let far = 1 << 39;
    place.write("sparse.qcow", Qcow::new(SPAN).data(0, 1).word(0x3000, far).build());
    let file = fs::File::options().write(true).open(place.path("sparse.qcow")).unwrap();
    file.set_len(1 << 40).unwrap();
    // The limit is 100 MiB of address space. A usage map of a byte for each 2 KiB of the file would
    // take 512 MiB.
    let output = Command::new("sh")
        .args(["-c", "ulimit -v 102400; exec \"$0\" check sparse.qcow --json"])
        .arg(crate::place::tool_path())
        .current_dir(place.path(""))
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(3),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["data_bytes"], 8192);
    // All but the first three clusters, which hold the header, the table and data, and the far
    // cluster.
    assert_eq!(found["unreachable_bytes"], (1_u64 << 40) - 0x3000 - 4096);
}

#[test]
#[cfg(target_os = "linux")]
fn check_of_a_file_of_many_holes_takes_the_memory_of_what_is_stored() {
    use std::os::unix::fs::MetadataExt;

    let place = Place::new();
    // Tables of 5 MiB, each of whose words has a cluster of its own in the holes of a file of 5
    // TiB.
    let tables = 1200;
    let mut image = Qcow::new(tables * SPAN);
    for table in 0..tables {
        for cluster in 0..512 {
            let guest = table * SPAN + cluster * 4096;
            image = image.word(guest, (1 << 32) + (guest / 4096) * (8 << 20));
        }
    }
    place.write("sparse.qcow", image.build());
    let file = fs::File::options().write(true).open(place.path("sparse.qcow")).unwrap();
    file.set_len((1 << 32) + tables * 512 * (8 << 20)).unwrap();
    let stored = file.metadata().unwrap().blocks() * 512;
    // The constant, the memory for what is stored, and the tool itself.
    let bound = (64 << 20) + stored / 2048 * 64 + (60 << 20);
    let output = Command::new("sh")
        .args([
            "-c",
            "ulimit -v \"$1\"; exec \"$0\" check sparse.qcow",
            tool_path().to_str().unwrap(),
            &(bound / 1024).to_string(),
        ])
        .current_dir(place.path(""))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    // It does not claim what it has not checked.
    assert_eq!(output.status.code(), Some(1), "{text} {}", stderr(&output));
    assert!(stderr(&output).starts_with("qcow1: sparse.qcow: refers to more places in holes"));
    assert!(text.starts_with("sparse.qcow: not checked completely\n"), "{text}");
    assert!(text.ends_with("unreachable not known\n"), "{text}");
}

#[test]
#[ignore = "needs qemu-io"]
#[cfg(target_os = "linux")]
fn an_image_that_qemu_writes_is_refused_unless_sharing_is_forced() {
    use std::io::Write;
    use std::process::Stdio;

    let place = Place::new();
    place.write("image.qcow", Qcow::new(SPAN).data(0, 1).build());
    place.write("top.qcow", Qcow::new(SPAN).backing("image.qcow").build());
    let run = |options: &[&str], commands: &[u8]| {
        let mut qemu = Command::new("qemu-io");
        qemu.args(["-f", "qcow"])
            .args(options)
            .arg("image.qcow")
            .current_dir(place.path(""));
        let mut qemu = qemu
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("qemu-io can't be run");
        let mut stdin = qemu.stdin.take().unwrap();
        stdin.write_all(commands).unwrap();
        // It answers once it has opened the image.
        std::io::Read::read_exact(qemu.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        (qemu, stdin)
    };
    let tries = [
        &["info", "image.qcow"][..],
        &["check", "image.qcow"],
        &["map", "image.qcow"],
        &["read", "image.qcow", "--offset", "0", "--length", "1"],
        &["dump", "image.qcow", "out"],
        &["dump", "top.qcow", "out", "--follow"],
    ];
    let (mut qemu, stdin) = run(&[], b"read 0 512\n");
    for args in tries {
        let error = place.error(args);
        assert!(error.starts_with("image.qcow: is in use: "), "{error}");
        place
            .tool(&[args, &["--force-share"]].concat())
            .assert()
            .success()
            .stderr("");
    }
    drop(stdin);
    qemu.wait().unwrap();
    // A program that only reads disturbs nobody, and nor does one that has ended.
    let (mut qemu, stdin) = run(&["-r"], b"read 0 512\n");
    for args in tries {
        place.tool(args).assert().success().stderr("");
    }
    drop(stdin);
    qemu.wait().unwrap();
}

#[test]
fn check_reports_an_image_that_is_too_corrupt_to_be_opened() {
    let place = Place::new();
    let mut file = Qcow::new(SPAN << 10).build();
    file.truncate(512);
    place.write("cut.qcow", file);
    let output = place.tool(&["check", "cut.qcow", "--json"]).assert().code(2).stderr("");
    let found: serde_json::Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(found["findings"][0]["kind"], "l1_table");
    assert_eq!(found["findings"][0]["guest_offset"], serde_json::Value::Null);
    assert_eq!(found["findings"][0]["host_offset"], 48);
    // A file that is no QCOW1 image is an error, not a finding.
    place.write("other", [0; 512]);
    assert_eq!(
        place.error_with(5, &["check", "other"]),
        "other: not a QCOW image: the magic number is missing"
    );
}

#[test]
#[ignore = "needs script"]
fn info_shows_its_progress_on_a_terminal() {
    let place = Place::new();
    let image = (0..8).fold(Qcow::new(8 * SPAN), |image, span| image.data(span * SPAN, 1));
    place.write("image.qcow", image.build());
    let command = format!("'{}' info image.qcow", tool_path().display());
    let mut script = Command::new("script");
    script.args(["-qec", &command, "/dev/null"]).current_dir(place.path(""));
    let output = script.output().expect("script can't be run");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("of 16.00 MiB") && text.contains('%'), "{text}");
    // Without a terminal there is no progress: `output` asserts that standard error is empty.
    let text = String::from_utf8(place.output(&["info", "image.qcow"])).unwrap();
    assert!(!text.contains('%'), "{text}");
}

#[test]
#[ignore = "needs qemu-img"]
fn an_image_of_qemu_is_clean_and_dumps_as_qemu_reads_it() {
    let place = Place::new();
    let qemu = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        let status = command.args(args).current_dir(place.path("")).status().unwrap();
        assert!(status.success(), "{program} {args:?}");
    };
    qemu("qemu-img", &["create", "-q", "-f", "qcow", "base.qcow", "10M"]);
    qemu("qemu-io", &["-f", "qcow", "-c", "write -q -P 17 1M 70k", "base.qcow"]);
    let create = [
        "create",
        "-q",
        "-f",
        "qcow",
        "-b",
        "base.qcow",
        "-F",
        "qcow",
        "top.qcow",
        "12M",
    ];
    qemu("qemu-img", &create);
    let writes = [
        "-f",
        "qcow",
        "-c",
        "write -q -P 34 9M 5k",
        "-c",
        "write -q -P 51 1030k 512",
        "top.qcow",
    ];
    qemu("qemu-io", &writes);
    qemu(
        "qemu-img",
        &["convert", "-f", "qcow", "-O", "raw", "top.qcow", "expected"],
    );
    for image in ["base.qcow", "top.qcow"] {
        place.output(&["check", image]);
    }
    place.output(&["dump", "top.qcow", "followed", "--follow"]);
    place.output(&["dump", "top.qcow", "given", "--backing", "qcow:base.qcow"]);
    let expected = place.read("expected");
    assert!(place.read("followed") == expected);
    assert!(place.read("given") == expected);
}
