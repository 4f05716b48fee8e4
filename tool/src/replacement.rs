//! A new file that replaces OUT when it is complete.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::failure::Failure;
use crate::holes;
use crate::identity::Identity;
use crate::interrupt::{Ending, Interrupt};

/// The length of one copied chunk in bytes.
const CHUNK: u64 = 1 << 20;

/// A new file beside the file that it will replace. Dropping it before that removes it.
pub(crate) struct Replacement {
    file: NamedTempFile,
    /// The name of the file in errors.
    out: PathBuf,
    target: PathBuf,
    /// `target`, opened to be written, if it exists.
    old: Option<File>,
    /// Whether the system is known to refuse the new file the place or the permissions of the old
    /// one.
    in_place: bool,
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
            // A new file has the permissions that the user's mask leaves. One that replaces another
            // is private until it has the other's owner.
            let mode = if old.is_none() { 0o666 } else { 0o600 };
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        }
        let interrupt = Interrupt::default();
        // Opened here, because the errors of `tempfile` name the new file, which the user does not
        // know.
        let file = {
            // Locked until the path is set, so that no signal leaves the file behind.
            let mut ending = interrupt.lock();
            let made = builder.make_in(folder, |path| options.open(path));
            made.inspect(|file| *ending = Ending::Remove(file.path().to_owned()))
        };
        let file = file.map_err(|error| {
            let folder = folder.display();
            let hint = match old {
                Some(_) => "; `qcow1 dump IMAGE - > OUT` writes to the file itself",
                None => "",
            };
            let message =
                format_args!("cannot be written: no new file can be made in the folder '{folder}': {error}{hint}");
            Failure::of(out, message)
        })?;
        file.as_file()
            .set_len(len)
            .map_err(|error| Failure::of(out, format_args!("cannot hold {len} bytes: {error}")))?;
        let in_place = match &old {
            Some((_, metadata)) => {
                !can_be_replaced(&target, folder, metadata) || !copy_permissions(file.as_file(), metadata)
            }
            None => false,
        };
        Ok(Self {
            file,
            out: out.to_owned(),
            target,
            old: old.map(|(file, _)| file),
            in_place,
            interrupt,
        })
    }

    /// Writes bytes at an offset where no byte has been written. Blocks of zeros become holes.
    pub(crate) fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        write_at(self.file.as_file_mut(), at, bytes)
    }

    /// Waits until all bytes are stored, and moves the file to its place. If the system refuses
    /// that, copies it there.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        // A system may report a failed write only now.
        if let Err(error) = self.file.as_file().sync_all() {
            return Err(Failure::write(&self.out, &error).and(format_args!("; {}", self.abandon())));
        }
        let Self {
            file,
            out,
            target,
            old,
            in_place,
            interrupt,
        } = self;
        let file = if in_place {
            file
        } else {
            match file.persist(&target) {
                Ok(_) => {
                    interrupt.set(Ending::Nothing);
                    return Ok(());
                }
                Err(refused) => refused.file,
            }
        };
        let complete = fs::canonicalize(file.path()).unwrap_or_else(|_| file.path().to_owned());
        let complete = format!("the complete disk is in '{}'", complete.display());
        interrupt.set(Ending::Say(format!(
            "{}: interrupted while it was written; {complete}",
            out.display()
        )));
        match copy(file.as_file(), &target, old) {
            Ok(()) => {
                // Closed before it is removed: some file systems keep a file with a hidden name
                // until then.
                drop(file.into_temp_path());
                Ok(())
            }
            Err(error) => {
                let failure = Failure::of(&out, format_args!("cannot be written: {error}; {complete}"));
                // Only dropping it would remove it.
                let kept = file.keep();
                drop(kept.map_err(|error| std::mem::forget(error.file)));
                Err(failure)
            }
        }
    }

    /// Removes the file. Returns the state of OUT.
    pub(crate) fn abandon(self) -> String {
        // Closed before it is removed, for the reason above.
        drop(self.file.into_temp_path());
        match self.old {
            Some(_) if self.in_place => format!(
                "'{}' was left as it was; `qcow1 dump IMAGE - > OUT` needs no new file beside it",
                self.out.display()
            ),
            Some(_) => format!("'{}' was left as it was", self.out.display()),
            None => format!("'{}' was not created", self.out.display()),
        }
    }
}

/// Copies a complete file over `target`: into `old`, or into a new file.
fn copy(from: &File, target: &Path, old: Option<File>) -> io::Result<()> {
    let is_new = old.is_none();
    let mut to = match old {
        Some(old) => {
            // If another program has replaced the file since it was opened, its name leads to the
            // new file.
            let named = fs::metadata(target).and_then(|metadata| Identity::of(&metadata, target))?;
            if named != Identity::of(&old.metadata()?, target)? {
                return Err(io::Error::other("another program has replaced it"));
            }
            old
        }
        None => OpenOptions::new().write(true).create_new(true).open(target)?,
    };
    let copied = copy_bytes(from, &mut to);
    if copied.is_err() && is_new {
        let _ = fs::remove_file(target);
    }
    copied
}

fn copy_bytes(from: &File, to: &mut File) -> io::Result<()> {
    let len = from.metadata()?.len();
    // Deletes the old contents, so that holes read as zeros.
    to.set_len(0)?;
    to.set_len(len)?;
    let mut buffer = vec![0; CHUNK as usize];
    let mut at = 0;
    while at < len {
        let (run, is_hole) = holes::at(from, at, len - at);
        if is_hole {
            at += run;
            continue;
        }
        let chunk = &mut buffer[..run.min(CHUNK) as usize];
        qcow1::BlockRead::read_blocks(&mut from.try_clone()?, at, chunk)?;
        write_at(to, at, chunk)?;
        at += chunk.len() as u64;
    }
    to.sync_all()
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

/// Returns `false` if the system will refuse to move a file to the place of `target`, as far as
/// that can be known.
fn can_be_replaced(target: &Path, folder: &Path, old: &Metadata) -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

        // A file on which another is mounted, as containers mount single files.
        let asked = statx(CWD, target, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty());
        if asked.is_ok_and(|is| is.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)) {
            return false;
        }
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;

        const STICKY: u32 = 0o1000;
        let user = rustix::process::geteuid().as_raw();
        // In a sticky folder, only the owners of the file and of the folder may replace it.
        if let Ok(folder) = fs::metadata(folder)
            && folder.mode() & STICKY != 0
            && user != 0
            && user != folder.uid()
            && user != old.uid()
        {
            return false;
        }
    }
    let _ = (target, folder, old);
    true
}

/// Copies the permissions of an old file to a new one, and its owner and group as far as the system
/// allows it. Returns `false` if the permissions could not be copied.
fn copy_permissions(file: &File, old: &Metadata) -> bool {
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
        let mode = old.mode() & 0o777;
        let has_it = || file.metadata().is_ok_and(|new| new.mode() & 0o7777 == mode);
        has_it() || file.set_permissions(Permissions::from_mode(mode)).is_ok()
    }
    #[cfg(not(unix))]
    file.set_permissions(old.permissions()).is_ok()
}
