//! The example `cat` refuses arguments that it does not understand.

use crate::programs::{Program, capi};

#[test]
fn bad_arguments_are_refused_with_a_sentence() {
    let cat = Program::sanitized("../examples/c/cat.c", &["-std=c99"]);
    for (arguments, status, error) in [
        (&[][..], 2, "usage"),
        (&["-p"], 2, "usage"),
        (&["-p", "secret"], 2, "usage"),
        (&["chain-middle.qcow", "xyz"], 2, "usage"),
        (&["chain-middle.qcow", "chain-base.raw"], 2, "usage"),
        (&["chain-middle.qcow", ""], 2, "usage"),
        (&["chain-middle.qcow", "raw:"], 1, ": No such file or directory"),
        (&["chain-middle.qcow", "raw:chain-base.raw"], 0, ""),
        (&["-p", "secret", "plain.qcow"], 0, ""),
    ] {
        let output = cat
            .command()
            .current_dir(capi().join("../tests/data"))
            .args(arguments)
            .output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {output:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).starts_with(error),
            "{arguments:?}: {output:?}"
        );
    }
}
