//! `dump`: writes the whole disk.

use std::path::Path;

use indicatif::ProgressBar;
use qcow1::ExtentKind;

use super::{Buffer, CHUNK};
use crate::args::Guest;
use crate::disk::Disk;
use crate::failure::Failure;
use crate::output::progress;
use crate::sink::Sink;

/// The length below which a hole is read together with the bytes around it, because that costs less than another
/// request.
const SHORT: u64 = 64 << 10;

/// The length of the pieces in which a failed chunk is read again.
const SECTOR: usize = 512;

pub(crate) fn dump(path: &Path, out: &Path, guest: &Guest) -> Result<(), Failure> {
    let mut disk = Disk::open(path, guest)?;
    let mut sink = match out.to_str() {
        Some("-") => Sink::stdout(&mut disk)?,
        _ => Sink::create(out, &mut disk)?,
    };
    let bar = progress(disk.size());
    let done = copy(&mut disk, &mut sink, &bar);
    // Cleared first, so that an error is not printed after the progress bar.
    bar.finish_and_clear();
    match done {
        Ok(()) => sink.finish(),
        Err(failure) => Err(failure.and(sink.abandon())),
    }
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
        let len = match done {
            Ok((len, None)) => {
                sink.zeros(len)?;
                len
            }
            Ok((len, Some(chunk))) => {
                sink.data(chunk)?;
                len
            }
            Err(failure) => {
                if sink.keeps_what_it_got() {
                    before_flaw(disk, sink, at, &mut buffer);
                }
                return Err(failure);
            }
        };
        at += len;
        bar.set_position(at);
    }
    Ok(())
}

/// Writes the sectors of a failed chunk that are before its flaw.
fn before_flaw(disk: &mut Disk, sink: &mut Sink, mut at: u64, buffer: &mut Buffer) {
    let most = (disk.size() - at).min(CHUNK as u64);
    for sector in buffer.first(most as usize).chunks_mut(SECTOR) {
        if !disk.reads(at, sector) || sink.data(sector).is_err() {
            break;
        }
        at += sector.len() as u64;
    }
}

enum Run {
    Zeros(u64),
    /// At most a chunk.
    Stored(usize),
}

/// Returns what is at `at`, which must be inside the disk: a run of zeros, or bytes for one read.
fn next_run(disk: &mut Disk, at: u64) -> Result<Run, Failure> {
    let left = disk.size() - at;
    let first = disk.extent_at(at, left)?;
    if first.kind == ExtentKind::Zero {
        return Ok(Run::Zeros(first.len));
    }
    let most = left.min(CHUNK as u64);
    let mut len = first.len.min(most);
    while len < most {
        // A later flaw is reported when the dump reaches it.
        match disk.extent_at(at + len, most - len) {
            Ok(next) if next.kind != ExtentKind::Zero || next.len < SHORT => len += next.len,
            _ => break,
        }
    }
    // At most CHUNK, which is a usize.
    Ok(Run::Stored(len as usize))
}
