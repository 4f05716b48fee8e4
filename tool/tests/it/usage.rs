//! Help, completions, and the errors of wrong arguments.

use crate::place::{Place, Qcow, SPAN, tool};

#[test]
fn help_and_version_are_no_errors() {
    for args in [&["--help"][..], &["-h"], &["help", "dump"], &["dump", "--help"]] {
        let help = tool().args(args).assert().success().stderr("").get_output().clone();
        assert!(String::from_utf8(help.stdout).unwrap().contains("Usage: qcow1"));
    }
}

#[test]
fn the_version_lists_the_features_of_the_manifest() {
    let manifest = include_str!("../../Cargo.toml");
    let line = manifest.lines().find(|line| line.starts_with("qcow1 = ")).unwrap();
    assert!(line.contains("default-features = false"));
    let (_, features) = line.split_once("features = [").unwrap();
    let (features, _) = features.split_once(']').unwrap();
    let name = concat!("qcow1 ", env!("CARGO_PKG_VERSION"), "\n");
    let long = format!("{name}features: {}\n", features.replace('"', ""));
    tool().arg("--version").assert().success().stdout(long).stderr("");
    tool().arg("-V").assert().success().stdout(name).stderr("");
}

#[test]
fn an_option_without_a_meaning_for_a_command_is_an_error() {
    let place = Place::new();
    place.write("image.qcow", Qcow::new(SPAN).build());
    for command in ["info", "map", "check"] {
        for option in [["--password-file", "missing"], ["--backing", "raw:missing"]] {
            if command == "map" && option[0] == "--backing" {
                continue;
            }
            let error = place.error(&[&[command, "image.qcow"], &option[..]].concat());
            assert!(
                error.contains(&format!("unexpected argument '{}'", option[0])),
                "{error}"
            );
        }
    }
}

#[test]
fn there_are_completions_for_each_shell_and_pages_for_each_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = tool().args(["completions", shell]).assert().success().stderr("");
        let script = String::from_utf8(script.get_output().stdout.clone()).unwrap();
        assert!(script.contains("password-file"), "{script}");
    }
    let page = |args: &[&str]| {
        let page = tool().arg("man").args(args).assert().success().stderr("");
        String::from_utf8(page.get_output().stdout.clone()).unwrap()
    };
    let all = page(&[]);
    assert!(all.contains(".TH qcow1 1"), "{all}");
    for command in ["info", "map", "dump", "read", "check", "serve"] {
        assert!(all.contains(&format!("qcow1\\-{command}(1)")), "{all}");
        let page = page(&[command]);
        assert!(page.contains(&format!(".TH qcow1-{command} 1")), "{page}");
    }
    let error = Place::new().error(&["man", "frobnicate"]);
    assert!(error.starts_with("there is no command 'frobnicate'"), "{error}");
}

#[test]
fn help_says_what_a_dump_promises() {
    let help = tool().args(["dump", "--help"]).assert().success().get_output().clone();
    let help = String::from_utf8(help.stdout).unwrap();
    for promise in [
        "fails or is interrupted leaves OUT as it was",
        "Other hard links to OUT keep the old contents",
        "a loop device or a partition",
    ] {
        assert!(help.contains(promise), "{help}");
    }
}

#[test]
fn help_says_why_following_is_not_for_every_image() {
    let help = tool().args(["dump", "--help"]).assert().success().get_output().clone();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("Only for images you trust"), "{help}");
    assert!(help.contains("reads the file of the host that the guest\n"), "{help}");
}

#[test]
fn a_usage_error_is_one_line_and_status_1() {
    let place = Place::new();
    place.write("image.qcow", Qcow::new(SPAN).build());
    for (args, says) in [
        (&[][..], "a command is missing"),
        (&["frobnicate"], "frobnicate"),
        (&["info"], "<IMAGE>"),
        (&["map", "image.qcow", "more"], "more"),
        (&["serve", "image.qcow"], "--unix"),
        (&["serve", "image.qcow", "--unix", "a", "--port", "1"], "--port"),
        (
            &["dump", "image.qcow", "-", "--key-file", "a", "--password-file", "b"],
            "--password-file",
        ),
        (&["dump", "image.qcow"], "<OUT>"),
        (&["read", "image.qcow"], "--offset <N>"),
        (&["read", "image.qcow", "--offset", "1"], "--length <N>"),
        (&["read", "image.qcow", "--offset", "-1", "--length", "1"], "-1"),
        (&["read", "image.qcow", "--offset", "+1", "--length", "1"], "+1"),
        (&["read", "image.qcow", "--offset", "1q", "--length", "1"], "1q"),
        (&["read", "image.qcow", "--offset", "", "--length", "1"], "--offset <N>"),
        (&["read", "image.qcow", "--offset", "0x", "--length", "1"], "0x"),
        (
            &[
                "read",
                "image.qcow",
                "--offset",
                "99999999999999999999",
                "--length",
                "1",
            ],
            "too large",
        ),
        (
            &["read", "image.qcow", "--offset", "99999999999999G", "--length", "1"],
            "too large",
        ),
        (
            &["dump", "image.qcow", "-", "--backing", "image.qcow"],
            "raw:FILE or qcow:FILE",
        ),
        (&["dump", "image.qcow", "-", "--backing", "raw:"], "missing"),
        (
            &["dump", "image.qcow", "-", "--backing", "raw:x", "--follow"],
            "--follow",
        ),
        (&["map", "image.qcow\n\x1b[2J", "--what"], "--what"),
    ] {
        let error = place.error(args);
        assert!(error.contains(says), "{args:?}: {error}");
        assert!(error.ends_with("(see qcow1 --help)"), "{error}");
    }
}

