//! `QCOW1_CALL` is the calling convention of each function and of the read callback.

use crate::programs::{Program, RELEASE, capi};

#[test]
fn code_with_another_calling_convention_names_that_of_the_library() {
    let image = capi().join("../tests/data/plain.qcow");
    let file = std::fs::read(&image).unwrap();
    let size = u64::from_be_bytes(file[24..32].try_into().unwrap());
    let (image, size) = (
        format!("-DIMAGE=\"{}\"", image.to_str().unwrap()),
        format!("-DSIZE={size}"),
    );
    // At this level, gcc makes no calls of memcpy from loops.
    let options = ["-O1", "-Wall", "-Wextra", "-Werror", "-mabi=ms", &image, &size];
    let named = [&options[..], &["-DQCOW1_CALL=__attribute__((sysv_abi))"]].concat();
    let source = capi().join("tests/calling.c");
    let run = |options: &[&str]| Program::new(&source, &RELEASE, options).command().status().unwrap();
    assert!(run(&named).success());
    // Without it, the program compiles and links too, and fails.
    assert!(!run(&options).success());
}
