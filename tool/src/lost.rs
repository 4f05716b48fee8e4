//! The report of a dump: the ranges of the disk that it could not read.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use qcow1::{CorruptPart, Error};

use crate::disk::{Disk, Flaw};
use crate::failure::{Failure, explain};
use crate::output::{note, stdout};
use crate::past_end::PastEnd;
use crate::text::{bytes, object};

/// Why a range was not read. Adjacent ranges with equal causes are one range.
#[derive(PartialEq)]
pub(crate) enum Cause {
    PastEnd(PastEnd),
    Corrupt(usize, CorruptPart),
    Io(usize, Option<i32>),
    Backing(usize),
    Other(usize),
}

/// A range that was not read.
struct Range {
    start: u64,
    len: u64,
    cause: Cause,
    reason: String,
}

/// The ranges that were not read.
pub(crate) struct Lost {
    /// Whether each range is reported, or only their sum.
    each: bool,
    bar: ProgressBar,
    json: Option<Json>,
    last: Option<Range>,
    ranges: u64,
    bytes: u64,
}

impl Lost {
    /// Opens the file of the list, which must not be a file of the disk.
    pub(crate) fn new(json: Option<&Path>, each: bool, disk: &mut Disk, bar: &ProgressBar) -> Result<Self, Failure> {
        let json = json.map(|path| Json::open(path, disk)).transpose()?;
        Ok(Self {
            each,
            bar: bar.clone(),
            json,
            last: None,
            ranges: 0,
            bytes: 0,
        })
    }

    /// Begins the list, which deletes the old contents of the file. Called after everything that
    /// can be refused.
    pub(crate) fn begin(&mut self) -> Result<(), Failure> {
        self.json.as_mut().map_or(Ok(()), Json::begin)
    }

    /// Adds a flaw of the disk.
    pub(crate) fn flaw(&mut self, disk: &Disk, flaw: &Flaw) {
        let level = flaw.level;
        let cause = match &flaw.error {
            Error::Corrupt(corrupt) => Cause::Corrupt(level, corrupt.part()),
            Error::Io(error) => Cause::Io(level, error.raw_os_error()),
            Error::BackingRequired { .. } => Cause::Backing(level),
            _ => Cause::Other(level),
        };
        let reason = format!("{}: {}", disk.path(level).display(), explain(&flaw.error));
        self.add(flaw.start, flaw.len, cause, reason);
    }

    /// Adds bytes that are missing in a truncated file.
    pub(crate) fn past_end(&mut self, disk: &Disk, start: u64, len: u64, past_end: PastEnd) {
        let reason = format!("{}: {}", disk.path(past_end.level).display(), past_end.why);
        self.add(start, len, Cause::PastEnd(past_end), reason);
    }

    fn add(&mut self, start: u64, len: u64, cause: Cause, reason: String) {
        match &mut self.last {
            Some(last) if last.start + last.len == start && last.cause == cause => last.len += len,
            last => {
                let done = last.replace(Range {
                    start,
                    len,
                    cause,
                    reason,
                });
                self.report(done);
            }
        }
    }

    fn report(&mut self, range: Option<Range>) {
        let Some(Range { start, len, reason, .. }) = range else {
            return;
        };
        self.ranges += 1;
        self.bytes += len;
        if self.each {
            let end = start + len;
            self.bar
                .suspend(|| note(format_args!("{start:#x} to {end:#x}, {}: {reason}", bytes(len))));
        }
        if let Some(json) = &mut self.json {
            json.range(start, len, reason);
        }
    }

    /// Reports the last range and ends the list.
    pub(crate) fn end(&mut self) -> Result<(), Failure> {
        let last = self.last.take();
        self.report(last);
        self.json.take().map_or(Ok(()), Json::end)
    }

    /// Returns the number of bytes that were not read, and a sentence about them if there are any.
    pub(crate) fn total(&self) -> (u64, Option<String>) {
        let mut total = bytes(self.bytes);
        let plural = if self.ranges == 1 { "" } else { "s" };
        let _ = write!(total, " in {} range{plural}", self.ranges);
        (self.bytes, Some(total).filter(|_| self.bytes != 0))
    }
}

/// A list in a file.
struct Json {
    path: PathBuf,
    file: BufWriter<File>,
    first: bool,
    /// The first failed write. The dump continues, because it matters more than its list.
    failed: Option<io::Error>,
}

impl Json {
    fn open(path: &Path, disk: &mut Disk) -> Result<Self, Failure> {
        // The old contents are deleted later: the file may be a part of the disk.
        let file = match path.to_str() {
            Some("-") => stdout()?,
            _ => {
                let file = File::options().write(true).create(true).truncate(false).open(path);
                file.map_err(|error| Failure::write(path, &error))?
            }
        };
        disk.protect(&file, path)?;
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::new(file),
            first: true,
            failed: None,
        })
    }

    fn begin(&mut self) -> Result<(), Failure> {
        let file = self.file.get_ref();
        // The shell decides whether standard output keeps its old contents.
        let is_own = self.path.as_os_str() != "-";
        if is_own && file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            file.set_len(0).map_err(|error| Failure::write(&self.path, &error))?;
        }
        Ok(())
    }

    fn range(&mut self, start: u64, len: u64, reason: String) {
        let fields = [
            ("start", start.into()),
            ("length", len.into()),
            ("reason", reason.into()),
        ];
        let lead = if self.first { "[\n" } else { ",\n" };
        self.first = false;
        self.write(&format!("{lead}  {}", object(&fields, ", ")));
    }

    fn end(mut self) -> Result<(), Failure> {
        self.write(if self.first { "[]\n" } else { "\n]\n" });
        let flushed = self.failed.take().map_or_else(|| self.file.flush(), Err);
        // A reader that closes a pipe has not got the list.
        flushed.map_err(|error| Failure::of(&self.path, format_args!("cannot be written: {error}")))
    }

    fn write(&mut self, text: &str) {
        if self.failed.is_none() {
            self.failed = self.file.write_all(text.as_bytes()).err();
        }
    }
}
