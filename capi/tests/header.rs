//! `qcow1.h` matches the source, and C and C++ compilers accept it.

use std::path::Path;
use std::process::Command;

use crate::programs::{capi, run, symbols};

#[test]
fn the_header_matches_the_source() {
    let made = generate();
    let path = capi().join("qcow1.h");
    if std::env::var_os("WRITE_HEADER").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(
        made == committed,
        "qcow1.h differs from the source: WRITE_HEADER=1 cargo test -p qcow1-capi-tests writes it anew"
    );
}

/// Returns the header that cbindgen makes, with the calling convention in each declaration of a
/// function: between the type of its result and its name, the only place that all compilers accept.
fn generate() -> String {
    let mut made = Vec::new();
    cbindgen::generate(capi()).unwrap().write(&mut made);
    let mut lines = Vec::new();
    let mut indent = "";
    for line in String::from_utf8(made).unwrap().lines() {
        // cbindgen aligns the arguments.
        let continued = line.starts_with("   ");
        let line = [if continued { indent } else { "" }, line].concat();
        indent = if continued { indent } else { "" };
        lines.push(match line.split_once("qcow1_") {
            Some((result, rest)) if line.starts_with(char::is_alphabetic) && rest.contains('(') => {
                indent = "           ";
                format!("{result}QCOW1_CALL qcow1_{rest}")
            }
            _ => line.replace("(*read)(", "(QCOW1_CALL *read)("),
        });
    }
    lines.join("\n") + "\n"
}

#[test]
fn each_function_and_the_callback_have_the_calling_convention() {
    let header = std::fs::read_to_string(capi().join("qcow1.h")).unwrap();
    for symbol in symbols() {
        assert_eq!(header.matches(&format!("QCOW1_CALL {symbol}(")).count(), 1, "{symbol}");
    }
    assert!(header.contains("int (QCOW1_CALL *read)(void *ctx"));
    assert_eq!(header.matches("QCOW1_CALL ").count(), symbols().len() + 1);
}

#[test]
fn gcc_and_clang_compile_it_as_c99_c11_and_cxx17() {
    for (compiler, language, standard) in [
        ("gcc", "c", "c99"),
        ("gcc", "c", "c11"),
        ("g++", "c++", "c++17"),
        ("clang", "c", "c99"),
        ("clang", "c", "c11"),
        ("clang++", "c++", "c++17"),
    ] {
        compile(compiler, language, standard, &capi().join("tests/declarations.c"));
    }
}

#[test]
fn gcc_and_clang_compile_the_example_as_c99() {
    for compiler in ["gcc", "clang"] {
        compile(compiler, "c", "c99", &capi().join("../examples/c/cat.c"));
    }
}

fn compile(compiler: &str, language: &str, standard: &str, source: &Path) {
    let mut command = Command::new(compiler);
    command
        .args(["-x", language, &format!("-std={standard}"), "-fsyntax-only"])
        .args(["-pedantic", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(capi())
        .arg(source);
    run(&mut command);
}
