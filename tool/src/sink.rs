//! The output of a dump: writes the guest's bytes in sequence.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::failure::Failure;
use crate::holes;
use crate::output::{STDOUT, stdout};
use crate::replacement::Replacement;

/// The length of one write of zeros in bytes.
const ZEROS: usize = 1 << 20;

/// The shortest run of zeros for which a block device is asked to make a hole, in bytes. The call
/// takes longer than a small write.
const LONG: u64 = 64 << 10;

/// The output of a dump, to which guest bytes are written in sequence.
pub(crate) struct Sink {
    to: To,
    name: PathBuf,
    /// The number of bytes that were written.
    at: u64,
    zeros: Vec<u8>,
}

enum To {
    /// A device or a pipe, written in place.
    Stream(File),
    /// A regular file or a block device, written in place, which can have holes.
    InPlace(InPlace),
    /// A new file, which reads as zeros until it is written.
    Replacement(Box<Replacement>),
}

impl Sink {
    /// Opens standard output.
    pub(crate) fn stdout(disk: &mut Disk) -> Result<Self, Failure> {
        let name = Path::new(STDOUT);
        let failed = |error: io::Error| Failure::write(name, &error);
        let file = stdout()?;
        let metadata = file.metadata().map_err(failed)?;
        disk.refuse_to_overwrite(&metadata, name)?;
        if is_lost(&file, &metadata) {
            let message =
                "is closed, so nothing would be kept; pass /dev/null as OUT, or > /dev/null, to write to nowhere";
            return Err(Failure::of(name, message));
        }
        let to = if metadata.is_file() && !appends(&file) {
            To::InPlace(InPlace::new(file, metadata.len(), true).map_err(failed)?)
        } else {
            To::Stream(file)
        };
        Ok(Self::new(to, name))
    }

    /// Opens a device or a pipe to write it in place, or creates a new file that will replace
    /// `out`.
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
        // Fails like a write if the file is read-only or a running program.
        let mut file = writable(&metadata).open(out).map_err(failed)?;
        if metadata.is_file() {
            // Replaces the file and not a symbolic link to it.
            let target = fs::canonicalize(out).map_err(failed)?;
            let replacement = Replacement::begin(out, target, Some((file, metadata)), disk.size())?;
            return Ok(Self::new(To::Replacement(Box::new(replacement)), out));
        }
        if is_block_device(&metadata) {
            let room = file.seek(SeekFrom::End(0)).map_err(failed)?;
            file.rewind().map_err(failed)?;
            if room < disk.size() {
                let message = format_args!("has room for {room} bytes, and the disk has {}", disk.size());
                return Err(Failure::of(out, message));
            }
            let in_place = InPlace::new(file, room, false).map_err(failed)?;
            return Ok(Self::new(To::InPlace(in_place), out));
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

    /// Returns `true` if the written bytes remain after a failed dump.
    pub(crate) fn keeps_partial_output(&self) -> bool {
        !matches!(self.to, To::Replacement(_))
    }

    /// Writes the next bytes.
    pub(crate) fn data(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let zeros = &self.zeros;
        match &mut self.to {
            To::Stream(file) => file.write_all(bytes),
            To::InPlace(file) => file.data(bytes, zeros),
            To::Replacement(new) => new.write(self.at, bytes),
        }
        .map_err(|error| self.failure(&error))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Writes `len` zeros.
    pub(crate) fn zeros(&mut self, len: u64) -> Result<(), Failure> {
        let zeros = &self.zeros;
        match &mut self.to {
            To::Stream(file) => write_zeros(file, len, zeros),
            To::InPlace(file) => file.zeros(len, zeros),
            To::Replacement(_) => Ok(()),
        }
        .map_err(|error| self.failure(&error))?;
        self.at += len;
        Ok(())
    }

    /// Waits until all bytes are stored, and moves a new file to its place. Must be called at the
    /// end.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        match self.to {
            // A write is complete, or has failed, when it returns.
            To::Stream(_) => Ok(()),
            To::InPlace(file) => file.finish().map_err(|error| Failure::write(&self.name, &error)),
            To::Replacement(new) => new.finish(),
        }
    }

    /// Removes a new file. Returns the state of OUT as the end of an error message.
    pub(crate) fn abandon(self) -> String {
        match self.to {
            To::Stream(_) => format!("; {} bytes were written before it", self.at),
            To::InPlace(file) => {
                // Holes at the end count as written.
                let _ = file.finish();
                format!("; {} bytes were written before it", self.at)
            }
            To::Replacement(new) => format!("; {}", new.abandon()),
        }
    }

