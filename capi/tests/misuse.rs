//! Each misuse that the library can detect is an error with its own message.

use crate::programs::{Program, capi, run};

#[test]
fn each_misuse_is_an_error_of_its_own() {
    let program = Program::sanitized("tests/misuse.c", &[]);
    let output = run(program.command().arg(capi().join("../tests/data")));
    let output = String::from_utf8(output.stdout).unwrap();
    // The program prints a line for each.
    let source = std::fs::read_to_string(capi().join("tests/misuse.c")).unwrap();
    let cases = source.lines().filter(|line| line.starts_with("CASE(")).count();
    assert_eq!(output.lines().count(), cases, "{output}");
}

#[test]
fn each_error_in_the_header_has_a_message_of_its_own() {
    let header = std::fs::read_to_string(capi().join("qcow1.h")).unwrap();
    let names = header
        .lines()
        .filter_map(|line| line.trim().split_once(" = -"))
        .filter(|(name, _)| name.starts_with("QCOW1_ERROR_"));
    let numbers: Vec<i32> = names
        .map(|(_, number)| -number.trim_end_matches(',').parse::<i32>().unwrap())
        .collect();
    assert!(numbers.len() > 30, "{numbers:?}");
    let program = Program::sanitized("tests/messages.c", &[]);
    let output = run(program.command().args(numbers.iter().map(i32::to_string)));
    let output = String::from_utf8(output.stdout).unwrap();
    let mut messages: Vec<&str> = output.lines().collect();
    assert_eq!(messages.len(), numbers.len() + 3);
    messages.sort_unstable();
    messages.dedup();
    assert_eq!(messages.len(), numbers.len() + 3, "{output}");
}
