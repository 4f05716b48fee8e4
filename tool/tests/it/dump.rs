//! `dump` and `read`.

use std::fs;
use std::process::{Command, Stdio};

use crate::place::{CLUSTER, Place, Qcow, SPAN, sha256, tool_path};

/// Returns an image with one cluster at 0x5000, and a last cluster of which 100 bytes are inside
/// the disk.
fn image() -> Qcow {
    Qcow::new(SPAN + 100).data(0x5000, 0xab).data(SPAN, 0xcd)
}

/// Returns the disk of [`image`].
fn disk() -> Vec<u8> {
    let mut disk = vec![0; (SPAN + 100) as usize];
    disk[0x5000..0x6000].fill(0xab);
    disk[SPAN as usize..].fill(0xcd);
    disk
}

#[test]
fn dump_writes_the_disk() {
    let place = Place::new();
    place.write("image.qcow", image().build());
    assert_eq!(place.output(&["dump", "image.qcow", "out.raw"]), b"");
    assert!(place.read("out.raw") == disk());
    assert!(place.output(&["dump", "image.qcow", "-"]) == disk());
    // The memory lent changes only the number of reads.
    for memory in ["512", "0x3e7", "5k", "64M"] {
        assert!(place.output(&["dump", "image.qcow", "-", "--memory", memory]) == disk());
    }
}

#[test]
fn dump_replaces_what_a_file_held() {
    let place = Place::new();
    place.write("image.qcow", image().build());
    place.write("out.raw", vec![0xee; 5 << 20]);
    place.output(&["dump", "image.qcow", "out.raw"]);
    assert!(place.read("out.raw") == disk());
}

#[cfg(unix)]
#[test]
fn holes_stay_holes() {
    use std::os::unix::fs::MetadataExt;

    let place = Place::new();
    let size = 64 << 20;
    // The base is not sparse, but zeros except for one byte: blocks of zeros become holes too.
    let mut base = vec![0; size as usize];
    base[40 << 20] = 1;
    place.write("base.raw", &base);
    let top = Qcow::new(size)
        .backing("base.raw")
        .data(3 * SPAN, 0xab)
        .data(5 * SPAN, 0);
    place.write("top.qcow", top.build());
    place.output(&["dump", "top.qcow", "out.raw", "--backing", "raw:base.raw"]);
    base[3 * SPAN as usize..][..CLUSTER as usize].fill(0xab);
    assert!(place.read("out.raw") == base);
    let out = fs::metadata(place.path("out.raw")).unwrap();
    assert_eq!(out.len(), size);
    // `blocks` counts units of 512 bytes on every file system.
    assert!(out.blocks() * 512 <= 1 << 20, "{} blocks", out.blocks());

    // The disk ends in a hole.
    place.write("hole.qcow", Qcow::new(size + 1).build());
    place.output(&["dump", "hole.qcow", "hole.raw"]);
    let hole = fs::metadata(place.path("hole.raw")).unwrap();
    assert_eq!((hole.len(), hole.blocks()), (size + 1, 0));
}

#[test]
fn many_small_runs_come_out_right() {
    let place = Place::new();
    let size = 3 * SPAN;
    let mut image = Qcow::new(size);
    let mut disk = vec![0; size as usize];
    // Every third cluster, adjacent clusters, a large hole, and adjacent clusters again.
    for cluster in (0..500).step_by(3).chain(600..900).chain(1500..1536) {
        let fill = (cluster % 251) as u8;
        image = image.data(cluster * CLUSTER, fill);
        disk[(cluster * CLUSTER) as usize..][..CLUSTER as usize].fill(fill);
    }
    place.write("image.qcow", image.build());
    place.output(&["dump", "image.qcow", "out.raw"]);
    assert!(place.read("out.raw") == disk);
    assert!(place.output(&["dump", "image.qcow", "-", "--memory", "512"]) == disk);
}

