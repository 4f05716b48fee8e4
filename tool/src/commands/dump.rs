//! `dump`: writes the whole disk.

use std::io;
use std::path::Path;

use indicatif::ProgressBar;
use qcow1::{Error, ExtentKind};

use super::{Buffer, CHUNK};
use crate::args::{Guest, Open};
use crate::disk::{Disk, Flaw, Found};
use crate::failure::{Failure, status};
use crate::lost::Lost;
use crate::output::{note, progress};
use crate::past_end::PastEnd;
use crate::sink::Sink;

/// The length below which a hole is read together with the bytes around it, because that costs less
/// than another request.
const SHORT: u64 = 64 << 10;

/// The length of the pieces in which a failed chunk is read again.
const SECTOR: u64 = 512;

/// Returns the exit status.
pub(crate) fn dump(
    path: &Path,
    out: &Path,
    keep_going: bool,
    json: Option<&Path>,
    guest: Guest,
) -> Result<u8, Failure> {
    if json == Some(out) {
        return Err(Failure::of(out, "cannot be OUT and the file of --json"));
    }
    let salvage = guest.open.salvage || keep_going;
    let open = Open { salvage, ..guest.open };
    let mut disk = Disk::open(path, &Guest { open, ..guest })?;
    let bar = progress(disk.size());
    let mut lost = Lost::new(json, keep_going, &mut disk, &bar)?;
    let mut sink = match out.to_str() {
        Some("-") => Sink::stdout(&mut disk)?,
        _ => Sink::create(out, &mut disk)?,
    };
    let mut dump = Dump {
        disk: &mut disk,
        sink: &mut sink,
        lost: &mut lost,
        keep_going,
        buffer: Buffer::new(),
    };
    let done = dump.lost.begin().and_then(|()| dump.copy(&bar));
    // Cleared first, so that an error is not printed after the progress bar.
    bar.finish_and_clear();
    let listed = lost.end();
    if let Err(failure) = done {
        return Err(failure.and(sink.abandon()));
    }
    sink.finish()?;
    // The dump is complete, even if the list cannot be written.
    let (bytes, total) = lost.total();
    if let Some(total) = total {
        note(match keep_going {
            true => format!(
                "{}: {total} could not be read; zeros were written for what is missing",
                out.display()
            ),
            false => format!("{}: {total} are past the end of a truncated image file", out.display()),
        });
    }
    listed?;
    Ok(match keep_going && bytes != 0 {
        true => status::INCOMPLETE,
        false => status::SUCCESS,
    })
}

/// How the bytes at one offset of the disk are stored.
struct Run {
    /// The length in bytes: at most a chunk, unless the bytes are zeros.
    len: u64,
    is_zero: bool,
    /// Why bytes of it are missing in a truncated file.
    past_end: Option<PastEnd>,
}

struct Dump<'a> {
    disk: &'a mut Disk,
    sink: &'a mut Sink,
    lost: &'a mut Lost,
    keep_going: bool,
    buffer: Buffer,
}

