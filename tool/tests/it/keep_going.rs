//! `dump --keep-going`, and what a salvaging dump says.

use std::fs;

use serde_json::{Value, json};

use crate::place::{CLUSTER, Place, Qcow, SPAN, stderr, tool_path};

/// The deflated form of a cluster of the letter `a`.
const DEFLATED: [u8; 22] = [
    237, 193, 1, 13, 0, 0, 0, 194, 160, 172, 239, 95, 194, 30, 14, 40, 0, 0, 0, 224, 221, 0,
];

fn range(start: u64, length: u64) -> (u64, u64) {
    (start, length)
}

/// Returns the ranges of a list.
fn ranges(list: &Value) -> Vec<(u64, u64)> {
    let number = |range: &Value, name| range[name].as_u64().unwrap();
    let list = list.as_array().unwrap().iter();
    list.map(|one| (number(one, "start"), number(one, "length"))).collect()
}

#[test]
fn keep_going_writes_zeros_for_corrupt_words_and_streams_and_all_other_bytes() {
    let place = Place::new();
    let image = Qcow::new(4 * SPAN)
        .data(0, 1)
        // Two misaligned clusters, one after the other.
        .word(0x1000, 0x2001)
        .word(0x2000, 0x3001)
        .compressed(0x3000, &DEFLATED)
        .compressed(0x4000, b"no stream")
        .data(0x5000, 5)
        // A word beyond the end of the file.
        .word(0x8000, 1 << 40)
        .data(3 * SPAN, 3)
        // An L1 entry with bit 63, and a table beyond the end of the file.
        .field(56, &(1_u64 << 63 | 0x1000).to_be_bytes())
        .field(64, &(1_u64 << 40).to_be_bytes());
    place.write("image.qcow", image.build());
    let mut disk = vec![0; 4 * SPAN as usize];
    for (at, fill) in [(0, 1), (0x3000, b'a'), (0x5000, 5), (3 * SPAN as usize, 3)] {
        disk[at..][..CLUSTER as usize].fill(fill);
    }
    let lost = [
        range(0x1000, 0x2000),
        range(0x4000, 0x1000),
        range(0x8000, 0x1000),
        range(SPAN, SPAN),
        range(2 * SPAN, SPAN),
    ];
    let total: u64 = lost.iter().map(|range| range.1).sum();
    for out in ["out.raw", "-"] {
        let dump = ["dump", "image.qcow", out, "--keep-going", "--json", "list"];
        let output = place.tool(&dump).assert().code(4).get_output().clone();
        let bytes = if out == "-" {
            output.stdout.clone()
        } else {
            place.read(out)
        };
        assert!(bytes == disk);
        let list: Value = serde_json::from_slice(&place.read("list")).unwrap();
        assert_eq!(ranges(&list), lost);
        let reason = list[1]["reason"].as_str().unwrap();
        assert!(
            reason.starts_with("image.qcow: corrupt image: the compressed cluster for"),
            "{reason}"
        );
        // One line for each range, and the total.
        let text = stderr(&output);
        assert_eq!(text.lines().count(), lost.len() + 1, "{text}");
        assert!(
            text.starts_with(
                "qcow1: 0x1000 to 0x3000, 8192 bytes (8.00 KiB): image.qcow: corrupt image: the cluster for"
            ),
            "{text}"
        );
        let end = format!(
            "qcow1: {out}: {total} bytes (4.02 MiB) in 5 ranges could not be read; zeros were written for what is missing\n"
        );
        assert!(text.ends_with(&end), "{text}");
        place.tool(&[&dump[..], &["-q"]].concat()).assert().code(4).stderr("");
    }
    // Salvaging alone stays strict.
    let error = place.error(&["dump", "image.qcow", "new.raw", "--salvage"]);
    assert!(error.contains("at guest offset 0x1000: "), "{error}");
    assert!(!place.path("new.raw").exists());
}

