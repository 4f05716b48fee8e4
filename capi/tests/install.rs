//! `make install` installs the files of a package, and programs find them by pkg-config.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use qcow1::Image;
use tempfile::TempDir;

use crate::programs::{capi, run, symbols, target_folder};

/// The library below a prefix that was empty.
static INSTALLED: LazyLock<TempDir> = LazyLock::new(|| {
    let stage = TempDir::new().unwrap();
    run(&mut make("install", stage.path()));
    stage
});

/// A prefix that no compiler searches by itself.
const PREFIX: &str = "/opt/qcow1";

fn make(goal: &str, stage: &Path) -> Command {
    let mut make = Command::new("make");
    make.arg("-C").arg(capi()).args([goal, &format!("PREFIX={PREFIX}")]);
    make.arg(format!("DESTDIR={}", stage.display()));
    make.arg(format!("CARGO={}", env!("CARGO")));
    make.arg(format!(
        "CARGO_TARGET_DIR={}",
        target_folder().join("install").display()
    ));
    // As the tools of distributions do.
    make.env("RUSTFLAGS", "-Cdebuginfo=1 -Cstrip=none");
    make
}

fn installed(path: &str) -> PathBuf {
    INSTALLED.path().join(&PREFIX[1..]).join(path)
}

/// Lets pkg-config see only the installed files.
fn with_pkg_config(command: &mut Command) {
    command.env("PKG_CONFIG_LIBDIR", installed("lib/pkgconfig"));
    command.env("PKG_CONFIG_SYSROOT_DIR", INSTALLED.path());
}

fn pkg_config(arguments: &[&str]) -> Vec<String> {
    let mut pkg_config = Command::new("pkg-config");
    with_pkg_config(&mut pkg_config);
    let output = run(pkg_config.args(arguments).arg("qcow1")).stdout;
    let output = String::from_utf8(output).unwrap();
    output.split_whitespace().map(str::to_owned).collect()
}

/// The files and links below a folder.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            found.extend(files(&path).iter().map(|below| format!("{name}/{below}")));
        } else {
            found.insert(name);
        }
    }
    found
}

#[test]
fn c_and_cxx_programs_build_with_what_was_installed_alone() {
    let image = capi().join("../tests/data/compressed.qcow");
    let file = std::fs::read(&image).unwrap();
    let mut memory = [0; 65536];
    let mut disk = Image::open(&file[..], &mut memory).unwrap();
    let mut bytes = vec![0; disk.size() as usize];
    disk.read_at(0, &mut bytes).unwrap();
    let sum: u64 = bytes.iter().map(|&byte| u64::from(byte)).sum();
    let version = pkg_config(&["--modversion"]).join("");
    let expected = format!("{version} {version}\n{} {sum}\n", bytes.len());

    for (compiler, standard) in [("gcc", "-std=c99"), ("g++", "-std=c++17"), ("clang", "-std=c11")] {
        for link in ["-no-pie", "-static"] {
            // In another folder, so that no file of the repository is found by chance.
            let folder = TempDir::new().unwrap();
            std::fs::copy(capi().join("tests/installed.c"), folder.path().join("program.c")).unwrap();
            let language = if compiler == "g++" { "c++" } else { "c" };
            let mut cc = Command::new(compiler);
            cc.current_dir(&folder).args(["-x", language, standard, "-pedantic"]);
            cc.args([
                "-Wall",
                "-Wextra",
                "-Werror",
                "-o",
                "program",
                "program.c",
                "-x",
                "none",
                link,
            ]);
            cc.args(pkg_config(if link == "-static" {
                &["--static", "--cflags", "--libs"]
            } else {
                &["--cflags", "--libs"]
            }));
            run(&mut cc);
            let mut program = Command::new(folder.path().join("program"));
            program.env("LD_LIBRARY_PATH", installed("lib"));
            let output = run(program.arg(&image)).stdout;
            assert_eq!(String::from_utf8(output).unwrap(), expected, "{compiler} {link}");
            let needed = dynamic(&folder.path().join("program"), "NEEDED");
            assert_eq!(needed.contains(&soname(&version)), link != "-static", "{needed:?}");
        }
    }
}

