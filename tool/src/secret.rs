//! The keys of encrypted images.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use qcow1::Key;

use crate::args::Keys;
use crate::failure::Failure;
use crate::identity::Identity;

/// The maximum number of bytes that are read from a file. The key is the first 16.
const MOST: u64 = 4096;

/// Files with keys.
pub(crate) struct Secrets<'a> {
    files: &'a [PathBuf],
}

/// The key of one image, and the file that it is from.
pub(crate) type Secret = (Key, Option<(PathBuf, Identity)>);

impl<'a> Secrets<'a> {
    pub(crate) fn new(keys: &'a Keys) -> Self {
        Self {
            files: &keys.password_file,
        }
    }

    pub(crate) const NONE: Self = Self { files: &[] };

    /// Returns the key of an encrypted image, before which `before` images of its chain have one.
    pub(crate) fn of(&self, before: usize) -> Result<Option<Secret>, Failure> {
        match self.files.get(before) {
            Some(path) => self.read(path).map(Some),
            None => Ok(None),
        }
    }

    /// Returns a file beyond the first `used`, which would have no effect.
    pub(crate) fn unused(&self, used: usize) -> Option<&Path> {
        self.files.get(used).map(PathBuf::as_path)
    }

    fn read(&self, path: &Path) -> Result<Secret, Failure> {
        let failed = |error| Failure::of(path, format_args!("cannot be read: {error}"));
        let mut text = Vec::new();
        let file = File::open(path).map_err(failed)?;
        file.take(MOST).read_to_end(&mut text).map_err(failed)?;
        let identity = fs::metadata(path).and_then(|metadata| Identity::of(&metadata, path));
        let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let password = line.strip_suffix(b"\r").unwrap_or(line);
        let identity = identity.map_err(failed)?;
        Ok((Key::from_passphrase(password), Some((path.to_owned(), identity))))
    }
}
