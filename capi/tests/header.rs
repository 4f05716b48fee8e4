//! `qcow1.h` is what the source says, and what C and C++ compilers take.

use std::path::Path;
use std::process::Command;

use crate::programs::{capi, run};

#[test]
fn it_is_what_the_source_says() {
    let mut made = Vec::new();
    cbindgen::generate(capi()).unwrap().write(&mut made);
    let path = capi().join("qcow1.h");
    if std::env::var_os("WRITE_HEADER").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let committed = std::fs::read(&path).unwrap();
    assert!(
        made == committed,
        "qcow1.h differs from the source: WRITE_HEADER=1 cargo test -p qcow1-capi-tests writes it anew"
    );
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
