//! Runs the examples as a user runs them.

use std::path::{Path, PathBuf};

use assert_cmd::Command;

/// An example, as cargo built it for this test run.
pub fn example(name: &str) -> Command {
    Command::new(example_path(name))
}

/// Cargo passes the paths of binaries to tests, but not those of examples, which are beside the
/// directory of the test itself.
pub fn example_path(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let built = test.parent().and_then(Path::parent).unwrap().join("examples");
    let path = built.join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        path.exists(),
        "{} is missing: `cargo test` builds it, and so does `cargo build --example {name}`",
        path.display()
    );
    path
}
