//! A new file that replaces OUT when it is complete.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::failure::Failure;
use crate::holes;
use crate::interrupt::{Ending, Interrupt};

/// A new file beside the file that it will replace. Dropping it before that removes it.
pub(crate) struct Replacement {
    file: NamedTempFile,
    /// The name of the file in errors.
    out: PathBuf,
    target: PathBuf,
    /// The metadata of `target`, if it exists.
    old: Option<Metadata>,
    interrupt: Interrupt,
}

impl Replacement {
    /// Creates a file of `len` zeros in the folder of `target`. `out` is the name in errors.
    pub(crate) fn begin(out: &Path, target: PathBuf, old: Option<(File, Metadata)>, len: u64) -> Result<Self, Failure> {
        let is_folder = target.to_string_lossy().ends_with(std::path::is_separator);
        let folder = match target.parent() {
            Some(folder) if target.file_name().is_some() && !is_folder => folder,
            _ => return Err(Failure::of(out, "is not the name of a file")),
        };
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".qcow1-dump-");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        {
            // A new file has the permissions that the user's mask leaves. One that replaces another is private until it
            // has the other's owner.
            let mode = if old.is_none() { 0o666 } else { 0o600 };
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        }
        let interrupt = Interrupt::default();
        // Opened here, because the library's own errors name the new file, which the user does not know.
        let file = {
            // Locked until the path is set, so that no signal leaves the file behind.
            let mut ending = interrupt.lock();
            let made = builder.make_in(folder, |path| options.open(path));
            made.inspect(|file| *ending = Ending::Remove(file.path().to_owned()))
        };
        let file = file.map_err(|error| {
            let folder = folder.display();
            let message = format_args!("cannot be written: no new file can be made in the folder '{folder}': {error}");
            Failure::of(out, message)
        })?;
        file.as_file()
            .set_len(len)
            .map_err(|error| Failure::of(out, format_args!("cannot hold {len} bytes: {error}")))?;
        Ok(Self {
            file,
            out: out.to_owned(),
            target,
            old: old.map(|(_, metadata)| metadata),
            interrupt,
        })
    }

    /// Writes bytes at an offset where no byte has been written. Blocks of zeros become holes.
    pub(crate) fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        write_at(self.file.as_file_mut(), at, bytes)
    }

    /// Waits until all bytes are stored, and moves the file to its place.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        let stored = match &self.old {
            Some(old) => resemble(self.file.as_file(), old),
            None => Ok(()),
        };
        // A system may report a failed write only now.
        if let Err(error) = stored.and_then(|()| self.file.as_file().sync_all()) {
            return Err(Failure::write(&self.out, &error).and(format_args!("; {}", self.abandon())));
        }
        let Self {
            file,
            out,
            target,
            old,
            interrupt,
        } = self;
        match file.persist(target) {
            Ok(_) => {
                interrupt.set(Ending::Nothing);
                Ok(())
            }
            Err(refused) => {
                Err(Failure::write(&out, &refused.error).and(format_args!("; {}", state(&out, old.is_some()))))
            }
        }
    }

    /// Removes the file. Returns the state of OUT.
    pub(crate) fn abandon(self) -> String {
        // Closed before it is removed: some file systems keep a file with a hidden name until then.
        drop(self.file.into_temp_path());
        state(&self.out, self.old.is_some())
    }
}

fn state(out: &Path, is_old: bool) -> String {
    match is_old {
        true => format!("'{}' was left as it was", out.display()),
        false => format!("'{}' was not created", out.display()),
    }
}

/// Writes to a file that reads as zeros there, and skips blocks of zeros.
fn write_at(file: &mut File, at: u64, bytes: &[u8]) -> io::Result<()> {
    let mut at = at;
    holes::split(bytes, |run, is_zero| {
        if !is_zero {
            file.seek(SeekFrom::Start(at))?;
            file.write_all(run)?;
        }
        at += run.len() as u64;
        Ok(())
    })
}

/// Copies the permissions of an old file to a new one, and its owner and group as far as the system allows it.
fn resemble(file: &File, old: &Metadata) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::fs::Permissions;
        use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};

        let (user, group) = (Some(old.uid()), Some(old.gid()));
        if fchown(file, user, group).is_err() {
            // Only the superuser can change the owner. The group can be any that the user is in.
            let _ = fchown(file, None, group);
        }
        // Without the set-user-ID and set-group-ID bits, which were for the old contents.
        file.set_permissions(Permissions::from_mode(old.mode() & 0o777))
    }
    #[cfg(not(unix))]
    file.set_permissions(old.permissions())
}
