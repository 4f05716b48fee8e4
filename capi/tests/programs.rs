//! The library, and C programs with it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use tempfile::TempDir;

/// A sanitizer's finding ends the program.
pub const SANITIZED: &[&str] = &[
    "-g",
    "-O1",
    "-Werror",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
];

/// The folder of the package `qcow1-capi`.
pub fn capi() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folder of the suite of images.
pub fn suite() -> PathBuf {
    capi().join("../tests/vectors")
}

/// The library as its users build it.
pub static RELEASE: LazyLock<PathBuf> = LazyLock::new(|| build("release"));

/// Builds the library in a profile, where `cargo build` puts it.
pub fn build(profile: &str) -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--profile", profile]);
    run(cargo.current_dir(capi()));
    // This program is in that folder at debug/deps.
    let program = std::env::current_exe().unwrap();
    let folder = program.ancestors().nth(3).unwrap();
    folder
        .join(if profile == "dev" { "debug" } else { profile })
        .join("libqcow1.a")
}

/// A compiled program, which goes with its folder.
pub struct Program {
    path: PathBuf,
    _folder: TempDir,
}

impl Program {
    /// Compiles one C file with the library.
    pub fn new(source: &Path, library: &Path, options: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("program");
        let mut cc = Command::new("gcc");
        cc.args(options)
            .arg("-I")
            .arg(capi())
            .arg(source)
            .arg(library)
            .arg("-o")
            .arg(&path);
        run(&mut cc);
        Self { path, _folder: folder }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn command(&self) -> Command {
        Command::new(&self.path)
    }
}

/// Runs a command that must succeed.
pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
