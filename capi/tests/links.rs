//! The functions that a program needs to link the library.

use std::process::Command;

use crate::programs::{Program, RELEASE, build, capi, run};

/// The functions that compilers assume of any environment, hosted or not.
const ASSUMED: [&str; 5] = ["memcpy", "memmove", "memset", "memcmp", "bcmp"];

#[test]
fn a_release_build_needs_nothing_but_what_compilers_assume() {
    assert_eq!(undefined_in(&RELEASE), [""; 0]);
}

#[test]
fn a_debug_build_needs_no_unwinding_either() {
    assert_eq!(undefined_in(&build("dev")), [""; 0]);
}

/// Links the whole API without any other library, and returns the undefined symbols, except those
/// that compilers assume.
fn undefined_in(library: &std::path::Path) -> Vec<String> {
    let source = capi().join("tests/declarations.c");
    // A partial link keeps undefined symbols. Sections that nothing refers to are left out.
    let options = ["-r", "-nostdlib", "-no-pie", "-Wl,--gc-sections,--entry=use_all"];
    let program = Program::new(&source, library, &options);
    let symbols = run(Command::new("nm").arg("--undefined-only").arg(program.path())).stdout;
    let symbols = String::from_utf8(symbols).unwrap();
    let names = symbols.lines().filter_map(|line| line.split_whitespace().last());
    names
        .filter(|name| !ASSUMED.contains(name))
        .map(str::to_owned)
        .collect()
}