#[cfg(unix)]
#[test]
fn dump_writes_to_devices_and_pipes_in_place() {
    let place = Place::new();
    place.write("image.qcow", image().build());
    place.output(&["dump", "image.qcow", "/dev/null"]);
    assert!(place.output(&["dump", "image.qcow", "/dev/stdout"]) == disk());
    assert!(fs::metadata("/dev/null").unwrap().len() == 0);

    let pipe = place.pipe("pipe");
    let reader = std::thread::spawn(move || fs::read(pipe).unwrap());
    place.output(&["dump", "image.qcow", "pipe"]);
    assert!(reader.join().unwrap() == disk());
}

#[cfg(target_os = "linux")]
#[test]
fn a_failed_write_names_the_file_and_the_place() {
    let place = Place::new();
    place.write("image.qcow", image().build());
    let error = place.error(&["dump", "image.qcow", "/dev/full"]);
    assert!(error.starts_with("/dev/full: "), "{error}");
    assert!(error.contains("guest offset 0x0"), "{error}");
}

#[cfg(unix)]
#[test]
fn dump_never_writes_over_an_image() {
    let place = Place::new();
    let top = Qcow::new(SPAN).backing("base.raw").data(0, 1).build();
    place.write("top.qcow", &top);
    place.write("base.raw", [5; 4096]);
    fs::hard_link(place.path("top.qcow"), place.path("link")).unwrap();
    std::os::unix::fs::symlink("base.raw", place.path("symlink")).unwrap();
    for out in ["top.qcow", "link", "base.raw", "symlink"] {
        let error = place.error(&["dump", "top.qcow", out, "--follow"]);
        assert!(error.starts_with(&format!("{out}: is the same file as")), "{error}");
    }
    // Standard output can be a file of the chain too.
    let out = fs::OpenOptions::new()
        .append(true)
        .open(place.path("base.raw"))
        .unwrap();
    let mut tool = Command::new(tool_path());
    tool.args(["dump", "top.qcow", "-", "--follow"])
        .current_dir(place.path(""))
        .stdout(out)
        .stderr(Stdio::null());
    assert_eq!(tool.status().unwrap().code(), Some(1));
    assert!(place.read("top.qcow") == top);
    assert!(place.read("base.raw") == [5; 4096]);
}

#[test]
fn dump_never_writes_over_a_file_that_an_image_of_the_chain_names() {
    let place = Place::new();
    // The top image has no holes, so the dump succeeds without the images below it.
    let top = Qcow::new(CLUSTER).backing("sub/middle.qcow").data(0, 1).build();
    let middle = Qcow::new(CLUSTER).backing("base.raw").data(0, 2).build();
    fs::create_dir(place.path("sub")).unwrap();
    place.write("top.qcow", &top);
    place.write("sub/middle.qcow", &middle);
    place.write("sub/base.raw", [5; 4096]);
    place.write("elsewhere.qcow", &middle);
    place.write("base.raw", [6; 4096]);
    let given = ["--backing", "qcow:elsewhere.qcow"];
    for (out, options) in [
        // These files are only named, not opened for the dump.
        ("sub/base.raw", &[][..]),
        ("sub/middle.qcow", &[]),
        ("sub/base.raw", &["--follow"]),
        // A file that the top image names is protected even if another file is given instead.
        ("sub/middle.qcow", &given),
        ("sub/base.raw", &given),
        ("elsewhere.qcow", &given),
        ("base.raw", &given),
    ] {
        let error = place.error(&[&["dump", "top.qcow", out], options].concat());
        assert!(
            error.starts_with(&format!("{out}: is the same file as '{out}'")),
            "{error}"
        );
    }
    assert!(place.read("top.qcow") == top);
    assert!(place.read("sub/middle.qcow") == middle);
    assert!(place.read("sub/base.raw") == [5; 4096]);
    assert!(place.read("elsewhere.qcow") == middle);
    assert!(place.read("base.raw") == [6; 4096]);
    // A cycle of names, or a name of no file, does not prevent a dump.
    place.write("a.qcow", Qcow::new(CLUSTER).backing("b.qcow").data(0, 1).build());
    place.write("b.qcow", Qcow::new(CLUSTER).backing("a.qcow").data(0, 1).build());
    place.output(&["dump", "a.qcow", "out"]);
    let error = place.error(&["dump", "a.qcow", "b.qcow"]);
    assert!(error.starts_with("b.qcow: is the same file as 'b.qcow'"), "{error}");
    place.write("lost.qcow", Qcow::new(CLUSTER).backing("gone").data(0, 1).build());
    place.output(&["dump", "lost.qcow", "out"]);
}