#[test]
fn keep_going_without_a_flaw_is_a_dump_and_an_empty_list() {
    let place = Place::new();
    place.write("image.qcow", Qcow::new(SPAN).data(0x5000, 5).build());
    place.write("list", "what was there");
    place.output(&["dump", "image.qcow", "out.raw", "--keep-going", "--json", "list"]);
    assert_eq!(place.read("list"), b"[]\n");
    assert_eq!(place.output(&["dump", "image.qcow", "-"]), place.read("out.raw"));
    // The list on standard output.
    let dump = ["dump", "image.qcow", "out.raw", "--json", "-"];
    assert_eq!(place.output(&dump), b"[]\n");
    place.write("log", "first\n");
    let log = fs::File::options().append(true).open(place.path("log")).unwrap();
    let mut tool = std::process::Command::new(tool_path());
    tool.args(dump).current_dir(place.path("")).stdout(log);
    assert!(tool.status().unwrap().success());
    assert_eq!(place.read("log"), b"first\n[]\n");
    let error = place.error(&["dump", "image.qcow", "-", "--json", "-"]);
    assert_eq!(error, "-: cannot be OUT and the file of --json");
    // Neither exists, and neither is made.
    let error = place.error(&["dump", "image.qcow", "new", "--json", "new"]);
    assert_eq!(error, "new: cannot be OUT and the file of --json");
    assert!(!place.path("new").exists());
}

#[test]
fn keep_going_writes_zeros_for_holes_without_their_backing_file() {
    let place = Place::new();
    let size = 1 << 40;
    place.write("top.qcow", Qcow::new(size).backing("gone.raw").data(SPAN, 1).build());
    let dump = ["dump", "top.qcow", "out.raw", "--keep-going", "--json", "list"];
    place.tool(&dump).assert().code(4);
    let list: Value = serde_json::from_slice(&place.read("list")).unwrap();
    let after = SPAN + CLUSTER;
    assert_eq!(ranges(&list), [range(0, SPAN), range(after, size - after)]);
    let reason = list[0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("top.qcow: the image has a hole there"), "{reason}");
    assert_eq!(fs::metadata(place.path("out.raw")).unwrap().len(), size);
}

#[test]
fn keep_going_gives_all_that_a_truncated_image_still_has() {
    let place = Place::new();
    let mut file = Qcow::new(3 * SPAN)
        .compressed(0, &DEFLATED)
        .data(0x5000, 5)
        .data(0x6000, 6)
        .data(SPAN, 7)
        .build();
    // This leaves the first 1,000 bytes of the second plain cluster.
    let end = 0x4000 + 1000;
    file.truncate(end);
    place.write("cut.qcow", &file);
    let mut disk = vec![0; 3 * SPAN as usize];
    disk[..0x1000].fill(b'a');
    disk[0x5000..0x6000].fill(5);
    disk[0x6000..][..1000].fill(6);
    place
        .tool(&["dump", "cut.qcow", "out.raw", "--keep-going", "--json", "list"])
        .assert()
        .code(4);
    assert!(place.read("out.raw") == disk);
    let list: Value = serde_json::from_slice(&place.read("list")).unwrap();
    assert_eq!(
        list,
        json!([
            {"start": 0x6000 + 1000, "length": 4096 - 1000, "reason": "cut.qcow: the cluster reaches past the end of the file"},
            {"start": SPAN, "length": SPAN, "reason": "cut.qcow: the L2 table reaches past the end of the file"},
        ])
    );
    // Salvaging fills the same ranges, and says only how much.
    let filled = 4096 - 1000 + SPAN;
    let note =
        format!("qcow1: new.raw: {filled} bytes (2.00 MiB) in 2 ranges are past the end of a truncated image file\n");
    let dump = ["dump", "cut.qcow", "new.raw", "--salvage"];
    place.tool(&dump).assert().success().stderr(note);
    assert!(place.read("new.raw") == disk);
    // The L1 table itself is cut, after its first entry.
    file.truncate(56);
    place.write("cut.qcow", &file);
    place
        .tool(&["dump", "cut.qcow", "out.raw", "--keep-going", "--json", "list"])
        .assert()
        .code(4);
    let list: Value = serde_json::from_slice(&place.read("list")).unwrap();
    assert_eq!(ranges(&list), [range(0, SPAN), range(SPAN, 2 * SPAN)]);
    assert!(place.read("out.raw") == vec![0; 3 * SPAN as usize]);
}

