//! The keys of encrypted images, which are read from files or typed.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use qcow1::Key;

use crate::args::Keys;
use crate::failure::Failure;
use crate::identity::Identity;

/// The maximum number of bytes that are read from a file. The key is the first 16.
const MOST: u64 = 4096;

/// The files with the keys of a chain's encrypted images, top first.
pub(crate) struct Secrets<'a> {
    files: &'a [PathBuf],
    /// Whether the key is only the first line of a file.
    first_line: bool,
}

/// The key of one image, and the file that it is from.
pub(crate) type Secret = (Key, Option<(PathBuf, Identity)>);

impl<'a> Secrets<'a> {
    pub(crate) fn new(keys: &'a Keys) -> Self {
        let first_line = keys.key_file.is_empty();
        let files = if first_line {
            &keys.password_file
        } else {
            &keys.key_file
        };
        Self { files, first_line }
    }

    pub(crate) const NONE: Self = Self {
        files: &[],
        first_line: true,
    };

    /// Returns the key of the encrypted image `image`, before which `before` images of its chain
    /// have one. Without a file, it asks for the password on a terminal.
    pub(crate) fn of(&self, image: &Path, before: usize) -> Result<Option<Secret>, Failure> {
        match self.files.get(before) {
            Some(path) => self.read(path).map(Some),
            None if self.files.is_empty() && io::stdin().is_terminal() && io::stderr().is_terminal() => {
                let prompt = format!("Password of {}: ", crate::text::printable(&image.display().to_string()));
                let typed = rpassword::prompt_password(prompt);
                let typed =
                    typed.map_err(|error| Failure::of(image, format_args!("no password was typed: {error}")))?;
                Ok(Some((Key::from_passphrase(typed.as_bytes()), None)))
            }
            None => Ok(None),
        }
    }

    /// Returns the first file after the first `used`, which would have no effect.
    pub(crate) fn find_unused(&self, used: usize) -> Option<&Path> {
        self.files.get(used).map(PathBuf::as_path)
    }

    fn read(&self, path: &Path) -> Result<Secret, Failure> {
        let failed = |error| Failure::of(path, format_args!("cannot be read: {error}"));
        let mut text = Vec::new();
        let file = File::open(path).map_err(failed)?;
        file.take(MOST).read_to_end(&mut text).map_err(failed)?;
        let identity = fs::metadata(path).and_then(|metadata| Identity::of(&metadata, path));
        let password = if self.first_line {
            let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
            line.strip_suffix(b"\r").unwrap_or(line)
        } else {
            // QEMU's password is a C string, so a NUL ends it.
            text.split(|byte| *byte == 0).next().unwrap_or_default()
        };
        let identity = identity.map_err(failed)?;
        Ok((Key::from_passphrase(password), Some((path.to_owned(), identity))))
    }
}
