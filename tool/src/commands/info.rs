//! `info`: shows the header, and how much memory a reader must lend.

use std::path::{Path, PathBuf};

use qcow1::{BlockSize, ExtentKind, Header};
use serde_json::Value;

use crate::args::Open;
use crate::disk::{Disk, FileImage, backing_name};
use crate::failure::{Failure, explain, status};
use crate::output::{Lines, progress};
use crate::text::{bytes, object, printable};

/// Shows each image, and returns the exit status: the first that is not success.
pub(crate) fn info(paths: &[PathBuf], open: &Open, json: bool) -> Result<u8, Failure> {
    let mut worst = status::SUCCESS;
    for (number, path) in paths.iter().enumerate() {
        let mut lines = Lines::new()?;
        if number != 0 && !json {
            lines.line("")?;
        }
        // If one image cannot be opened, the others are still shown.
        match info_one(path, open, json, lines) {
            Ok(()) => {}
            Err(Failure::ClosedPipe) => return Err(Failure::ClosedPipe),
            Err(failure) => {
                let status = failure.report();
                worst = if worst == status::SUCCESS { status } else { worst };
            }
        }
    }
    Ok(worst)
}

fn info_one(path: &Path, open: &Open, json: bool, mut lines: Lines) -> Result<(), Failure> {
    let mut disk = Disk::open_single(path, open)?;
    let (file_size, allocated) = disk.file_sizes()?;
    let image = disk.top();
    let mut buffer = [0; 1023];
    let name = backing_name(image, &mut buffer, path)?;
    let name = name.map(|name| String::from_utf8_lossy(name).into_owned());
    let Some(header) = image.header().copied() else {
        // An image that was opened as QCOW1 always has a header.
        return Ok(());
    };
    if json {
        let needs = header.memory_for(BlockSize::B512, file_size);
        let fields = [
            ("image", path.display().to_string().into()),
            ("format", "qcow".into()),
            ("version", 1.into()),
            ("virtual_size", header.virtual_size().into()),
            ("file_size", file_size.into()),
            ("allocated_size", allocated.map_or(Value::Null, Value::from)),
            ("cluster_size", header.cluster_bits().cluster_size().into()),
            ("l2_entries", header.l2_bits().entries().into()),
            ("l1_entries", header.l1_entries().into()),
            ("l1_offset", header.l1_offset().into()),
            ("encrypted", header.is_encrypted().into()),
            ("backing_file", name.map_or(Value::Null, Value::from)),
            ("mtime", header.mtime().into()),
            ("xen", header.is_xen().into()),
            ("memory_minimum", needs.minimum.into()),
            ("memory_compressed", needs.compressed.into()),
            ("memory_compressed_fast", needs.compressed_fast.into()),
            ("memory_all_tables", needs.all_tables.into()),
        ];
        lines.line(object(&fields, ", "))?;
        return lines.finish();
    }
    let yes = |is| if is { "yes" } else { "no" };
    let xen = match header.l1_is_little_endian() {
        true => "yes, with a little-endian L1",
        false => yes(header.is_xen()),
    };
    let mut stored = bytes(file_size);
    if let Some(allocated) = allocated.filter(|allocated| *allocated < file_size) {
        stored += &format!(", of which {} are allocated", bytes(allocated));
    }
    for (name, value) in [
        ("image", printable(&path.display().to_string())),
        ("virtual size", bytes(header.virtual_size())),
        ("file size", stored),
        ("cluster size", bytes(header.cluster_bits().cluster_size().into())),
        ("L2 entries", header.l2_bits().entries().to_string()),
        ("L1 entries", header.l1_entries().to_string()),
        ("L1 offset", format!("{:#x}", header.l1_offset())),
        ("encrypted", yes(header.is_encrypted()).to_owned()),
        (
            "backing file",
            name.map_or("none".to_owned(), |name| format!("'{}'", printable(&name))),
        ),
        ("mtime", header.mtime().to_string()),
        ("Xen extension", xen.to_owned()),
    ] {
        lines.line(format_args!("{name:<20}{value}"))?;
    }
    // All tables may have to be read for the rest.
    lines.flush()?;
    let (found, compressed) = match first_compressed(image) {
        Ok(None) => ("none".to_owned(), false),
        Ok(Some(guest)) => (format!("yes, the first at guest offset {guest:#x}"), true),
        Err(error) => (format!("not known: {error}"), true),
    };
    lines.line(format_args!("{:<20}{found}", "compressed clusters"))?;
    for line in memory(&header, compressed, file_size) {
        lines.line(line)?;
    }
    lines.finish()
}

/// Returns lines with the sizes of memory to lend, each with its use.
fn memory(header: &Header, compressed: bool, file_size: u64) -> Vec<String> {
    let needs = header.memory_for(BlockSize::B512, file_size);
    let mut rows = vec![(needs.minimum, "opens the image, and reads uncompressed bytes")];
    if compressed {
        rows.push((needs.compressed, "reads compressed clusters too"));
        rows.push((needs.compressed_fast, "reads them two to five times as fast"));
    }
    rows.push((needs.all_tables, "caches all tables; more is not used"));
    let mut lines = vec!["memory to lend, on a device with blocks of 512 bytes:".to_owned()];
    lines.extend(
        rows.iter()
            .map(|(needed, what)| format!("  {:<30}  {what}", bytes(*needed as u64))),
    );
    lines
}

/// Returns the guest offset of the first compressed cluster, if there is one. Reads all tables
/// before it.
fn first_compressed(image: &mut FileImage) -> Result<Option<u64>, String> {
    let bar = progress(image.size());
    let mut found = Ok(None);
    for extent in image.extents() {
        match extent {
            Ok(extent) if matches!(extent.kind, ExtentKind::Compressed { .. }) => {
                found = Ok(Some(extent.start));
                break;
            }
            Ok(extent) => bar.set_position(extent.start + extent.len),
            Err(error) => {
                found = Err(explain(&error));
                break;
            }
        }
    }
    bar.finish_and_clear();
    found
}
