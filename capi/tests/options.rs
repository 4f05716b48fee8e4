//! A build without the options in `.cargo/config.toml` fails with a sentence: RUSTFLAGS, which
//! replaces them, cannot remove them silently.

use std::process::Command;

use crate::programs::{capi, target_folder};

#[test]
fn a_build_without_the_options_for_aes_fails_with_a_sentence() {
    let compact = r#"--cfg aes_backend_soft="compact""#;
    for (options, features, error) in [
        ("", "aes", format!("add `{compact}` to it")),
        (compact, "aes", String::new()),
        ("", "deflate", String::new()),
    ] {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(capi()).args(["check", "--quiet", "--locked"]);
        cargo.args(["--no-default-features", "--features", features]);
        // With a named target, the options do not apply to build scripts.
        cargo.args(["--target", "x86_64-unknown-linux-gnu", "--target-dir"]);
        cargo.arg(target_folder().join("options"));
        cargo.env("RUSTFLAGS", format!("-Cdebuginfo=0 {options}"));
        let output = cargo.output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), error.is_empty(), "{options}: {message}");
        assert!(message.contains(&error), "{options}: {message}");
    }
}