#[test]
fn keep_going_writes_what_a_stream_that_is_cut_off_still_yields() {
    let place = Place::new();
    let mut file = Qcow::new(SPAN).data(0, 1).compressed(0x3000, &DEFLATED).build();
    file.truncate(file.len() - 6);
    place.write("cut.qcow", file);
    let dump = ["dump", "cut.qcow", "out.raw", "--keep-going", "--json", "list"];
    place.tool(&dump).assert().code(4);
    let bytes = place.read("out.raw");
    let cluster = &bytes[0x3000..0x4000];
    let right = cluster.iter().take_while(|byte| **byte == b'a').count();
    assert!((1..4096).contains(&right), "{right}");
    assert!(cluster[right..].iter().all(|byte| *byte == 0));
    let list: Value = serde_json::from_slice(&place.read("list")).unwrap();
    // How many bytes are right cannot be known, so the cluster is listed as a whole.
    assert_eq!(ranges(&list), [range(0x3000, 0x1000)]);
    let reason = list[0]["reason"].as_str().unwrap();
    assert!(
        reason.ends_with("; what its stream still yields was written"),
        "{reason}"
    );
}

#[test]
fn keep_going_does_not_take_the_old_bytes_of_a_backing_file_for_those_of_a_table_that_is_cut_off() {
    let place = Place::new();
    let mut top = Qcow::new(2 * SPAN).backing("base.raw").data(0, 1).data(SPAN, 2).build();
    top.truncate(0x3000);
    place.write("top.qcow", top);
    place.write("base.raw", vec![9; 2 * SPAN as usize]);
    let dump = ["dump", "top.qcow", "-", "--backing", "raw:base.raw"];
    let output = place.tool(&[&dump[..], &["--keep-going"]].concat()).assert().code(4);
    let bytes = &output.get_output().stdout;
    assert!(bytes[CLUSTER as usize..SPAN as usize].iter().all(|byte| *byte == 9));
    assert!(bytes[SPAN as usize..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_missing_key_is_no_damage() {
    let place = Place::new();
    let image = Qcow::new(SPAN).data(0, 1).field(36, &1_u32.to_be_bytes());
    place.write("secret.qcow", image.build());
    let error = place.error(&["dump", "secret.qcow", "out.raw", "--keep-going"]);
    assert!(error.contains("pass --password-file FILE"), "{error}");
    assert!(!place.path("out.raw").exists());
}

#[test]
fn the_list_never_overwrites_a_file_of_the_disk_or_the_dump() {
    let place = Place::new();
    let top = Qcow::new(CLUSTER).backing("base.raw").data(0, 1).build();
    place.write("top.qcow", &top);
    place.write("base.raw", [5; 4096]);
    place.write("out.raw", "old");
    for list in ["top.qcow", "base.raw"] {
        let error = place.error(&["dump", "top.qcow", "new.raw", "--json", list]);
        assert!(error.starts_with(&format!("{list}: is the same file as")), "{error}");
    }
    let error = place.error(&["dump", "top.qcow", "out.raw", "--json", "./out.raw"]);
    assert!(error.starts_with("out.raw: is the same file as './out.raw'"), "{error}");
    assert!(place.read("top.qcow") == top);
    assert!(place.read("base.raw") == [5; 4096]);
    assert_eq!(place.read("out.raw"), b"old");
}

#[cfg(target_os = "linux")]
#[test]
fn a_list_that_cannot_be_written_does_not_cost_the_dump() {
    let place = Place::new();
    // So many ranges that the list is written before the end.
    let mut image = Qcow::new(SPAN).data(0, 1);
    for cluster in 1..256 {
        image = image.word(cluster * 2 * CLUSTER, 0x2001);
    }
    place.write("image.qcow", image.build());
    let dump = ["dump", "image.qcow", "out.raw", "--keep-going", "-q", "--json"];
    let error = place.error(&[&dump[..], &["/dev/full"]].concat());
    assert!(
        error.starts_with("/dev/full: cannot be written: No space left"),
        "{error}"
    );
    assert_eq!(place.read("out.raw").len() as u64, SPAN);
}
