//! ext4, with `ext4-view`, which allocates.

use std::fs::File;
use std::io::Write;

use ext4_view::{Ext4, Ext4Error, Ext4Read, Path, PathBuf};
use qcow1::Image;

use crate::Failure;
use crate::disk::Volume;

/// How deep a tree may be. A damaged one may have no end.
const DEPTH: usize = 64;

/// Lists what is at `path` in the volume, or prints it.
pub fn show(file: File, volume: &Volume, path: &str) -> Result<(), Failure> {
    // The reader given to ext4-view lives as long as the program, and so does what it borrows.
    let memory = Box::leak(vec![0; 1 << 20].into_boxed_slice());
    let reader = Reader {
        image: Image::open(file, memory)?,
        start: volume.start,
        len: volume.len,
    };
    let files = Ext4::load(Box::new(reader))?;
    let path = path.trim_matches('/');
    let full = PathBuf::try_from(format!("/{path}").as_str())?;
    let metadata = files.metadata(&full).map_err(|error| said(error, path))?;
    if metadata.is_dir() {
        return list(&files, full.as_path(), path, DEPTH);
    }
    let mut from = files.open(&full)?;
    let mut buffer = vec![0; 65_536];
    loop {
        match from.read_bytes(&mut buffer)? {
            0 => return Ok(()),
            len => std::io::stdout().write_all(&buffer[..len])?,
        }
    }
}

/// Lists a directory, and then those inside it. `name` is what the entries' names are put behind.
fn list(files: &Ext4, folder: Path<'_>, name: &str, depth: usize) -> Result<(), Failure> {
    let mut entries = files.read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
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
        println!("{len:>10}  {}{end}", join(entry));
    }
    let depth = depth.checked_sub(1).ok_or("the directories are too deep")?;
    for entry in folders {
        list(files, entry.path().as_path(), &join(entry), depth)?;
    }
    Ok(())
}

/// In the words that this program has for it.
fn said(error: Ext4Error, path: &str) -> Failure {
    match error {
        Ext4Error::NotFound => format!("{path}: no such file").into(),
        Ext4Error::NotADirectory => format!("{path}: not all of it is a directory").into(),
        error => error.into(),
    }
}

/// A volume inside an image.
struct Reader {
    image: Image<'static, File>,
    start: u64,
    len: u64,
}

impl Ext4Read for Reader {
    fn read(&mut self, start_byte: u64, dst: &mut [u8]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let end = start_byte.checked_add(dst.len() as u64);
        if end.is_none_or(|end| end > self.len) {
            return Err(qcow1::Error::<std::io::Error>::OutOfRange.into());
        }
        Ok(self.image.read_at(self.start + start_byte, dst)?)
    }
}