#[test]
fn dump_never_writes_over_a_file_that_a_truncated_image_names() {
    let place = Place::new();
    place.write("top.qcow", Qcow::new(CLUSTER).backing("middle.qcow").data(0, 1).build());
    // The L1 table reaches past the end of the file, so the image does not open; its backing name
    // is intact.
    let middle = Qcow::new(CLUSTER).backing("base.raw");
    let middle = middle.field(24, &(1_u64 << 40).to_be_bytes());
    place.write("middle.qcow", middle.build());
    place.write("base.raw", [5; 4096]);
    let error = place.error(&["dump", "top.qcow", "base.raw"]);
    assert!(error.starts_with("base.raw: is the same file as 'base.raw'"), "{error}");
    assert_eq!(place.read("base.raw"), [5; 4096]);
}

#[test]
fn dump_never_writes_over_a_password() {
    let place = Place::new();
    place.write("password", "passphrase\n");
    let image = committed("encrypted.qcow");
    let error = place.error(&["dump", &image, "password", "--password-file", "password"]);
    assert!(error.starts_with("password: is the same file as 'password'"), "{error}");
    assert_eq!(place.read("password"), b"passphrase\n");
}

#[test]
fn a_failed_dump_leaves_out_as_it_was() {
    let place = Place::new();
    let image = Qcow::new(2 * SPAN).data(0x5000, 0xab).word(SPAN + 0x3000, 0x2001);
    place.write("image.qcow", image.build());
    place.write("out.raw", "what was there");
    let error = place.error(&["dump", "image.qcow", "out.raw"]);
    assert!(
        error.starts_with("image.qcow: at guest offset 0x203000: corrupt image: "),
        "{error}"
    );
    assert!(error.ends_with("; 'out.raw' was left as it was"), "{error}");
    assert_eq!(place.read("out.raw"), b"what was there");
    let error = place.error(&["dump", "image.qcow", "new.raw"]);
    assert!(error.ends_with("; 'new.raw' was not created"), "{error}");
    // No temporary file is left.
    assert_eq!(place.names(), ["image.qcow", "out.raw"]);
}

