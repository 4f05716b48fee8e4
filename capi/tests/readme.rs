//! What the README shows works, and its figures are those that commands measured.

use crate::programs::{Program, RELEASE, SANITIZED, capi, run};

fn file(path: &str) -> String {
    std::fs::read_to_string(capi().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn each_interface_reads_the_same_disk() {
    let source = capi().join("tests/interfaces.c");
    let program = Program::new(&source, &RELEASE, &[SANITIZED, &["-Wall", "-Wextra"]].concat());
    for image in ["plain.qcow", "compressed.qcow", "odd.qcow"] {
        run(program.command().arg(capi().join("../tests/data").join(image)));
    }
}

#[test]
fn its_code_is_what_was_tested() {
    let readme = file("README.md");
    let shown: Vec<_> = readme
        .split("\n```c\n")
        .skip(1)
        .map(|rest| rest.split_once("```").expect("the end of a block of code").0)
        .collect();
    let source = file("tests/interfaces.c");
    let tested: Vec<_> = source
        .split("/* end */")
        .filter_map(|part| {
            let (_, code) = ["u-boot", "kvmtool", "grub", "solo5", "ten lines"]
                .iter()
                .find_map(|mark| part.split_once(&format!("/* {mark} */\n")))?;
            Some(code)
        })
        .collect();
    assert_eq!(tested.len(), 5);
    for code in &tested {
        assert!(shown.contains(code), "the README should show\n{code}");
    }
    assert_eq!(shown.len(), tested.len(), "the README shows code that no test compiles");
}