    fn failure(&self, error: &io::Error) -> Failure {
        Failure::write(&self.name, error).and(format_args!(" (at guest offset {:#x})", self.at))
    }
}

/// A file or a device that is written in place, starting at its position.
struct InPlace {
    file: File,
    /// The position, which other programs may share. At the end, it is moved after the written
    /// bytes.
    at: u64,
    /// The old end of the file. Bytes after it that are not written are holes.
    old_end: u64,
    is_file: bool,
    /// Whether the system makes holes in it; `true` until it refuses.
    makes_holes: bool,
}

impl InPlace {
    fn new(mut file: File, old_end: u64, is_file: bool) -> io::Result<Self> {
        Ok(Self {
            at: file.stream_position()?,
            file,
            old_end,
            is_file,
            makes_holes: true,
        })
    }

    fn data(&mut self, bytes: &[u8], zeros: &[u8]) -> io::Result<()> {
        holes::split(bytes, |run, is_zero| {
            // A short run of zeros is written like other bytes.
            if is_zero && (self.is_file || run.len() as u64 >= LONG) {
                return self.zeros(run.len() as u64, zeros);
            }
            self.file.write_all(run)?;
            self.at += run.len() as u64;
            Ok(())
        })
    }

    fn zeros(&mut self, len: u64, zeros: &[u8]) -> io::Result<()> {
        let end = self.at + len;
        // First zeros over old bytes, then zeros after them.
        let old = end.min(self.old_end).saturating_sub(self.at);
        if old != 0 {
            self.over_old(old, zeros)?;
        }
        if self.at < end {
            self.file.seek(SeekFrom::Start(end))?;
            self.at = end;
        }
        Ok(())
    }

    /// Writes zeros over old bytes. Whole blocks become holes, if possible.
    fn over_old(&mut self, len: u64, zeros: &[u8]) -> io::Result<()> {
        const BLOCK: u64 = holes::BLOCK as u64;
        let end = self.at + len;
        let (first, last) = (self.at.next_multiple_of(BLOCK), end - end % BLOCK);
        if first < last && (self.is_file || last - first >= LONG) && self.makes_holes {
            self.makes_holes = holes::make(&self.file, first, last - first);
            if self.makes_holes {
                write_zeros(&mut self.file, first - self.at, zeros)?;
                self.file.seek(SeekFrom::Start(last))?;
                self.at = last;
            }
        }
        write_zeros(&mut self.file, end - self.at, zeros)?;
        self.at = end;
        Ok(())
    }

    fn finish(self) -> io::Result<()> {
        if !self.is_file {
            // A write to a device may still be in the system's memory, and fail later.
            return self.file.sync_all();
        }
        if self.file.metadata()?.len() < self.at {
            self.file.set_len(self.at)?;
        }
        Ok(())
    }
}

fn write_zeros(file: &mut File, len: u64, zeros: &[u8]) -> io::Result<()> {
    let mut left = len;
    while left != 0 {
        let now = usize::try_from(left).unwrap_or(usize::MAX).min(zeros.len());
        file.write_all(&zeros[..now])?;
        left -= now as u64;
    }
    Ok(())
}

/// Returns `true` if each write goes to the end of the file, as after a shell's `>>`, or if that is
/// not known.
fn appends(file: &File) -> bool {
    #[cfg(unix)]
    return rustix::fs::fcntl_getfl(file).map_or(true, |flags| flags.contains(rustix::fs::OFlags::APPEND));

    #[cfg(not(unix))]
    {
        let _ = file;
        true
    }
}

/// Returns `true` if standard output was closed when the tool began. The standard library then
/// opens /dev/null instead, for reading and writing, which no shell does.
fn is_lost(file: &File, metadata: &Metadata) -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{OFlags, fcntl_getfl, makedev};

        let is_null = std::os::unix::fs::FileTypeExt::is_char_device(&metadata.file_type())
            && std::os::unix::fs::MetadataExt::rdev(metadata) == makedev(1, 3);
        is_null && fcntl_getfl(file).is_ok_and(|flags| flags & OFlags::RWMODE == OFlags::RDWR)
    }

    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, metadata);
        false
    }
}

/// Returns the options for opening a file or a device to write it.
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
