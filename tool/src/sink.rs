//! The output of a dump: writes the guest's bytes in sequence.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::failure::Failure;
use crate::output::{STDOUT, stdout};
use crate::replacement::Replacement;

/// The length of one write of zeros in bytes.
const ZEROS: usize = 1 << 20;

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
        !matches!(self.to, To::Replacement(_))
    }

    /// Writes the next bytes.
    pub(crate) fn data(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match &mut self.to {
            To::Stream(file) => file.write_all(bytes),
            To::Replacement(new) => new.write(self.at, bytes),
        }
        .map_err(|error| self.failed(&error))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Writes `len` zeros.
    pub(crate) fn zeros(&mut self, len: u64) -> Result<(), Failure> {
        let zeros = &self.zeros;
        match &mut self.to {
            To::Stream(file) => write_zeros(file, len, zeros),
            To::Replacement(_) => Ok(()),
        }
        .map_err(|error| self.failed(&error))?;
        self.at += len;
        Ok(())
    }

    /// Waits until all bytes are stored, and moves a new file to its place. Must be called at the end.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        match self.to {
            To::Stream(file) => {
                // On other systems a write is complete, or has failed, when it returns.
                if file.metadata().is_ok_and(|metadata| is_block_device(&metadata)) {
                    file.sync_all().map_err(|error| Failure::write(&self.name, &error))?;
                }
                Ok(())
            }
            To::Replacement(new) => new.finish(),
        }
    }

    /// Removes a new file. Returns the state of OUT as the end of an error message.
    pub(crate) fn abandon(self) -> String {
        match self.to {
            To::Stream(_) => format!("; {} bytes were written before it", self.at),
            To::Replacement(new) => format!("; {}", new.abandon()),
        }
    }

    fn failed(&self, error: &io::Error) -> Failure {
        Failure::write(&self.name, error).and(format_args!(" (at guest offset {:#x})", self.at))
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