#[test]
fn errors_begin_with_the_file() {
    let place = Place::new();
    place.write("image.qcow", Qcow::new(SPAN).build());
    place.write("empty", "");
    for (args, says) in [
        (&["info", "gone.qcow"][..], "gone.qcow: cannot be opened: "),
        (
            &["info", "gone\n\x1b[2J.qcow"],
            r"gone\n\u{1b}[2J.qcow: cannot be opened: ",
        ),
        (&["info", "."], ".: is a directory"),
        (
            &["info", "-"],
            "-: cannot be opened: No such file or directory (os error 2) (the tool does not take - for standard input",
        ),
        (&["dump", "image.qcow", "."], ".: is a directory"),
        (&["dump", "image.qcow", "gone/out"], "gone/out: cannot be written: "),
        (
            &["dump", "image.qcow", "-", "--backing", "raw:gone"],
            "gone: cannot be opened: ",
        ),
        (
            &["dump", "image.qcow", "-", "--backing", "raw:empty"],
            "empty: cannot be the backing file of 'image.qcow'",
        ),
    ] {
        let error = place.error(args);
        assert!(error.starts_with(says), "{args:?}: {error}");
    }
}

#[test]
fn an_empty_file_is_called_empty() {
    let place = Place::new();
    place.write("empty", "");
    for command in ["info", "check", "map"] {
        assert_eq!(
            place.error_with(5, &[command, "empty"]),
            "empty: the file or the device is empty: it has 0 bytes"
        );
    }
}

#[test]
fn numbers_have_the_suffixes_that_the_tool_prints() {
    let place = Place::new();
    place.write("image.qcow", Qcow::new(8 << 20).data(4 << 20, 9).build());
    for offset in ["4M", "4m", "4MiB", "4 MiB", "4096k", "4096KiB", "0x1000k", "4194304"] {
        let read = ["read", "image.qcow", "--offset", offset, "--length", "1"];
        assert_eq!(place.output(&read), [9], "{offset}");
    }
    for (number, says) in [
        ("4MB", "4MB"),
        ("4iB", "4iB"),
        ("16EiB", "too large"),
        ("0x1eiB", "0x1eiB"),
        ("iB", "iB"),
        ("4.5M", "4.5M"),
    ] {
        let error = place.error(&["read", "image.qcow", "--offset", number, "--length", "1"]);
        assert!(error.contains(says), "{error}");
    }
    // The digit of a hexadecimal number is no suffix.
    let error = place.error(&["read", "image.qcow", "--offset", "0xfffffe", "--length", "1"]);
    assert!(error.contains("at offset 16777214 "), "{error}");
}

#[test]
fn too_little_memory_says_how_much_is_needed() {
    let place = Place::new();
    place.write("image.qcow", Qcow::new(SPAN).build());
    let error = place.error(&["info", "image.qcow", "--memory", "63"]);
    assert!(
        error.starts_with("image.qcow: ") && error.ends_with("pass --memory 64"),
        "{error}"
    );
    place.output(&["info", "image.qcow", "--memory", "64"]);
    // The memory that opens the image may be too small to inflate a cluster.
    let image = Qcow::new(SPAN).compressed(0, b"stream");
    place.write("compressed.qcow", image.build());
    let read = [
        "read",
        "compressed.qcow",
        "--offset",
        "0",
        "--length",
        "1",
        "--memory",
        "512",
    ];
    let error = place.error(&read);
    let (_, needed) = error.split_once("pass --memory ").unwrap();
    assert!(needed.parse::<u32>().unwrap() > 8192, "{error}");
    // No machine has this much memory, but the tool lends an image only what it can use.
    place.output(&["info", "image.qcow", "--memory", "8000000T"]);
}

#[test]
fn a_password_that_no_image_needs_is_an_error() {
    let place = Place::new();
    place.write("image.qcow", Qcow::new(SPAN).build());
    place.write("password", "secret\n");
    let error = place.error(&["dump", "image.qcow", "-", "--password-file", "password"]);
    assert!(
        error.starts_with("password: is not needed: there are fewer encrypted images"),
        "{error}"
    );
    place.write("secret.qcow", Qcow::new(SPAN).field(36, &1_u32.to_be_bytes()).build());
    let error = place.error(&["dump", "secret.qcow", "-", "--password-file", "missing"]);
    assert!(error.starts_with("missing: cannot be read"), "{error}");
}

#[cfg(unix)]
#[test]
fn file_names_need_not_be_utf_8() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let place = Place::new();
    let base = OsStr::from_bytes(b"b\xff.raw");
    std::fs::write(place.path("").join(base), [6; 512]).unwrap();
    place.write("top.qcow", Qcow::new(512).backing(base.as_bytes()).build());
    assert_eq!(place.output(&["dump", "top.qcow", "-", "--follow"]), [6; 512]);
    let mut given = place.tool(&["dump", "top.qcow", "-", "--backing"]);
    given.arg(OsStr::from_bytes(b"raw:b\xff.raw"));
    given.assert().success().stdout(vec![6; 512]).stderr("");
}
