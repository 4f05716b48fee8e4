//! Standard output.

use std::fmt;
use std::io::{self, BufWriter, StdoutLock, Write};

use crate::Failure;

/// The maximum number of listed entries. In a damaged volume a directory may contain itself, so a listing needs a
/// limit.
const MOST: u32 = 1_000_000;

/// Standard output, and the number of entries that may still be listed.
pub struct Output {
    stdout: BufWriter<StdoutLock<'static>>,
    left: u32,
}

/// An error of standard output, as opposed to one of a volume.
#[derive(Debug)]
pub struct OutputError(pub io::Error);

impl fmt::Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "standard output cannot be written: {}", self.0)
    }
}

impl std::error::Error for OutputError {}

impl Output {
    pub fn new() -> Self {
        Self {
            stdout: BufWriter::new(io::stdout().lock()),
            left: MOST,
        }
    }

    /// Returns the number of entries that can still be listed.
    pub fn left(&self) -> usize {
        self.left as usize
    }

    /// Writes the line of an entry. `more` follows its name.
    pub fn entry(&mut self, size: u64, name: &str, more: &str) -> Result<(), Failure> {
        self.left = self.left.checked_sub(1).ok_or("there are too many files to list")?;
        let line = format!("{size:>10}  {}\n", printable(&format!("{name}{more}")));
        self.bytes(line.as_bytes())
    }

    /// Writes bytes of a file, as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.stdout.write_all(bytes).map_err(OutputError)?)
    }

    /// Writes the buffered bytes. Must be called at the end.
    pub fn finish(mut self) -> Result<(), Failure> {
        Ok(self.stdout.flush().map_err(OutputError)?)
    }
}

/// Escapes characters that a terminal would act on: commands, and marks that reverse the direction of text.
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for char in text.chars() {
        let is_mark =
            matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if char.is_control() || is_mark {
            printable.extend(char.escape_default());
        } else {
            printable.push(char);
        }
    }
    printable
}
