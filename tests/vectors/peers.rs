//! Tests that `peers.py` never judges a command as right that is not a reader.

use std::process::{Command, Output};

use crate::recipe::folder;

const WRONG: &str = "WRONG bytes, no error";

/// Runs `peers.py` over a group with one reader, in the suite's folder.
fn peers(group: &str, reader: &str) -> Output {
    Command::new("/usr/bin/python3")
        .args(["peers.py", "--only", "--group", group, "--reader", "mine", reader])
        .current_dir(folder())
        .output()
        .unwrap()
}

/// Returns the verdicts that a reader got, in the sequence of the table's columns.
fn verdicts(group: &str, reader: &str) -> Vec<String> {
    let run = peers(group, reader);
    let stdout = String::from_utf8(run.stdout).unwrap();
    let row = |name: &str| {
        let row = stdout
            .lines()
            .find_map(|line| line.strip_prefix(&format!("| {name} | ")));
        let row = row.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&run.stderr)));
        row.trim_end_matches(" |")
            .split(" | ")
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let columns = row("reader").into_iter().zip(row("mine"));
    columns
        .filter(|(_, count)| count != "0")
        .map(|(name, _)| name)
        .collect()
}

#[test]
#[ignore = "needs python3"]
fn a_reader_that_does_not_start_ends_the_run_without_a_table() {
    for (reader, reason) in [
        ("nosuchreader {image}", "no program nosuchreader"),
        ("./manifest.json {image}", "no program ./manifest.json"),
        ("env nosuchreader {image}", "env does not start"),
    ] {
        let run = peers("history", reader);
        assert!(!run.status.success() && run.stdout.is_empty(), "{reader}");
        let stderr = String::from_utf8(run.stderr).unwrap();
        assert!(stderr.contains(reason), "{stderr}");
    }
}

#[test]
#[ignore = "needs python3"]
fn a_reader_that_reads_nothing_is_right_only_where_an_error_is() {
    // One of these images has a backing file: without {backing}, the reader is not run.
    assert_eq!(
        verdicts("xen", "false {image}"),
        ["rightly refused", "refused, though legal"]
    );
    assert_eq!(verdicts("xen", "true {image}"), ["refused, though legal", WRONG]);
    assert_eq!(verdicts("iotest-092", "false {image}"), ["rightly refused"]);
    assert_eq!(verdicts("iotest-092", "true {image}"), [WRONG]);
    // An error of the image's backing file is not found without it.
    assert_eq!(
        verdicts("backing", "false {image} {reads}"),
        ["rightly refused", "refused, though legal", "not judged"]
    );
    // Python reports the limit of the output as an error, which is no refusal of the image.
    let flood =
        "python3 -c 'import os; os.lseek(1, (3 << 28) - 1, 0); os.write(1, b\"x\"); os.write(1, b\"x\")' {image}";
    assert_eq!(verdicts("iotest-092", flood), [WRONG]);
}

#[test]
#[ignore = "needs python3"]
fn images_that_differ_by_their_reads_are_judged_only_by_them() {
    assert_eq!(verdicts("history", "false {image}"), ["not judged"]);
    assert_eq!(verdicts("history", "false {image} {reads}"), ["rightly refused"]);
    // It refuses the whole disk, but writes one line for all reads.
    let one_line = "sh -c 'test $# -gt 1 && echo error' mine {image} {reads}";
    assert_eq!(verdicts("history", one_line), [WRONG]);
}

#[test]
#[ignore = "needs python3"]
fn placeholders_without_a_value_are_left_out_with_their_option() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let script = format!("echo \"$@\" >> {}; exit 1", log.path().display());
    let reader = format!("sh -c '{script}' mine --key {{key}} --below={{backing}} {{image}} --reads {{reads}} {{}}");
    let run = peers("backing", &reader);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let log = std::fs::read_to_string(log.path()).unwrap().replace("images/", "");
    for line in [
        "--below=raw:base-4096.raw backing-raw.qcow {}",
        "--below=qcow:middle.qcow,raw:base-2000.raw backing-chain.qcow {}",
        "--key passphrase --below=qcow:encrypted.qcow backing-plain-on-encrypted.qcow {}",
        "backing-missing.qcow {}",
        "backing-missing.qcow --reads 512:1024 0:512 1536:512 {}",
    ] {
        assert!(log.lines().any(|found| found == line), "{line} is not in\n{log}");
    }
}