impl Dump<'_> {
    fn copy(&mut self, bar: &ProgressBar) -> Result<(), Failure> {
        let mut at = 0;
        while at < self.disk.size() {
            at += match self.next_run(at) {
                Ok(run) => self.run(at, &run)?,
                Err(flaw) => self.skip(&flaw)?,
            };
            bar.set_position(at);
        }
        Ok(())
    }

    /// Copies a run, and returns its length.
    fn run(&mut self, at: u64, run: &Run) -> Result<u64, Failure> {
        if let Some(why) = run.past_end {
            self.lost.past_end(self.disk, at, run.len, why);
        }
        if run.is_zero {
            self.sink.zeros(run.len)?;
            return Ok(run.len);
        }
        let chunk = self.buffer.first(run.len as usize);
        if !self.keep_going {
            match self.disk.read_at(at, chunk) {
                Ok(()) => self.sink.data(chunk)?,
                Err(failure) => {
                    self.before_flaw(at);
                    return Err(failure);
                }
            }
            return Ok(run.len);
        }
        match (self.disk.read(at, chunk), run.past_end) {
            (Ok(()), _) => self.sink.data(chunk)?,
            // Its range was reported.
            (Err(error), Some(_)) if is_damage(&error) => self.sink.zeros(run.len)?,
            (Err(_), _) => self.in_pieces(at, run.len)?,
        }
        Ok(run.len)
    }

    /// Writes the sectors of a failed chunk that are before its flaw, if they stay where they are
    /// written.
    fn before_flaw(&mut self, mut at: u64) {
        if !self.sink.keeps_partial_output() {
            return;
        }
        let most = (self.disk.size() - at).min(CHUNK as u64);
        for sector in self.buffer.first(most as usize).chunks_mut(SECTOR as usize) {
            if self.disk.read(at, sector).is_err() || self.sink.data(sector).is_err() {
                break;
            }
            at += sector.len() as u64;
        }
    }

    /// Copies a part of the disk that has a flaw: the bytes that can be read, and zeros for the
    /// others.
    fn in_pieces(&mut self, at: u64, len: u64) -> Result<(), Failure> {
        let end = at + len;
        let mut at = at;
        while at < end {
            let found = match self.disk.find(at, end - at) {
                Ok(found) => found,
                Err(flaw) => {
                    at += self.skip(&flaw)?;
                    continue;
                }
            };
            let len = found.extent.len;
            // A compressed cluster can be read as a whole or not at all.
            if let ExtentKind::Compressed { .. } = found.extent.kind {
                self.copy_or_skip(at, len, found.level)?;
            } else {
                let piece = self.buffer.first(len as usize);
                match self.disk.read(at, piece) {
                    Ok(()) => self.sink.data(piece)?,
                    Err(_) => self.in_sectors(at, len, found.level)?,
                }
            }
            at += len;
        }
        Ok(())
    }

    /// Copies a part of the disk sector by sector.
    fn in_sectors(&mut self, at: u64, len: u64, level: usize) -> Result<(), Failure> {
        let end = at + len;
        let mut start = at;
        while start < end {
            let len = (SECTOR - start % SECTOR).min(end - start);
            self.copy_or_skip(start, len, level)?;
            start += len;
        }
        Ok(())
    }

    /// Copies a part of the disk, or skips it if it cannot be read as a whole.
    fn copy_or_skip(&mut self, start: u64, len: u64, level: usize) -> Result<(), Failure> {
        let piece = self.buffer.first(len as usize);
        match self.disk.read(start, piece) {
            Ok(()) => self.sink.data(piece),
            Err(error) => self
                .skip(&Flaw {
                    level,
                    start,
                    len,
                    error,
                })
                .map(drop),
        }
    }

    /// Writes zeros for a flaw, and returns their number. Fails without `--keep-going`, or if the
    /// user can mend the cause of the flaw.
    fn skip(&mut self, flaw: &Flaw) -> Result<u64, Failure> {
        if !self.keep_going || !is_damage(&flaw.error) {
            return Err(self.disk.failure(flaw));
        }
        self.lost.flaw(self.disk, flaw);
        self.sink.zeros(flaw.len)?;
        Ok(flaw.len)
    }

    /// Returns how the bytes at `at`, which must be inside the disk, are stored.
    fn next_run(&mut self, at: u64) -> Result<Run, Flaw> {
        let left = self.disk.size() - at;
        let first = self.disk.find(at, left)?;
        let most = left.min(CHUNK as u64);
        let len = first.extent.len;
        let past_end = first.past_end;
        // A hole that `--salvage` makes of a missing table may have been data, but never data of
        // the backing file.
        let is_lost = self.keep_going && past_end.is_some_and(|why| why.is_hole);
        if is_lost || first.extent.kind == ExtentKind::Zero {
            return Ok(Run {
                len,
                is_zero: true,
                past_end,
            });
        }
        if first.extent.kind == ExtentKind::Backing {
            return Err(Flaw {
                level: first.level,
                start: at,
                len,
                error: Error::BackingRequired { guest_offset: at },
            });
        }
        let mut len = len.min(most);
        while len < most && past_end.is_none() {
            // A later flaw is reported when the dump reaches it.
            match self.disk.find(at + len, most - len) {
                Ok(Found {
                    extent, past_end: None, ..
                }) if extent.kind != ExtentKind::Backing && (extent.kind != ExtentKind::Zero || extent.len < SHORT) => {
                    len += extent.len;
                }
                _ => break,
            }
        }
        Ok(Run {
            len,
            is_zero: false,
            past_end,
        })
    }
}

