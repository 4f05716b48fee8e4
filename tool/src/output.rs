//! Where bytes and lines go.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::failure::Failure;

/// The name of standard output in errors.
const STDOUT: &str = "standard output";

/// The least run of zeros that is worth a hole: what file systems allocate.
const HOLE: usize = 4096;

/// How much is written at once where there are only zeros.
const ZEROS: usize = 1 << 20;

/// Lines on standard output.
pub(crate) struct Lines(BufWriter<File>);

impl Lines {
    pub(crate) fn new() -> Result<Self, Failure> {
        Ok(Self(BufWriter::new(stdout()?)))
    }

    pub(crate) fn line(&mut self, line: impl Display) -> Result<(), Failure> {
        self.text(format_args!("{line}\n"))
    }

    /// Without a line end.
    pub(crate) fn text(&mut self, text: impl Display) -> Result<(), Failure> {
        write!(self.0, "{text}").map_err(|error| Failure::write(STDOUT.as_ref(), &error))
    }

    /// Must be called at the end, for what is buffered.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        self.0.flush().map_err(|error| Failure::write(STDOUT.as_ref(), &error))
    }
}

/// Standard output as a file: without the line buffer, which costs a copy of each byte, and with an identity.
fn stdout() -> Result<File, Failure> {
    #[cfg(unix)]
    let stdout = std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned();
    #[cfg(windows)]
    let stdout = std::os::windows::io::AsHandle::as_handle(&io::stdout()).try_clone_to_owned();

    stdout
        .map(File::from)
        .map_err(|error| Failure::write(STDOUT.as_ref(), &error))
}

/// Where guest bytes go, in order.
pub(crate) struct Sink {
    file: File,
    name: PathBuf,
    kind: Kind,
    at: u64,
    zeros: Vec<u8>,
}

/// What a sink writes to.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// A device or a pipe, as it is.
    Stream,
    /// A file that is as it was, and is to be emptied and given this length before its first byte.
    Untouched(u64),
    /// A file that was emptied, so that what is not written reads as zeros.
    Sparse,
}

impl Sink {
    /// Standard output.
    pub(crate) fn stdout(disk: &mut Disk) -> Result<Self, Failure> {
        Self::new(stdout()?, STDOUT.into(), disk)
    }

    /// A file, emptied and made as long as the disk as soon as there is a byte for it; or a device or pipe, as it is.
    pub(crate) fn create(out: &Path, disk: &mut Disk) -> Result<Self, Failure> {
        let failed = |error| Failure::write(out, &error);
        // Not emptied before it is known to be none of the images.
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(out)
            .map_err(failed)?;
        let mut sink = Self::new(file, out.to_owned(), disk)?;
        if sink.file.metadata().map_err(failed)?.is_file() {
            sink.kind = Kind::Untouched(disk.size());
        }
        Ok(sink)
    }

    fn new(file: File, name: PathBuf, disk: &mut Disk) -> Result<Self, Failure> {
        if let Some(image) = disk.image_in(&file, &name) {
            let message = format_args!(
                "is the same file as the image '{}'; it was left as it is",
                image.display()
            );
            return Err(Failure::of(&name, message));
        }
        Ok(Self {
            file,
            name,
            kind: Kind::Stream,
            at: 0,
            zeros: vec![0; ZEROS],
        })
    }

    /// Empties a file before the first byte of the new disk. Until then an error leaves the old one as it was.
    fn begin(&mut self) -> Result<(), Failure> {
        let Kind::Untouched(len) = self.kind else {
            return Ok(());
        };
        self.kind = Kind::Stream;
        self.file
            .set_len(0)
            .map_err(|error| Failure::write(&self.name, &error))?;
        self.kind = Kind::Sparse;
        self.file
            .set_len(len)
            .map_err(|error| Failure::of(&self.name, format_args!("cannot hold {len} bytes: {error}")))
    }

    /// Takes the next bytes.
    pub(crate) fn data(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.begin()?;
        if self.kind == Kind::Sparse {
            self.blocks(bytes)
        } else {
            self.file.write_all(bytes)
        }
        .map_err(|error| self.failed(&error))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Takes so many zeros.
    pub(crate) fn zeros(&mut self, len: u64) -> Result<(), Failure> {
        self.begin()?;
        let end = self.at + len;
        while self.at < end {
            if self.kind == Kind::Sparse {
                self.at = end;
                break;
            }
            let len = self
                .zeros
                .len()
                .min(usize::try_from(end - self.at).unwrap_or(usize::MAX));
            self.file
                .write_all(&self.zeros[..len])
                .map_err(|error| self.failed(&error))?;
            self.at += len as u64;
        }
        Ok(())
    }

    /// Cuts a file off behind what it has got, so that its length does not claim the whole disk.
    pub(crate) fn cut(&mut self) -> String {
        if matches!(self.kind, Kind::Untouched(_)) {
            format!("; '{}' was left as it was", self.name.display())
        } else if self.kind == Kind::Sparse && self.file.set_len(self.at).is_ok() {
            format!("; '{}' holds the {} bytes before it", self.name.display(), self.at)
        } else {
            format!("; {} bytes were written before it", self.at)
        }
    }

    /// Writes all but the blocks of zeros.
    fn blocks(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut at = self.at;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (mut len, zero) = (0, self.is_zero(rest));
            while len < rest.len() && self.is_zero(&rest[len..]) == zero {
                len += HOLE.min(rest.len() - len);
            }
            let (run, behind) = rest.split_at(len);
            if !zero {
                self.file.seek(SeekFrom::Start(at))?;
                self.file.write_all(run)?;
            }
            at += len as u64;
            rest = behind;
        }
        Ok(())
    }

    /// Whether the first block is zeros.
    fn is_zero(&self, bytes: &[u8]) -> bool {
        let block = &bytes[..HOLE.min(bytes.len())];
        *block == self.zeros[..block.len()]
    }

    fn failed(&self, error: &io::Error) -> Failure {
        Failure::write(&self.name, error).and(format_args!(" (at guest offset {:#x})", self.at))
    }
}
