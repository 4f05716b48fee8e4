//! The code of the README works, and is the code that is tested.

use crate::programs::{Program, capi, run};

fn file(path: &str) -> String {
    std::fs::read_to_string(capi().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn each_interface_reads_the_same_disk() {
    // The function of U-Boot's driver, in a header.
    let folder = tempfile::TempDir::new().unwrap();
    let driver = file("../examples/u-boot/qcow1.c");
    let (_, function) = driver
        .split_once("static ulong qcow1_blk_read")
        .expect("the driver's function");
    let (function, _) = function.split_once("\n}\n").expect("its end");
    let header = format!("static ulong qcow1_blk_read{function}\n}}\n");
    std::fs::write(folder.path().join("qcow1_blk_read.h"), header).unwrap();
    let include = format!("-I{}", folder.path().display());
    let program = Program::sanitized("tests/interfaces.c", &["-Wall", "-Wextra", &include]);
    for image in ["plain.qcow", "compressed.qcow", "odd.qcow"] {
        run(program.command().arg(capi().join("../tests/data").join(image)));
    }
}

#[test]
fn the_code_shown_is_the_code_tested() {
    let marks = ["ten lines", "u-boot", "kvmtool", "grub", "solo5"];
    let source = file("tests/interfaces.c");
    let tested: Vec<_> = marks.iter().map(|mark| between(&source, mark)).collect();
    let mut shown_here = shown("README.md");
    // modules.sh compiles code with this convention.
    assert!(
        shown_here
            .remove(1)
            .starts_with("#define QCOW1_CALL __attribute__((cdecl, regparm(0)))\n")
    );
    assert_eq!(shown_here, tested);
}

/// Returns the C code of a README.
fn shown(readme: &str) -> Vec<String> {
    let readme = file(readme);
    let blocks = readme.split("\n```c\n").skip(1);
    blocks
        .map(|rest| rest.split_once("```").expect("the end of a block of code").0.to_owned())
        .collect()
}

/// Returns the code between a mark in a C file and the next end.
fn between(source: &str, mark: &str) -> String {
    let (_, rest) = source.split_once(&format!("/* {mark} */\n")).expect("a mark");
    rest.split_once("/* end */").expect("the end of the code").0.to_owned()
}