/// Returns `true` if zeros may replace bytes whose read returned this error. Otherwise the user can
/// mend the cause, for example by passing a key.
fn is_damage(error: &Error<io::Error>) -> bool {
    matches!(
        error,
        Error::Corrupt(_) | Error::Io(_) | Error::BackingRequired { .. } | Error::CipherFailed { .. }
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::args::{Args, Command};
    use clap::Parser;

    /// Dumps a disk of which bytes of the top image's file cannot be read. Returns it and the list
    /// of lost ranges.
    fn dump_with_bad(bad: std::ops::Range<u64>, image: &[u8], options: &[&str]) -> (Vec<u8>, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        fs::write(path("image"), image).unwrap();
        fs::write(path("base"), vec![9; 1 << 20]).unwrap();
        let base = format!("raw:{}", path("base"));
        let (image, out, list) = (path("image"), path("out"), path("list"));
        let args = [
            "qcow1",
            "dump",
            &image,
            &out,
            "--keep-going",
            "--backing",
            &base,
            "--json",
            &list,
        ];
        let Command::Dump { guest, .. } = Args::try_parse_from([&args[..], options].concat()).unwrap().command else {
            unreachable!();
        };
        let mut disk = Disk::open(Path::new(&image), &guest).unwrap_or_else(|_| panic!());
        disk.top().device_mut().bad = vec![bad];
        let bar = ProgressBar::hidden();
        let mut lost = Lost::new(Some(Path::new(&list)), false, &mut disk, &bar).unwrap_or_else(|_| panic!());
        let mut sink = Sink::create(Path::new(&out), &mut disk).unwrap_or_else(|_| panic!());
        let mut dump = Dump {
            disk: &mut disk,
            sink: &mut sink,
            lost: &mut lost,
            keep_going: true,
            buffer: Buffer::new(),
        };
        let copied = dump.copy(&bar);
        assert!(copied.is_ok() && lost.end().is_ok() && sink.finish().is_ok());
        (fs::read(out).unwrap(), fs::read_to_string(list).unwrap())
    }

    /// Returns an overlay of 4 MiB with 1,024 clusters of 4 KiB, of which each third is stored; two
    /// tables at 0x1000 and 0x2000; and its disk.
    fn overlay() -> (Vec<u8>, Vec<u8>) {
        let mut file = vec![0; 0x3000];
        file[..8].copy_from_slice(b"QFI\xfb\0\0\0\x01");
        file[8..16].copy_from_slice(&64_u64.to_be_bytes());
        file[16..20].copy_from_slice(&4_u32.to_be_bytes());
        file[24..32].copy_from_slice(&(4_u64 << 20).to_be_bytes());
        file[32..34].copy_from_slice(&[12, 9]);
        file[40..48].copy_from_slice(&48_u64.to_be_bytes());
        file[48..56].copy_from_slice(&0x1000_u64.to_be_bytes());
        file[56..64].copy_from_slice(&0x2000_u64.to_be_bytes());
        file[64..68].copy_from_slice(b"base");
        let mut disk = vec![9; 1 << 20];
        disk.resize(4 << 20, 0);
        for cluster in (0..1024).step_by(3) {
            let host = file.len() as u64;
            file[0x1000 + cluster * 8..][..8].copy_from_slice(&host.to_be_bytes());
            let bytes: Vec<_> = (0..4096).map(|at| (at / 16 + cluster) as u8).collect();
            file.extend_from_slice(&bytes);
            disk[cluster * 4096..][..4096].copy_from_slice(&bytes);
        }
        (file, disk)
    }

    #[test]
    fn sectors_that_cannot_be_read_lose_only_the_bytes_that_need_them() {
        let (file, disk) = overlay();
        // One sector inside cluster 300, which is the hundredth stored one.
        let bad = 0x3000 + 100 * 4096 + 1024..0x3000 + 100 * 4096 + 1536;
        let (dumped, list) = dump_with_bad(bad, &file, &[]);
        let mut expected = disk.clone();
        expected[300 * 4096 + 1024..][..512].fill(0);
        assert!(dumped == expected);
        assert!(
            list.contains("{\"start\": 1229824, \"length\": 512, \"reason\": "),
            "{list}"
        );
        assert!(list.contains(": cannot be read: Input/output error"), "{list}");
        assert_eq!(list.lines().count(), 3, "{list}");
    }

    #[test]
    fn a_sector_of_a_table_that_cannot_be_read_loses_the_clusters_of_its_words() {
        let (file, disk) = overlay();
        // The words of the clusters 512 to 575.
        for memory in ["512", "4M"] {
            let (dumped, list) = dump_with_bad(0x2000..0x2200, &file, &["--memory", memory]);
            let mut lost = disk.clone();
            lost[512 * 4096..576 * 4096].fill(0);
            assert!(dumped == lost);
            assert!(list.contains("\"start\": 2097152, "), "{list}");
            assert_eq!(list.lines().count(), 3, "{list}");
        }
    }

    #[test]
    fn an_l1_entry_that_cannot_be_read_is_one_range() {
        let (file, disk) = overlay();
        let (dumped, list) = dump_with_bad(56..64, &file, &["--memory", "512"]);
        // Opening reads the first 64 bytes before they are bad.
        assert!(
            dumped
                .iter()
                .zip(&disk)
                .all(|(dumped, byte)| *dumped == *byte || *dumped == 0)
        );
        assert!(list.lines().count() <= 4, "{list}");
    }
}
