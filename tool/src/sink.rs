//! The output of a dump: writes the guest's bytes in sequence.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::NamedTempFile;

use crate::disk::Disk;
use crate::failure::Failure;
use crate::output::{STDOUT, stdout};

/// The shortest run of zeros that becomes a hole: the block of most file systems, in bytes.
const HOLE: usize = 4096;

/// The length of one write of zeros in bytes.
const ZEROS: usize = 1 << 20;

/// The exit status of a dump that a signal ended.
const INTERRUPTED: i32 = 130;

/// The output of a dump, to which guest bytes are written in sequence.
pub(crate) struct Sink {
    to: To,
    name: PathBuf,
    at: u64,
    zeros: Vec<u8>,
}

enum To {
    /// A device or a pipe, written in place.
    Stream(File),
    /// A new file, which reads as zeros until it is written.
    Replacement(Box<Replacement>),
}

impl Sink {
    /// Opens standard output.
    pub(crate) fn stdout(disk: &mut Disk) -> Result<Self, Failure> {
        let name = Path::new(STDOUT);
        let file = stdout()?;
        let metadata = file.metadata().map_err(|error| Failure::write(name, &error))?;
        disk.refuse_to_overwrite(&metadata, name)?;
        Ok(Self::new(To::Stream(file), name))
    }

    /// Opens a device or a pipe to write it in place, or creates a new file that will replace `out`.
    pub(crate) fn create(out: &Path, disk: &mut Disk) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::write(out, &error);
        let metadata = match fs::metadata(out) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        let Some(metadata) = metadata else {
            if fs::symlink_metadata(out).is_ok() {
                let message = "is a symbolic link to a file that does not exist; it was left as it is";
                return Err(Failure::of(out, message));
            }
            let replacement = Replacement::begin(out, out.to_owned(), None, disk.size())?;
            return Ok(Self::new(To::Replacement(Box::new(replacement)), out));
        };
        if metadata.is_dir() {
            return Err(Failure::of(out, "is a directory"));
        }
        disk.refuse_to_overwrite(&metadata, out)?;
        // Fails as a write would, if the file is read-only or a program that runs.
        let mut file = writable(&metadata).open(out).map_err(failed)?;
        if metadata.is_file() {
            // Replaces the file and not a symbolic link to it.
            let target = fs::canonicalize(out).map_err(failed)?;
            let replacement = Replacement::begin(out, target, Some(metadata), disk.size())?;
            return Ok(Self::new(To::Replacement(Box::new(replacement)), out));
        }
        if is_block_device(&metadata) {
            let room = file.seek(SeekFrom::End(0)).map_err(failed)?;
            file.rewind().map_err(failed)?;
            if room < disk.size() {
                let message = format_args!("has room for {room} bytes, and the disk has {}", disk.size());
                return Err(Failure::of(out, message));
            }
        }
        Ok(Self::new(To::Stream(file), out))
    }

    fn new(to: To, name: &Path) -> Self {
        Self {
            to,
            name: name.to_owned(),
            at: 0,
            zeros: vec![0; ZEROS],
        }
    }

    /// Returns `true` if bytes that were written stay there when the dump fails.
    pub(crate) fn keeps_what_it_got(&self) -> bool {
        matches!(self.to, To::Stream(_))
    }

    /// Writes the next bytes.
    pub(crate) fn data(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match &mut self.to {
            To::Stream(file) => file.write_all(bytes),
            To::Replacement(new) => write_blocks(new.file.as_file_mut(), self.at, bytes, &self.zeros[..HOLE]),
        }
        .map_err(|error| self.failed(&error))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Writes `len` zeros.
    pub(crate) fn zeros(&mut self, len: u64) -> Result<(), Failure> {
        let end = self.at + len;
        let To::Stream(file) = &mut self.to else {
            self.at = end;
            return Ok(());
        };
        while self.at < end {
            let len = usize::try_from(end - self.at).unwrap_or(usize::MAX).min(ZEROS);
            if let Err(error) = file.write_all(&self.zeros[..len]) {
                return Err(self.failed(&error));
            }
            self.at += len as u64;
        }
        Ok(())
    }

    /// Waits until all bytes are stored, and moves a new file to its place. Must be called at the end.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::write(&self.name, &error);
        match self.to {
            To::Stream(file) => {
                // On other systems a write is complete, or has failed, when it returns.
                if file.metadata().is_ok_and(|metadata| is_block_device(&metadata)) {
                    file.sync_all().map_err(failed)?;
                }
                Ok(())
            }
            To::Replacement(new) => new
                .finish()
                .map_err(|error| failed(error).and(format_args!("; '{}' was left as it was", self.name.display()))),
        }
    }

    /// Removes a new file. Returns the state of OUT as the end of an error message.
    pub(crate) fn abandon(self) -> String {
        match self.to {
            To::Stream(_) => format!("; {} bytes were written before it", self.at),
            To::Replacement(new) if new.old.is_some() => format!("; '{}' was left as it was", self.name.display()),
            To::Replacement(_) => format!("; '{}' was not created", self.name.display()),
        }
    }

    fn failed(&self, error: &io::Error) -> Failure {
        Failure::write(&self.name, error).and(format_args!(" (at guest offset {:#x})", self.at))
    }
}

