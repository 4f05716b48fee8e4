//! The library, and C programs with it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use tempfile::TempDir;

/// The folder of the package `qcow1-capi`.
pub fn capi() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folder of the suite of images.
pub fn suite() -> PathBuf {
    capi().join("../tests/vectors")
}

/// The functions of the library, in order.
pub fn symbols() -> Vec<String> {
    let symbols = std::fs::read_to_string(capi().join("symbols.txt")).unwrap();
    symbols.lines().map(str::to_owned).collect()
}

/// The library as its users build it.
pub static RELEASE: LazyLock<PathBuf> = LazyLock::new(|| build("release"));

/// The library under AddressSanitizer, for programs under it.
static CHECKED: LazyLock<PathBuf> = LazyLock::new(|| {
    // With a named target, the options do not apply to build scripts.
    let target = "x86_64-unknown-linux-gnu";
    let mut cargo = cargo_build("release");
    cargo.args(["--target", target, "--target-dir"]);
    cargo.arg(target_folder().join("checked"));
    // The sanitizer is an unstable option of the compiler. The other option is that of
    // .cargo/config.toml.
    cargo.env("RUSTC_BOOTSTRAP", "1");
    cargo.env("RUSTFLAGS", r#"--cfg aes_backend_soft="compact" -Zsanitizer=address"#);
    run(&mut cargo);
    target_folder().join("checked").join(target).join("release/libqcow1.a")
});

/// Builds the library in a profile, and returns its path.
pub fn build(profile: &str) -> PathBuf {
    run(&mut cargo_build(profile));
    target_folder()
        .join(if profile == "dev" { "debug" } else { profile })
        .join("libqcow1.a")
}

fn cargo_build(profile: &str) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--profile", profile]);
    cargo.current_dir(capi());
    cargo
}

/// Returns cargo's target folder, in which this program is at debug/deps.
pub fn target_folder() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    program.ancestors().nth(3).unwrap().to_owned()
}

/// A compiled program. Dropping it deletes its folder.
pub struct Program {
    path: PathBuf,
    _folder: TempDir,
}

impl Program {
    /// Compiles one C file under AddressSanitizer and UBSan, with the library under
    /// AddressSanitizer. A finding ends the program.
    pub fn sanitized(source: &str, options: &[&str]) -> Self {
        let sanitizers = [
            "-g",
            "-O1",
            "-Werror",
            "-fsanitize=address,undefined",
            "-fno-sanitize-recover=all",
        ];
        Self::new(&capi().join(source), &CHECKED, &[&sanitizers, options].concat())
    }

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
