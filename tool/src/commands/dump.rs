//! The whole disk, raw.

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use qcow1::ExtentKind;

use super::{Buffer, CHUNK};
use crate::args::{Backing, Open};
use crate::disk::Disk;
use crate::failure::Failure;
use crate::output::Sink;

/// A hole shorter than this is read like what lies around it: it costs less than a request more.
const SHORT: u64 = 64 << 10;

/// The piece in which the place of a flaw is sought.
const SECTOR: usize = 512;

pub(crate) fn dump(path: &Path, out: &Path, open: &Open, backing: &Backing) -> Result<(), Failure> {
    let mut disk = Disk::open(path, open, backing)?;
    let mut sink = match out.to_str() {
        Some("-") => Sink::stdout(&mut disk)?,
        _ => Sink::create(out, &mut disk)?,
    };
    let bar = progress(disk.size());
    let done = copy(&mut disk, &mut sink, &bar);
    // Before an error is told, which would else stand behind it.
    bar.finish_and_clear();
    done
}

fn copy(disk: &mut Disk, sink: &mut Sink, bar: &ProgressBar) -> Result<(), Failure> {
    let mut buffer = Buffer::new();
    let mut at = 0;
    while at < disk.size() {
        let done = next_run(disk, at).and_then(|run| match run {
            Run::Zeros(len) => Ok((len, None)),
            Run::Stored(len) => {
                let chunk = buffer.first(len);
                disk.read_at(at, chunk)?;
                Ok((len as u64, Some(&*chunk)))
            }
        });
        let (len, written) = match done {
            Ok((len, None)) => (len, sink.zeros(len)),
            Ok((len, Some(chunk))) => (len, sink.data(chunk)),
            Err(failure) => {
                // What of the chunk lies before the flaw is right.
                let most = disk.size() - at;
                for sector in buffer.first(most.min(CHUNK as u64) as usize).chunks_mut(SECTOR) {
                    if !disk.reads(at, sector) || sink.data(sector).is_err() {
                        break;
                    }
                    at += sector.len() as u64;
                }
                return Err(failure.and(sink.cut()));
            }
        };
        written.map_err(|failure| failure.and(sink.cut()))?;
        at += len;
        bar.set_position(at);
    }
    Ok(())
}

enum Run {
    Zeros(u64),
    /// At most a chunk.
    Stored(usize),
}

/// What comes next at `at`, which lies inside the disk: zeros, or else as much as one request may ask for.
fn next_run(disk: &mut Disk, at: u64) -> Result<Run, Failure> {
    let left = disk.size() - at;
    let first = disk.extent_at(at, left)?;
    if first.kind == ExtentKind::Zero {
        return Ok(Run::Zeros(first.len));
    }
    let most = left.min(CHUNK as u64);
    let mut len = first.len.min(most);
    while len < most {
        // What is wrong further on is told when the dump comes there.
        match disk.extent_at(at + len, most - len) {
            Ok(next) if next.kind != ExtentKind::Zero || next.len < SHORT => len += next.len,
            _ => break,
        }
    }
    // At most CHUNK, which is a usize.
    Ok(Run::Stored(len as usize))
}

/// A bar on standard error; nothing where that is no terminal.
fn progress(len: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{bar:40} {percent:>3}%  {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}  {eta} left",
    );
    let bar = ProgressBar::new(len);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