/// Writes to a file that reads as zeros, and skips blocks of zeros.
fn write_blocks(file: &mut File, mut at: u64, mut rest: &[u8], zeros: &[u8]) -> io::Result<()> {
    let is_zero = |bytes: &[u8]| {
        let block = &bytes[..HOLE.min(bytes.len())];
        *block == zeros[..block.len()]
    };
    while !rest.is_empty() {
        let (mut len, zero) = (0, is_zero(rest));
        while len < rest.len() && is_zero(&rest[len..]) == zero {
            len += HOLE.min(rest.len() - len);
        }
        let (run, behind) = rest.split_at(len);
        if !zero {
            file.seek(SeekFrom::Start(at))?;
            file.write_all(run)?;
        }
        at += len as u64;
        rest = behind;
    }
    Ok(())
}

/// A new file beside the file that it will replace. Dropping it before that removes it.
struct Replacement {
    file: NamedTempFile,
    target: PathBuf,
    /// The metadata of `target`, if it exists.
    old: Option<Metadata>,
}

impl Replacement {
    /// Creates a file of `len` zeros in the folder of `target`. `out` is the name in errors.
    fn begin(out: &Path, target: PathBuf, old: Option<Metadata>, len: u64) -> Result<Self, Failure> {
        let is_folder = target.to_string_lossy().ends_with(std::path::is_separator);
        let folder = match target.parent() {
            Some(folder) if target.file_name().is_some() && !is_folder => folder,
            _ => return Err(Failure::of(out, "is not the name of a file")),
        };
        let folder = if folder == "" { Path::new(".") } else { folder };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".qcow1-dump-");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        {
            // A new file has the permissions that the user's mask leaves. One that replaces another is private until it
            // is complete.
            let mode = if old.is_none() { 0o666 } else { 0o600 };
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        }
        // Opened here, because the library's own errors name the new file, which the user does not know.
        let file = removed_if_interrupted(|| builder.make_in(folder, |path| options.open(path))).map_err(|error| {
            let folder = folder.display();
            let message = format_args!("cannot be written: no new file can be made in the folder '{folder}': {error}");
            Failure::of(out, message)
        })?;
        file.as_file()
            .set_len(len)
            .map_err(|error| Failure::of(out, format_args!("cannot hold {len} bytes: {error}")))?;
        Ok(Self { file, target, old })
    }

    fn finish(self) -> io::Result<()> {
        if let Some(old) = &self.old {
            resemble(self.file.as_file(), old)?;
        }
        // A system may report a failed write only now.
        self.file.as_file().sync_all()?;
        self.file.persist(self.target)?;
        Ok(())
    }
}

/// Copies the permissions of an old file to a new one, and its owner and group as far as the system allows it.
fn resemble(file: &File, old: &Metadata) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};

        let (user, group) = (Some(old.uid()), Some(old.gid()));
        if fchown(file, user, group).is_err() {
            // Only the superuser can change the owner. The group can be any that the user is in.
            let _ = fchown(file, None, group);
        }
        // Without the set-user-ID and set-group-ID bits, which were for the old contents.
        file.set_permissions(Permissions::from_mode(old.permissions().mode() & 0o777))
    }
    #[cfg(not(unix))]
    file.set_permissions(old.permissions())
}

/// Creates a file that is removed if a signal ends the process.
fn removed_if_interrupted(make: impl FnOnce() -> io::Result<NamedTempFile>) -> io::Result<NamedTempFile> {
    let path = Arc::new(Mutex::new(None::<PathBuf>));
    let removed = Arc::clone(&path);
    // Locked until the path is set, so that no signal leaves the file behind.
    let mut made = path.lock().unwrap_or_else(PoisonError::into_inner);
    // Without a handler, a signal leaves the file behind, which is harmless.
    when_interrupted(move || {
        if let Some(path) = &*removed.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = fs::remove_file(path);
        }
        process::exit(INTERRUPTED);
    });
    let file = make()?;
    *made = Some(file.path().to_owned());
    Ok(file)
}

/// Calls `end` once a signal asks the process to end.
#[cfg(unix)]
fn when_interrupted(end: impl FnOnce() + Send + 'static) {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    // A handler would undo what `nohup` and a shell's `&` do: they start a process with signals ignored.
    let ignored = ignored_signals().unwrap_or(0);
    let heeded = [SIGHUP, SIGINT, SIGTERM]
        .into_iter()
        .filter(|signal| ignored >> (signal - 1) & 1 == 0);
    if let Ok(mut signals) = signal_hook::iterator::Signals::new(heeded) {
        std::thread::spawn(move || signals.forever().next().map(|_| end()));
    }
}

/// Returns the signals that are ignored, with a bit for each from 1 on, as far as the system says.
#[cfg(unix)]
fn ignored_signals() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(not(unix))]
fn when_interrupted(end: impl Fn() + Send + 'static) {
    let _ = ctrlc::set_handler(end);
}

/// Returns how to open a file or a device to write it.
fn writable(metadata: &Metadata) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    if is_block_device(metadata) {
        // Refuses a device that is in use, such as one with a mounted file system.
        let exclusive = rustix::fs::OFlags::EXCL.bits();
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, exclusive.cast_signed());
    }
    options
}

fn is_block_device(metadata: &Metadata) -> bool {
    #[cfg(unix)]
    return std::os::unix::fs::FileTypeExt::is_block_device(&metadata.file_type());

    #[cfg(not(unix))]
    {
        let _ = metadata;
        false
    }
}