#[test]
fn a_failed_dump_to_a_stream_has_written_all_before_the_flaw() {
    let place = Place::new();
    let mut image = Qcow::new(SPAN);
    for cluster in 0..40 {
        image = image.data(cluster * CLUSTER, 7);
    }
    place.write("image.qcow", image.compressed(40 * CLUSTER, b"no stream").build());
    let output = place.tool(&["dump", "image.qcow", "-"]).assert().code(1);
    let output = output.get_output();
    assert_eq!(output.stdout, [7; 40 * CLUSTER as usize]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        error.starts_with("qcow1: image.qcow: at guest offset 0x28000: "),
        "{error}"
    );
    assert!(error.ends_with("; 163840 bytes were written before it\n"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_replaced_file_keeps_its_permissions_and_its_owner() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

    let place = Place::new();
    place.write("image.qcow", image().build());
    place.write("out.raw", "old");
    let out = place.path("out.raw");
    // Only the superuser can change a file's owner.
    let is_superuser = chown(&out, Some(12), Some(34)).is_ok();
    let before = fs::metadata(&out).unwrap();
    for mode in [0o600, 0o644, 0o666, 0o640] {
        fs::set_permissions(&out, fs::Permissions::from_mode(mode)).unwrap();
        place.output(&["dump", "image.qcow", "out.raw"]);
        let after = fs::metadata(&out).unwrap();
        assert_eq!(after.mode() & 0o7777, mode);
        assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
    }
    assert_eq!(before.uid() == 12, is_superuser);
    // The set-user-ID bit is dropped, because the guest controls the contents.
    fs::set_permissions(&out, fs::Permissions::from_mode(0o4755)).unwrap();
    place.output(&["dump", "image.qcow", "out.raw"]);
    assert_eq!(fs::metadata(&out).unwrap().mode() & 0o7777, 0o755);
    // A new file has the permissions that the umask gives to any new file.
    place.write("another", "");
    place.output(&["dump", "image.qcow", "new.raw"]);
    let mode = |name: &str| fs::metadata(place.path(name)).unwrap().mode();
    assert_eq!(mode("new.raw"), mode("another"));
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_stays_and_its_file_is_replaced() {
    use std::os::unix::fs::symlink;

    let place = Place::new();
    place.write("image.qcow", image().build());
    fs::create_dir(place.path("sub")).unwrap();
    place.write("sub/real", "old");
    symlink("sub/real", place.path("link")).unwrap();
    place.output(&["dump", "image.qcow", "link"]);
    assert!(place.read("sub/real") == disk());
    assert!(place.path("link").is_symlink());
    symlink("gone", place.path("dangling")).unwrap();
    let error = place.error(&["dump", "image.qcow", "dangling"]);
    assert!(
        error.starts_with("dangling: is a symbolic link to a file that does not exist"),
        "{error}"
    );
    assert!(!place.path("gone").exists());
}

#[test]
fn other_hard_links_keep_the_old_contents() {
    let place = Place::new();
    place.write("image.qcow", image().build());
    place.write("out.raw", "old");
    fs::hard_link(place.path("out.raw"), place.path("other")).unwrap();
    place.output(&["dump", "image.qcow", "out.raw"]);
    assert!(place.read("out.raw") == disk());
    assert_eq!(place.read("other"), b"old");
}

#[test]
fn out_must_be_the_name_of_a_file() {
    let place = Place::new();
    place.write("image.qcow", image().build());
    for (out, says) in [
        (".", "is a directory"),
        ("new/", "is not the name of a file"),
        (
            "gone/new",
            "no new file can be made in the folder 'gone': No such file or directory (os error 2)",
        ),
        ("image.qcow/new", "cannot be written: "),
    ] {
        let error = place.error(&["dump", "image.qcow", out]);
        assert!(
            error.starts_with(&format!("{out}: ")) && error.contains(says),
            "{error}"
        );
        // The error does not show the name of the temporary file, which means nothing to the user.
        assert!(!error.contains(".qcow1-dump-"), "{error}");
    }
    // The maximum length of a file name.
    let name = "n".repeat(255);
    place.output(&["dump", "image.qcow", &name]);
    assert!(place.read(&name) == disk());
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_written_is_not_replaced() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    let place = Place::new();
    place.write("image.qcow", image().build());
    fs::create_dir(place.path("folder")).unwrap();
    place.write("folder/read-only", "old");
    place.write("folder/writable", "old");
    // Permissions do not restrict the superuser, so another user runs a copy of the tool in a
    // folder that it can reach.
    let tool = place.path("qcow1");
    fs::copy(tool_path(), &tool).unwrap();
    let permit = |name: &str, mode| fs::set_permissions(place.path(name), fs::Permissions::from_mode(mode)).unwrap();
    permit("", 0o755);
    permit("folder/read-only", 0o444);
    permit("folder/writable", 0o666);
    let is_superuser = std::os::unix::fs::chown(place.path("folder"), Some(65534), None).is_ok();
    let dump = |out: &str| {
        let mut command = Command::new(&tool);
        command.args(["dump", "image.qcow", out]).current_dir(place.path(""));
        if is_superuser {
            command.uid(65534).gid(65534);
        }
        let output = crate::place::output_of(&mut command);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    if is_superuser {
        std::os::unix::fs::chown(place.path("folder/read-only"), Some(65534), None).unwrap();
    }
    let error = dump("folder/read-only");
    assert!(
        error.starts_with("qcow1: folder/read-only: cannot be written: "),
        "{error}"
    );
    permit("folder", 0o555);
    let error = dump("folder/writable");
    assert!(error.contains("no new file can be made in the folder"), "{error}");
    permit("folder", 0o755);
    assert_eq!(place.read("folder/read-only"), b"old");
    assert_eq!(place.read("folder/writable"), b"old");
}

/// A running dump of a disk that is so large that the dump does not end before a signal arrives.
#[cfg(target_os = "linux")]
struct LongDump {
    tool: std::process::Child,
    /// The names of the files before the dump.
    before: Vec<String>,
}

#[cfg(target_os = "linux")]
impl LongDump {
    /// Starts a dump through `env` with the options `signals`, and waits until its temporary file
    /// exists.
    fn start(place: &Place, signals: &[&str]) -> Self {
        // 1 TiB of stored zeros in a small file: all entries have one table, and all its words have
        // one cluster.
        let mut image = Qcow::new(1 << 40).data(0, 0).build();
        let word = |at: usize| <[u8; 8]>::try_from(&image[at..][..8]).unwrap();
        let table = word(48);
        let table_at = u64::from_be_bytes(table) as usize;
        let cluster = word(table_at);
        image[48..][..8 << 19].as_chunks_mut().0.fill(table);
        image[table_at..][..4096].as_chunks_mut().0.fill(cluster);
        place.write("image.qcow", image);
        let before = place.names();
        let mut tool = Command::new("env")
            .args(signals)
            .arg(tool_path())
            .args(["dump", "image.qcow", "out.raw"])
            .current_dir(place.path(""))
            .spawn()
            .unwrap();
        while place.names().len() == before.len() {
            assert!(tool.try_wait().unwrap().is_none());
            std::thread::yield_now();
        }
        Self { tool, before }
    }

    fn send(&self, signal: &str) {
        let mut kill = Command::new("kill");
        kill.args([format!("-{signal}"), self.tool.id().to_string()]);
        assert!(kill.status().unwrap().success());
    }

    /// Asserts that the dump ends with the exit status of an interrupt, and leaves no file.
    fn assert_interrupted(mut self, place: &Place) {
        assert_eq!(self.tool.wait().unwrap().code(), Some(130));
        assert_eq!(place.names(), self.before);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupted_dump_leaves_out_as_it_was() {
    let place = Place::new();
    place.write("out.raw", "what was there");
    for signal in ["INT", "TERM", "HUP"] {
        // A shell starts background jobs, and so perhaps these tests, with SIGINT ignored.
        let dump = LongDump::start(&place, &["--default-signal=HUP,INT,TERM"]);
        dump.send(signal);
        dump.assert_interrupted(&place);
        assert_eq!(place.read("out.raw"), b"what was there");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_signal_that_is_ignored_does_not_end_a_dump() {
    let place = Place::new();
    // `nohup` starts a program so.
    let dump = LongDump::start(&place, &["--ignore-signal=HUP", "--default-signal=TERM"]);
    dump.send("HUP");
    // The dump still ignores SIGHUP, and the next signal ends it.
    let status = fs::read_to_string(format!("/proc/{}/status", dump.tool.id())).unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    assert_eq!(u64::from_str_radix(ignored.trim(), 16).unwrap() & 1, 1, "{status}");
    dump.send("TERM");
    dump.assert_interrupted(&place);
}

#[test]
fn read_gives_the_bytes_asked_for() {
    let place = Place::new();
    place.write("image.qcow", image().build());
    let read =
        |offset: &str, length: &str| place.output(&["read", "image.qcow", "--offset", offset, "--length", length]);
    assert_eq!(read("20479", "2"), [0, 0xab]);
    assert_eq!(read("0x4fff", "0x2"), [0, 0xab]);
    assert_eq!(read("20k", "4k"), [0xab; 4096]);
    assert_eq!(read("2M", "100"), [0xcd; 100]);
    assert!(read("0", "2097252") == disk());
    assert_eq!(read("2097252", "0"), b"");
}

#[test]
fn read_past_the_end_writes_nothing() {
    let place = Place::new();
    place.write("image.qcow", image().build());
    for (offset, length) in [
        ("2M", "101"),
        ("2097252", "1"),
        ("0", "3M"),
        ("0xffffffffffffffff", "2"),
        ("1G", "0"),
    ] {
        // `error` asserts that standard output is empty.
        let error = place.error(&["read", "image.qcow", "--offset", offset, "--length", length]);
        assert!(error.starts_with("image.qcow: has 2097252 bytes, and "), "{error}");
    }
}

#[test]
fn salvage_reads_zeros_past_the_end_of_the_file() {
    let place = Place::new();
    let mut file = image().build();
    // This removes the last cluster and the second table.
    file.truncate(3 * 4096 + 10);
    place.write("cut.qcow", &file);
    let error = place.error(&["dump", "cut.qcow", "out.raw"]);
    assert!(
        error.starts_with("cut.qcow: at guest offset 0x200000: corrupt image: "),
        "{error}"
    );
    let dump = ["dump", "cut.qcow", "out.raw", "--salvage"];
    // It says how much it filled.
    let note = "qcow1: out.raw: 100 bytes in 1 range are past the end of a truncated image file\n";
    place.tool(&dump).assert().success().stdout("").stderr(note);
    place.output(&[&dump[..], &["--quiet"]].concat());
    let mut left = disk();
    left[SPAN as usize..].fill(0);
    assert!(place.read("out.raw") == left);
    // This truncates the L1 table too.
    file.truncate(50);
    place.write("cut.qcow", &file);
    let error = place.error(&["read", "cut.qcow", "--offset", "0", "--length", "1"]);
    assert!(error.starts_with("cut.qcow: corrupt image: the L1 table"), "{error}");
    assert_eq!(
        place.output(&["read", "cut.qcow", "--offset", "0x5000", "--length", "1", "--salvage"]),
        [0]
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_direct_dump_is_the_same_whatever_the_length_of_the_files() {
    let place = Place::new();
    for (cut, base_len) in [(0, 4096), (1, 5000), (600, 511), (4000, 1)] {
        let mut top = Qcow::new(SPAN).backing("base.raw").data(0x5000, 0xab).build();
        top.truncate(top.len() - cut);
        place.write("top.qcow", top);
        place.write("base.raw", vec![7; base_len]);
        let dump = ["dump", "top.qcow", "-", "--follow", "--salvage", "--quiet"];
        let direct = place.tool(&[&dump[..], &["--direct"]].concat()).output().unwrap();
        if String::from_utf8_lossy(&direct.stderr).contains("cannot be opened with --direct") {
            // A file system in memory may have no direct reads.
            return;
        }
        assert!(direct.status.success(), "{}", crate::place::stderr(&direct));
        assert!(direct.stdout == place.output(&dump), "{cut} {base_len}");
    }
}

#[test]
fn encrypted_clusters_are_refused_without_a_password() {
    let place = Place::new();
    place.write("secret.qcow", image().field(36, &1_u32.to_be_bytes()).build());
    let error = place.error(&["dump", "secret.qcow", "out"]);
    assert!(
        error.starts_with("secret.qcow: at guest offset 0x5000: the cluster is encrypted"),
        "{error}"
    );
}

/// Returns the path of a file in the repository's `tests/data`.
fn committed(name: &str) -> String {
    format!("{}/../tests/data/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Returns the digest of an image's disk from the repository's `SHA256`.
fn digest(name: &str) -> String {
    let digests = std::fs::read_to_string(committed("SHA256")).unwrap();
    let line = digests.lines().find(|line| line.ends_with(name)).unwrap();
    line.split_once(' ').unwrap().0.to_owned()
}

#[test]
fn encrypted_clusters_are_decrypted_with_the_first_line_of_the_password_file() {
    let place = Place::new();
    let image = committed("encrypted.qcow");
    for password in ["passphrase", "passphrase\n", "passphrase\r\nanother line\n"] {
        place.write("password", password);
        let bytes = place.output(&["dump", &image, "-", "--password-file", "password"]);
        assert_eq!(sha256(&bytes), digest("encrypted.qcow"));
    }
    // Of an endless file, only the first bytes are read.
    if cfg!(target_os = "linux") {
        place.output(&["dump", &image, "-", "--password-file", "/dev/zero"]);
    }
}

#[test]
fn a_key_file_is_the_key_with_its_line_end_as_qemu_takes_it() {
    let place = Place::new();
    let image = committed("encrypted.qcow");
    let dump = |password: &[u8], option: &str| {
        place.write("key", password);
        sha256(&place.output(&["dump", &image, "-", option, "key"]))
    };
    let right = digest("encrypted.qcow");
    assert_eq!(dump(b"passphrase", "--key-file"), right);
    // QEMU's string ends at a NUL.
    assert_eq!(dump(b"passphrase\0more", "--key-file"), right);
    assert_ne!(dump(b"passphrase\n", "--key-file"), right);
    assert_eq!(dump(b"passphrase\n", "--password-file"), right);
    let help = place.output(&["dump", "--help"]);
    let help = String::from_utf8(help).unwrap();
    assert!(
        help.contains("A file whose bytes, including a line end, are the password"),
        "{help}"
    );
}

#[test]
#[ignore = "needs qemu-img"]
fn a_key_file_of_qemu_opens_the_image_that_qemu_made_with_it() {
    let place = Place::new();
    let disk: Vec<_> = (0..200_000_u32).flat_map(|number| number.to_le_bytes()).collect();
    place.write("disk.raw", &disk[..SPAN as usize / 4]);
    for password in [
        &b"secret\n"[..],
        b"secret\r\n",
        b"two\nlines",
        b"sixteen bytes!!!",
        b"more than sixteen",
    ] {
        place.write("key", password);
        let mut qemu = Command::new("qemu-img");
        qemu.args(["convert", "-O", "qcow", "--object", "secret,id=s,file=key"])
            .args([
                "-o",
                "encrypt.format=aes,encrypt.key-secret=s",
                "disk.raw",
                "image.qcow",
            ])
            .current_dir(place.path(""));
        assert!(qemu.status().expect("qemu-img can't be run").success());
        let bytes = place.output(&["dump", "image.qcow", "-", "--key-file", "key"]);
        assert!(bytes == disk[..SPAN as usize / 4], "{password:?}");
    }
}

#[test]
#[ignore = "needs script"]
fn a_terminal_asks_for_a_password_that_no_file_gives() {
    use std::io::Write;

    let place = Place::new();
    fs::copy(committed("encrypted.qcow"), place.path("image.qcow")).unwrap();
    let command = format!("'{}' dump image.qcow out.raw", tool_path().display());
    let mut script = Command::new("script");
    script.args(["-qec", &command, "/dev/null"]).current_dir(place.path(""));
    let mut script = script
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script can't be run");
    let mut stdin = script.stdin.take().unwrap();
    stdin.write_all(b"passphrase\n").unwrap();
    let output = script.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("Password of image.qcow: "), "{text}");
    assert_eq!(sha256(&place.read("out.raw")), digest("encrypted.qcow"));
}

#[test]
fn compressed_clusters_are_inflated() {
    let place = Place::new();
    let bytes = place.output(&["dump", &committed("compressed.qcow"), "-"]);
    assert_eq!(sha256(&bytes), digest("compressed.qcow"));
}

/// Runs the tool with its standard output closed by the reader. Returns the exit status and
/// standard error.
fn unread(place: &Place, args: &[&str]) -> (Option<i32>, String) {
    let mut tool = Command::new(tool_path())
        .args(args)
        .current_dir(place.path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(tool.stdout.take());
    let output = tool.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_closed_pipe_is_no_error() {
    let place = Place::new();
    let mut image = Qcow::new(SPAN);
    for cluster in 0..200 {
        image = image.data(cluster * 2 * CLUSTER, 7);
    }
    place.write("image.qcow", image.build());
    for args in [
        &["dump", "image.qcow", "-"][..],
        &["read", "image.qcow", "--offset", "0", "--length", "2M"],
        &["map", "image.qcow", "--json"],
        &["info", "image.qcow"],
        &["check", "image.qcow"],
        &["man"],
        &["completions", "bash"],
        &["--help"],
    ] {
        assert_eq!(unread(&place, args), (Some(0), String::new()), "{args:?}");
    }
}

#[test]
fn check_reports_corruption_by_its_exit_status_even_if_its_output_is_not_read() {
    let place = Place::new();
    place.write("image.qcow", Qcow::new(SPAN).word(0, 7).build());
    assert_eq!(unread(&place, &["check", "image.qcow"]), (Some(2), String::new()));
}
