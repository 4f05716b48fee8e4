//! `map`: shows where the guest's bytes are stored.

use std::path::{Path, PathBuf};

use qcow1::{Extent, ExtentKind};
use serde_json::Value;

use crate::args::{Lower, Open};
use crate::disk::{Disk, Found};
use crate::failure::Failure;
use crate::output::Lines;
use crate::secret::Secrets;
use crate::text::{object, printable};

pub(crate) fn map(path: &Path, open: &Open, lower: &Lower, json: bool) -> Result<(), Failure> {
    let is_chain = lower.follow || !lower.backing.is_empty();
    let mut disk = Disk::layers(path, open, lower, &Secrets::NONE)?;
    let mut writer = Writer {
        lines: Lines::new()?,
        json,
        width: format!("{:#x}", disk.size()).len().max("LENGTH".len()),
        first: true,
        files: is_chain.then(|| disk.paths()),
    };
    writer.begin()?;
    let mut run: Option<Run> = None;
    let mut at = 0;
    while at < disk.size() {
        let next = match is_chain {
            true => disk.find(at, u64::MAX),
            false => disk.find_in_tables(at, u64::MAX),
        };
        let next = next.map_err(|flaw| disk.failure(&flaw))?;
        at = next.extent.end();
        if let Some(run) = &mut run
            && run.join(&next)
        {
            continue;
        }
        if let Some(done) = run.replace(Run::new(&next)) {
            writer.run(&done)?;
        }
    }
    if let Some(last) = run {
        writer.run(&last)?;
    }
    writer.end()
}

/// A run of adjacent extents of one kind, in one file.
struct Run {
    level: usize,
    extent: Extent,
    /// The length in bytes of the compressed clusters in the file.
    stored: u64,
}

impl Run {
    fn new(found: &Found) -> Self {
        Self {
            level: found.level,
            extent: found.extent,
            stored: stored_len(&found.extent).unwrap_or(0),
        }
    }

    /// Appends `next` if it is of the same kind; data must be adjacent in the file too. Returns
    /// `true` if it was appended.
    fn join(&mut self, next: &Found) -> bool {
        if next.level != self.level {
            return false;
        }
        let next = &next.extent;
        // The crate returns each compressed cluster as a run of its own; the map shows them as one.
        if let (Some(_), Some(next_stored)) = (stored_len(&self.extent), stored_len(next)) {
            self.extent.len += next.len;
            self.stored += next_stored;
            return true;
        }
        self.extent.join(next)
    }
}

/// Returns the length in bytes of a compressed cluster in the file, or `None` for any other extent.
fn stored_len(extent: &Extent) -> Option<u64> {
    match extent.kind {
        ExtentKind::Compressed { stored_len, .. } => Some(stored_len.into()),
        _ => None,
    }
}

struct Writer {
    lines: Lines,
    json: bool,
    /// The width of a column of offsets.
    width: usize,
    first: bool,
    /// The files of a chain.
    files: Option<Vec<PathBuf>>,
}

impl Writer {
    fn begin(&mut self) -> Result<(), Failure> {
        let width = self.width;
        if self.json {
            return Ok(());
        }
        let offset = match self.files {
            None => "OFFSET",
            Some(_) => "OFFSET                FILE",
        };
        self.lines.line(format_args!(
            "{:>width$}  {:>width$}  {:<10}  {offset}",
            "START", "LENGTH", "KIND"
        ))
    }

    fn run(&mut self, run: &Run) -> Result<(), Failure> {
        let Run {
            level,
            extent: run,
            stored,
        } = run;
        let (kind, offset) = match run.kind {
            ExtentKind::Data { host_offset } => ("data", Some(host_offset)),
            ExtentKind::Compressed { host_offset, .. } => ("compressed", Some(host_offset)),
            ExtentKind::Zero => ("zero", None),
            ExtentKind::Backing => ("backing", None),
            // A newer version of the crate may have more kinds.
            _ => ("unknown", None),
        };
        let width = self.width;
        if self.json {
            let mut fields = vec![
                ("start", run.start.into()),
                ("length", run.len.into()),
                ("kind", kind.into()),
                ("offset", offset.map_or(Value::Null, Value::from)),
            ];
            if let Some(files) = &self.files {
                fields.push(("depth", (*level).into()));
                fields.push(("file", files[*level].display().to_string().into()));
            }
            let lead = if self.first { "[\n" } else { ",\n" };
            self.first = false;
            self.lines.text(format_args!("{lead}  {}", object(&fields, ", ")))
        } else {
            let mut offset = offset.map_or("-".to_owned(), |offset| format!("{offset:#x}"));
            if kind == "compressed" {
                // The sum over all clusters of the run.
                offset += &format!(", {stored} bytes");
            }
            if let Some(files) = &self.files {
                let file = printable(&files[*level].display().to_string());
                offset = format!("{offset:<20}  {file}");
            }
            self.lines.line(format_args!(
                "{:>#width$x}  {:>#width$x}  {kind:<10}  {offset}",
                run.start, run.len
            ))
        }
    }

    fn end(mut self) -> Result<(), Failure> {
        if self.json {
            self.lines.line(if self.first { "[]" } else { "\n]" })?;
        }
        self.lines.finish()
    }
}
