//! Some of the guest's bytes.

use std::path::Path;

use super::{Buffer, CHUNK};
use crate::args::{Backing, Open};
use crate::disk::Disk;
use crate::failure::Failure;
use crate::output::Sink;

pub(crate) fn read(path: &Path, offset: u64, length: u64, open: &Open, backing: &Backing) -> Result<(), Failure> {
    let mut disk = Disk::open(path, open, backing)?;
    let end = offset.checked_add(length).filter(|&end| end <= disk.size());
    let Some(end) = end else {
        let size = disk.size();
        let message = format_args!("has {size} bytes, and {length} bytes at offset {offset} reach past its end");
        return Err(Failure::of(path, message));
    };
    let mut sink = Sink::stdout(&mut disk)?;
    let mut buffer = Buffer::new();
    let mut at = offset;
    while at < end {
        let len = usize::try_from(end - at).unwrap_or(usize::MAX).min(CHUNK);
        let chunk = buffer.first(len);
        disk.read_at(at, chunk)?;
        sink.data(chunk)?;
        at += len as u64;
    }
    Ok(())
}
