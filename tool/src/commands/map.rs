//! `map`: shows where the guest's bytes are stored.

use std::path::Path;

use qcow1::{Extent, ExtentKind};
use serde_json::Value;

use crate::args::Open;
use crate::disk::Disk;
use crate::failure::Failure;
use crate::output::Lines;
use crate::text::object;

pub(crate) fn map(path: &Path, open: &Open, json: bool) -> Result<(), Failure> {
    let mut disk = Disk::alone(path, open)?;
    let mut writer = Writer {
        lines: Lines::new()?,
        json,
        width: format!("{:#x}", disk.size()).len().max("LENGTH".len()),
        first: true,
    };
    writer.begin()?;
    let mut run: Option<Run> = None;
    for next in disk.top().extents() {
        let next = next.map_err(|error| Failure::image(path, &error))?;
        if let Some(run) = &mut run
            && run.join(&next)
        {
            continue;
        }
        if let Some(done) = run.replace(Run::new(next)) {
            writer.run(&done)?;
        }
    }
    if let Some(last) = run {
        writer.run(&last)?;
    }
    writer.end()
}

/// A run of adjacent extents of one kind.
struct Run {
    extent: Extent,
    /// The length in bytes of the compressed clusters in the file.
    stored: u64,
}

impl Run {
    fn new(extent: Extent) -> Self {
        let stored = stored(&extent).unwrap_or(0);
        Self { extent, stored }
    }

    /// Appends `next` if it is of the same kind; data must be adjacent in the file too. Returns `true` if it was
    /// appended.
    fn join(&mut self, next: &Extent) -> bool {
        // The crate returns each compressed cluster as a run of its own; the map shows them as one.
        if let (Some(_), Some(next_stored)) = (stored(&self.extent), stored(next)) {
            self.extent.len += next.len;
            self.stored += next_stored;
            return true;
        }
        self.extent.join(next)
    }
}

/// Returns the length in bytes of a compressed cluster in the file, or `None` for any other extent.
fn stored(extent: &Extent) -> Option<u64> {
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
}

impl Writer {
    fn begin(&mut self) -> Result<(), Failure> {
        let width = self.width;
        if self.json {
            return Ok(());
        }
        self.lines.line(format_args!(
            "{:>width$}  {:>width$}  {:<10}  OFFSET",
            "START", "LENGTH", "KIND"
        ))
    }

    fn run(&mut self, Run { extent: run, stored }: &Run) -> Result<(), Failure> {
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
            let fields = [
                ("start", run.start.into()),
                ("length", run.len.into()),
                ("kind", kind.into()),
                ("offset", offset.map_or(Value::Null, Value::from)),
            ];
            let lead = if self.first { "[\n" } else { ",\n" };
            self.first = false;
            self.lines.text(format_args!("{lead}  {}", object(&fields, ", ")))
        } else {
            let mut offset = offset.map_or("-".to_owned(), |offset| format!("{offset:#x}"));
            if kind == "compressed" {
                // The sum over all clusters of the run.
                offset += &format!(", {stored} bytes");
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
