//! ext4, with `ext4-view`, which allocates.

use std::ffi::OsStr;
use std::fs::File;

use ext4_view::{Ext4, Ext4Error, Ext4Read, Path, PathBuf};
use qcow1::{GuestRead, Image, Partition};

use crate::Failure;
use crate::disk::Volume;
use crate::output::Output;

/// The maximum depth of directories. A damaged tree may have no end.
const DEPTH: usize = 64;

/// Lists the directory at `path` in the volume, or prints the file.
pub fn show(file: File, volume: &Volume, path: &OsStr, output: &mut Output) -> Result<(), Failure> {
    // ext4-view owns its reader, which therefore must borrow for `'static`.
    let memory = Box::leak(vec![0; 1 << 20].into_boxed_slice());
    let partition = Partition::new(Image::open(file, memory)?, volume.start, volume.len);
    let files = Ext4::load(Box::new(Reader(partition)))?;
    // In ext4, names are bytes, as arguments are on Unix.
    let full = PathBuf::try_from(&[b"/", path.as_encoded_bytes()].concat()[..])?;
    let path = path.to_string_lossy();
    let path = path.trim_matches('/');
    let metadata = files.metadata(&full).map_err(|error| said(error, path))?;
    if metadata.is_dir() {
        return list(&files, full.as_path(), path, DEPTH, output);
    }
    let mut from = files.open(&full)?;
    let mut buffer = vec![0; 65_536];
    loop {
        match from.read_bytes(&mut buffer)? {
            0 => return Ok(()),
            len => output.bytes(&buffer[..len])?,
        }
    }
}

/// Lists a directory, and then its subdirectories. `name` is its own name, which precedes those of its entries.
fn list(files: &Ext4, folder: Path<'_>, name: &str, depth: usize, output: &mut Output) -> Result<(), Failure> {
    // One entry more than the limit, and the two that are not listed, so that an excess is noticed.
    let mut entries = files
        .read_dir(folder)?
        .take(output.left() + 3)
        .collect::<Result<Vec<_>, _>>()?;
    entries.retain(|entry| !matches!(entry.file_name().as_ref(), b"." | b".."));
    entries.sort_by(|a, b| a.file_name().as_ref().cmp(b.file_name().as_ref()));
    let join = |entry: &ext4_view::DirEntry| {
        let own = String::from_utf8_lossy(entry.file_name().as_ref()).into_owned();
        if name.is_empty() { own } else { format!("{name}/{own}") }
    };
    let mut folders = Vec::new();
    for entry in &entries {
        let metadata = entry.metadata()?;
        let (len, end) = if metadata.is_dir() {
            folders.push(entry);
            (0, "/".to_owned())
        } else if metadata.is_symlink() {
            (
                metadata.len(),
                format!(" -> {}", files.read_link(&entry.path())?.display()),
            )
        } else {
            (metadata.len(), String::new())
        };
        output.entry(len, &join(entry), &end)?;
    }
    let depth = depth.checked_sub(1).ok_or("the directories are too deep")?;
    for entry in folders {
        list(files, entry.path().as_path(), &join(entry), depth, output)?;
    }
    Ok(())
}

/// Returns an error as a message for the user.
fn said(error: Ext4Error, path: &str) -> Failure {
    match error {
        Ext4Error::NotFound => format!("{path}: no such file").into(),
        Ext4Error::NotADirectory => format!("{path}: a part of the path is not a directory").into(),
        error => error.into(),
    }
}

/// A volume inside an image.
struct Reader(Partition<Image<File, &'static mut [u8]>>);

impl Ext4Read for Reader {
    fn read(&mut self, start_byte: u64, dst: &mut [u8]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.0.read_at(start_byte, dst)?)
    }
}
