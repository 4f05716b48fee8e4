//! Runs the host tool in a directory, and builds small images for it.

use std::fs;
use std::path::PathBuf;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

/// The cluster size of [`Qcow`]'s images.
pub const CLUSTER: u64 = 4096;

/// The number of guest bytes that one L1 entry of [`Qcow`]'s images covers.
pub const SPAN: u64 = CLUSTER * 512;

/// Returns a command that runs the tool that cargo built for this test run.
pub fn tool() -> Command {
    Command::new(tool_path())
}

/// Returns the path of the tool.
pub fn tool_path() -> PathBuf {
    env!("CARGO_BIN_EXE_qcow1").into()
}

/// A temporary directory in which the tool runs, so that its output has file names without a
/// directory.
pub struct Place(TempDir);

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Returns the names of all files, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Makes a named pipe, and returns its path.
    #[cfg(unix)]
    pub fn pipe(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        path
    }

    /// Returns a command that runs the tool with these arguments.
    pub fn tool(&self, args: &[&str]) -> Command {
        let mut tool = tool();
        tool.current_dir(self.0.path()).args(args);
        tool
    }

    /// Runs the tool and returns its standard output. Asserts that it succeeds and that standard
    /// error is empty.
    pub fn output(&self, args: &[&str]) -> Vec<u8> {
        let output = self.tool(args).assert().success().stderr("").get_output().clone();
        output.stdout
    }

    /// Runs the tool as [`Place::output`] does, and parses its output as JSON.
    pub fn json(&self, args: &[&str]) -> Value {
        serde_json::from_slice(&self.output(args)).unwrap()
    }

    /// Runs the tool and returns its error, without `qcow1: `. Asserts that it exits with 1, that
    /// standard output is empty, and that the error is one line without control characters.
    pub fn error(&self, args: &[&str]) -> String {
        self.error_with(1, args)
    }

    /// Runs the tool as [`Place::error`] does, with another exit status.
    pub fn error_with(&self, status: i32, args: &[&str]) -> String {
        let output = self.tool(args).assert().code(status).stdout("").get_output().clone();
        let error = String::from_utf8(output.stderr).unwrap();
        let line = error.strip_suffix('\n').unwrap();
        assert!(!line.contains(char::is_control), "not one plain line: {error:?}");
        line.strip_prefix("qcow1: ").unwrap().to_owned()
    }
}

/// Runs a program that this test has just written. A process that another test starts at that
/// moment may still have it open for writing.
#[cfg(unix)]
pub fn output_of(command: &mut std::process::Command) -> std::process::Output {
    loop {
        match command.output() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            output => return output.unwrap(),
        }
    }
}

/// Returns the SHA-256 digest of bytes in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Returns what a program printed on standard error.
pub fn stderr(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A builder of an image with clusters of 4 KiB, 512 L2 entries and its L1 at 48, as QEMU writes
/// it.
pub struct Qcow {
    file: Vec<u8>,
}

impl Qcow {
    /// Creates a disk of `size` bytes, all holes.
    pub fn new(size: u64) -> Self {
        let mut file = vec![0; 48];
        file[..8].copy_from_slice(b"QFI\xfb\0\0\0\x01");
        file[24..32].copy_from_slice(&size.to_be_bytes());
        file[32] = 12;
        file[33] = 9;
        file[40..48].copy_from_slice(&48_u64.to_be_bytes());
        file.resize(48 + 8 * usize::try_from(size.div_ceil(SPAN)).unwrap(), 0);
        Self { file }
    }

    /// Names a backing file.
    pub fn backing(mut self, name: impl AsRef<[u8]>) -> Self {
        let name = name.as_ref();
        let at = self.file.len() as u64;
        self.file.extend_from_slice(name);
        self.field(8, &at.to_be_bytes())
            .field(16, &u32::try_from(name.len()).unwrap().to_be_bytes())
    }

    /// Writes bytes at an offset inside the file.
    pub fn field(mut self, at: usize, bytes: &[u8]) -> Self {
        self.file[at..][..bytes.len()].copy_from_slice(bytes);
        self
    }

    /// Stores a cluster of the byte `fill` for a guest offset, at the next multiple of 4 KiB in the
    /// file.
    pub fn data(mut self, guest: u64, fill: u8) -> Self {
        let table = self.table(guest);
        self.align();
        self.set(table, guest, self.file.len() as u64);
        self.file.resize(self.file.len() + 4096, fill);
        self
    }

    /// Sets the L2 word of a guest offset.
    pub fn word(mut self, guest: u64, word: u64) -> Self {
        let table = self.table(guest);
        self.set(table, guest, word);
        self
    }

    /// Stores a compressed cluster for a guest offset. Its stream is appended to the file.
    pub fn compressed(mut self, guest: u64, stream: &[u8]) -> Self {
        let table = self.table(guest);
        let host = self.file.len() as u64;
        self.set(table, guest, 1 << 63 | (stream.len() as u64) << 51 | host);
        self.file.extend_from_slice(stream);
        self
    }

    /// Returns the file.
    pub fn build(self) -> Vec<u8> {
        self.file
    }

    fn align(&mut self) {
        self.file.resize(self.file.len().next_multiple_of(4096), 0);
    }

    fn l1_word(&self, guest: u64) -> u64 {
        let at = usize::try_from(48 + 8 * (guest / SPAN)).unwrap();
        u64::from_be_bytes(self.file[at..][..8].try_into().unwrap())
    }

    /// Returns the offset of the L2 table for a guest offset. Appends the table if there is none.
    fn table(&mut self, guest: u64) -> u64 {
        match self.l1_word(guest) {
            0 => {
                self.align();
                let table = self.file.len() as u64;
                self.file.resize(self.file.len() + 4096, 0);
                let at = usize::try_from(48 + 8 * (guest / SPAN)).unwrap();
                self.file[at..][..8].copy_from_slice(&table.to_be_bytes());
                table
            }
            table => table,
        }
    }

    fn set(&mut self, table: u64, guest: u64, word: u64) {
        let at = usize::try_from(table + 8 * (guest % SPAN / CLUSTER)).unwrap();
        self.file[at..][..8].copy_from_slice(&word.to_be_bytes());
    }
}
