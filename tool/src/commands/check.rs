//! `check`: finds flaws in images.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use qcow1::{CheckOptions, CheckSummary, Corrupt, CorruptPart, Error};
use serde_json::Value;

use crate::args::Open;
use crate::commands::usage::Pieces;
use crate::disk::{open_file, refuse_if_in_use, try_qcow_image};
use crate::failure::{Failure, explain, status};
use crate::medium::{Medium, allocated_size};
use crate::output::{Lines, is_quiet};
use crate::text::{bytes, object, printable};

/// Checks the images, and returns the exit status: the most serious one of all.
pub(crate) fn check(paths: &[PathBuf], open: &Open, json: bool) -> Result<u8, Failure> {
    const BY_SERIOUSNESS: [u8; 5] = [
        status::ERROR,
        status::OTHER_FORMAT,
        status::CORRUPT,
        status::UNREACHABLE,
        status::SUCCESS,
    ];
    let rank = |status: &u8| BY_SERIOUSNESS.iter().position(|other| other == status);
    // If one image cannot be checked, the others still are.
    let checked = paths
        .iter()
        .map(|path| check_one(path, open, json).unwrap_or_else(|failure| failure.report()));
    Ok(checked.min_by_key(rank).unwrap_or(status::SUCCESS))
}

fn check_one(path: &Path, open: &Open, json: bool) -> Result<u8, Failure> {
    let file = open_file(path)?;
    refuse_if_in_use(&file, path, open)?;
    let mut usage = Pieces::new(allocated_size(&file).unwrap_or(u64::MAX));
    let mut findings = Findings {
        lines: Lines::new()?,
        json,
        count: 0,
        failure: None,
    };
    let summary = match try_qcow_image(Medium::select(file, path, open)?, path, open)? {
        Ok(mut image) => {
            let options = CheckOptions::new().inflate(true).usage_map(&mut usage);
            image
                .check_with(options, |finding| {
                    findings.report(&finding.corrupt, finding.count, finding.guest_len, &finding);
                })
                .map(Some)
                .map_err(|error| Failure::of(path, explain(&error)))?
        }
        // A flaw that prevents opening is a finding too.
        Err(Error::Corrupt(corrupt)) => {
            findings.report(&corrupt, 1, 0, &corrupt);
            None
        }
        Err(error) => return Err(Failure::image(path, &error)),
    };
    let is_complete = usage.is_complete();
    let unreachable = summary.map_or(0, |summary| summary.unreachable_bytes);
    let status = match (findings.count, unreachable) {
        (0, 0) => status::SUCCESS,
        (0, _) => status::UNREACHABLE,
        _ => status::CORRUPT,
    };
    match findings.finish(path, summary.as_ref(), is_complete) {
        // After a closed pipe, the exit status still reports the result.
        Ok(()) | Err(Failure::ClosedPipe) => {}
        Err(failure) => return Err(failure),
    }
    if !is_complete && status != status::CORRUPT {
        let message = "refers to more places in holes of the file than the check has memory for, so it has not found \
                       whether they overlap";
        return Err(Failure::of(path, message));
    }
    Ok(status)
}

struct Findings {
    lines: Lines,
    json: bool,
    count: u64,
    /// The first failed write. The check continues after a closed pipe.
    failure: Option<Failure>,
}

impl Findings {
    /// Prints the summary.
    ///
    /// If the check is not complete, the number of unreachable bytes is not known.
    fn finish(self, path: &Path, summary: Option<&CheckSummary>, is_complete: bool) -> Result<(), Failure> {
        let Self {
            mut lines,
            json,
            count,
            failure,
        } = self;
        if let Some(failure) = failure {
            return Err(failure);
        }
        if is_quiet() {
            return Ok(());
        }
        let clean = count == 0;
        if json {
            let number = |of: fn(&CheckSummary) -> u64| summary.map_or(Value::Null, |summary| of(summary).into());
            let fields = [
                ("clean", clean.into()),
                ("data_bytes", number(|summary| summary.data_bytes)),
                ("compressed_bytes", number(|summary| summary.compressed_bytes)),
                ("hole_bytes", number(|summary| summary.hole_bytes)),
                (
                    "unreachable_bytes",
                    match is_complete {
                        true => number(|summary| summary.unreachable_bytes),
                        false => Value::Null,
                    },
                ),
            ];
            let fields = object(&fields, ", ");
            let lead = if clean { "{\"findings\": []" } else { "\n]" };
            // Without the opening brace, which was printed before the findings.
            lines.line(format_args!("{lead}, {}", &fields[1..]))?;
        } else {
            let name = printable(&path.display().to_string());
            match count {
                0 if is_complete => lines.line(format_args!("{name}: clean"))?,
                0 => lines.line(format_args!("{name}: not checked completely"))?,
                1 => lines.line(format_args!("{name}: corrupt, 1 finding"))?,
                _ => lines.line(format_args!("{name}: corrupt, {count} findings"))?,
            }
            if let Some(summary) = summary {
                for (name, number) in [
                    ("data", summary.data_bytes),
                    ("compressed", summary.compressed_bytes),
                    ("holes", summary.hole_bytes),
                    ("unreachable", summary.unreachable_bytes),
                ] {
                    let number = match name {
                        "unreachable" if !is_complete => "not known".to_owned(),
                        _ => bytes(number),
                    };
                    lines.line(format_args!("{name:<12}{number}"))?;
                }
            }
        }
        lines.finish()
    }

    /// Prints a finding: `count` flaws in sequence, of `guest_len` guest bytes in total.
    fn report(&mut self, corrupt: &Corrupt, count: u64, guest_len: u64, sentence: &dyn Display) {
        self.count += 1;
        if is_quiet() {
            return;
        }
        let sentence = sentence.to_string();
        let message = sentence.strip_prefix("corrupt image: ").unwrap_or(&sentence);
        let (guest, host) = (corrupt.guest_offset(), corrupt.host_offset());
        let written = if self.json {
            let number = |number: Option<u64>| number.map_or(Value::Null, Value::from);
            let fields = [
                ("kind", part_name(corrupt.part()).into()),
                ("guest_offset", number(guest)),
                ("guest_length", number(guest.map(|_| guest_len))),
                ("host_offset", number(host)),
                ("count", count.into()),
                ("message", message.into()),
            ];
            let lead = if self.count == 1 { "{\"findings\": [\n" } else { ",\n" };
            self.lines.text(format_args!("{lead}  {}", object(&fields, ", ")))
        } else {
            let hex = |number: Option<u64>| number.map_or("-".to_owned(), |number| format!("{number:#x}"));
            self.lines.line(format_args!(
                "guest {:<14}  host {:<14}  {message}",
                hex(guest),
                hex(host)
            ))
        };
        if let Err(failure) = written {
            self.failure.get_or_insert(failure);
        }
    }
}

fn part_name(part: CorruptPart) -> &'static str {
    match part {
        CorruptPart::Header => "header",
        CorruptPart::BackingName => "backing_name",
        CorruptPart::L1Table => "l1_table",
        CorruptPart::L2Table => "l2_table",
        CorruptPart::Cluster => "cluster",
        CorruptPart::CompressedCluster => "compressed_cluster",
        _ => "other",
    }
}
