//! What the header says.

use std::fs::File;
use std::path::Path;

use qcow1::{BlockSize, ExtentKind, Image};
use serde_json::Value;

use crate::args::Open;
use crate::disk::Disk;
use crate::failure::{Failure, explain};
use crate::output::Lines;
use crate::text::{bytes, object, printable};

pub(crate) fn info(path: &Path, open: &Open, json: bool) -> Result<(), Failure> {
    let mut disk = Disk::alone(path, open)?;
    let image = disk.top();
    let mut buffer = [0; 1023];
    let name = image
        .backing_name(&mut buffer)
        .map_err(|error| Failure::of(path, explain(&error)))?
        .map(|name| String::from_utf8_lossy(name).into_owned());
    // Whether there are any decides how much memory a reader has to lend.
    let compressed = if json { None } else { first_compressed(image) };
    let Some(header) = image.header() else {
        // No image that was opened as QCOW1 is without one.
        return Ok(());
    };
    let mut lines = Lines::new()?;
    if json {
        let fields = [
            ("virtual_size", header.virtual_size().into()),
            ("cluster_size", header.cluster_bits().cluster_size().into()),
            ("l2_entries", header.l2_bits().entries().into()),
            ("l1_entries", header.l1_entries().into()),
            ("l1_offset", header.l1_offset().into()),
            ("encrypted", header.is_encrypted().into()),
            ("backing_file", name.map_or(Value::Null, Value::from)),
            ("mtime", header.mtime().into()),
            ("xen", header.is_xen().into()),
        ];
        lines.line(object(&fields, ", "))?;
    } else {
        let yes = |is| if is { "yes" } else { "no" };
        let needs = header.memory_for(BlockSize::B512);
        let rows = [
            ("image", printable(&path.display().to_string())),
            ("virtual size", bytes(header.virtual_size())),
            ("cluster size", bytes(header.cluster_bits().cluster_size().into())),
            ("L2 entries", header.l2_bits().entries().to_string()),
            ("L1 entries", header.l1_entries().to_string()),
            ("L1 offset", format!("{:#x}", header.l1_offset())),
            ("encrypted", yes(header.is_encrypted()).to_owned()),
            (
                "backing file",
                name.map_or("none".to_owned(), |name| format!("'{}'", printable(&name))),
            ),
            (
                "compressed",
                match compressed {
                    Some(Ok(guest)) => format!("yes, the first at guest offset {guest:#x}"),
                    Some(Err(error)) => format!("not known: {error}"),
                    None => "none".to_owned(),
                },
            ),
            ("mtime", header.mtime().to_string()),
            (
                "Xen extension",
                match header.l1_is_little_endian() {
                    true => "yes, with a little-endian L1".to_owned(),
                    false => yes(header.is_xen()).to_owned(),
                },
            ),
            ("memory: least", bytes(needs.minimum as u64)),
            ("memory: compressed", bytes(needs.compressed as u64)),
            ("memory: all tables", bytes(needs.all_tables as u64)),
        ];
        for (name, value) in rows {
            lines.line(format_args!("{name:<20}{value}"))?;
        }
    }
    lines.finish()
}

/// Where the first compressed cluster is, if there is one; all tables are read to know.
fn first_compressed(image: &mut Image<'static, File>) -> Option<Result<u64, String>> {
    for extent in image.extents() {
        match extent {
            Ok(extent) if matches!(extent.kind, ExtentKind::Compressed { .. }) => return Some(Ok(extent.start)),
            Ok(_) => {}
            Err(error) => return Some(Err(explain(&error))),
        }
    }
    None
}