#[test]
fn cmake_and_meson_find_it_as_the_readme_shows() {
    let readme = std::fs::read_to_string(capi().join("README.md")).unwrap();
    let shown = |language: &str| {
        let (_, block) = readme
            .split_once(&format!("\n```{language}\n"))
            .expect("a block of code");
        block.split_once("```").expect("its end").0.to_owned()
    };
    let cmake = "cmake_minimum_required(VERSION 3.12)\nproject(program C)\nadd_executable(program program.c)\n";
    for (file, text, commands) in [
        (
            "CMakeLists.txt",
            [cmake, &shown("cmake")].concat(),
            [&["cmake", "-S", ".", "-B", "build"][..], &["cmake", "--build", "build"]],
        ),
        (
            "meson.build",
            ["project('program', 'c')\n", &shown("meson")].concat(),
            [&["meson", "setup", "build"], &["meson", "compile", "-C", "build"]],
        ),
    ] {
        let folder = TempDir::new().unwrap();
        std::fs::copy(capi().join("tests/installed.c"), folder.path().join("program.c")).unwrap();
        std::fs::write(folder.path().join(file), text).unwrap();
        for command in commands {
            let mut build = Command::new(command[0]);
            with_pkg_config(&mut build);
            run(build.args(&command[1..]).current_dir(&folder));
        }
        let program = folder.path().join("build/program");
        let mut command = Command::new(&program);
        command.env("LD_LIBRARY_PATH", installed("lib"));
        run(command.arg(capi().join("../tests/data/plain.qcow")));
    }
}

#[test]
fn the_prefix_has_the_files_of_a_package_and_loses_them_again() {
    let version = pkg_config(&["--modversion"]).join("");
    let real = format!("lib/libqcow1.so.{version}");
    let expected = [
        "include/qcow1.h",
        "lib/libqcow1.a",
        "lib/libqcow1.so",
        &format!("lib/{}", soname(&version)),
        &real,
        "lib/pkgconfig/qcow1.pc",
    ];
    assert_eq!(files(&installed("")), expected.map(str::to_owned).into());
    let target = std::fs::canonicalize(installed("lib/libqcow1.so")).unwrap();
    assert_eq!(target, std::fs::canonicalize(installed(&real)).unwrap());
    assert_eq!(dynamic(&installed(&real), "SONAME"), [soname(&version)]);

    let stage = TempDir::new().unwrap();
    run(&mut make("install", stage.path()));
    run(&mut make("uninstall", stage.path()));
    assert_eq!(files(stage.path()), BTreeSet::new());
}

#[test]
fn the_shared_library_has_the_functions_of_the_list_and_needs_libc_alone() {
    let library = installed("lib/libqcow1.so");
    let output = run(Command::new("nm").args(["-D", "--defined-only"]).arg(&library)).stdout;
    let output = String::from_utf8(output).unwrap();
    let found: Vec<_> = output
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .collect();
    assert_eq!(found, symbols(), "symbols.txt is the list, in order");
    assert_eq!(dynamic(&library, "NEEDED"), ["libc.so.6"]);
}

/// The name that programs look for: in version 0 it has the minor version too.
fn soname(version: &str) -> String {
    let parts: Vec<_> = version.split('.').collect();
    let count = if parts[0] == "0" { 2 } else { 1 };
    format!("libqcow1.so.{}", parts[..count].join("."))
}

/// The values of a tag of a file's dynamic section.
fn dynamic(file: &Path, tag: &str) -> Vec<String> {
    let output = run(Command::new("readelf").args(["-d", "-W"]).arg(file)).stdout;
    let output = String::from_utf8(output).unwrap();
    let lines = output.lines().filter(|line| line.contains(&format!("({tag})")));
    let values = lines.filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned()));
    values.collect()
}
