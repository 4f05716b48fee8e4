//! Runs the commands of the README's examples in a shell, and compares what they print.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use crate::place::{Place, Qcow, SPAN, tool_path};

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

/// The lines that begin and end an example.
const FENCES: (&str, &str) = ("```console\n", "```\n");

/// Writes the images that the examples use.
fn images(place: &Place) {
    let disk = Qcow::new(64 << 20)
        .backing("base.raw")
        .data(64 << 10, 0xab)
        .data(68 << 10, 0xcd)
        .data(3 << 20, 0xef);
    place.write("disk.qcow", disk.build());
    place.write("base.raw", vec![1; 1 << 20]);
    let mut cut = Qcow::new(4 << 20).data(0, 1).data(SPAN, 2).build();
    cut.truncate(cut.len() - 6000);
    place.write("cut.qcow", cut);
}

/// Runs the commands of an example, and returns the example with their output.
fn run(place: &Place, example: &str) -> String {
    let tool = tool_path();
    let path = format!(
        "{}:{}",
        tool.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let mut text = String::new();
    for command in example.lines().filter_map(|line| line.strip_prefix("$ ")) {
        let output = Command::new("sh")
            .args(["-c", &format!("{{ {command}; }} 2>&1")])
            .current_dir(place.path(""))
            .env("PATH", &path)
            .output()
            .unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        write!(text, "$ {command}\n{output}").unwrap();
    }
    text
}

/// With `UPDATE_README=1`, writes the output into the README instead of comparing it.
#[test]
fn the_examples_of_the_readme_print_what_it_says() {
    let place = Place::new();
    images(&place);
    let readme = fs::read_to_string(README).unwrap();
    let mut rest = &readme[..];
    let mut now = String::new();
    let mut examples = 0;
    while let Some((before, after)) = rest.split_once(FENCES.0) {
        let (example, after) = after.split_once(FENCES.1).unwrap();
        now.extend([before, FENCES.0, &run(&place, example), FENCES.1]);
        rest = after;
        examples += 1;
    }
    now += rest;
    assert!(examples > 0);
    if std::env::var_os("UPDATE_README").is_some() {
        fs::write(README, now).unwrap();
    } else {
        assert_eq!(readme, now);
    }
}
