//! `read`: writes a range of the guest's bytes.

use std::path::Path;

use super::{Buffer, CHUNK};
use crate::args::Guest;
use crate::disk::Disk;
use crate::failure::Failure;
use crate::sink::Sink;

pub(crate) fn read(path: &Path, offset: u64, length: u64, guest: &Guest) -> Result<(), Failure> {
    let mut disk = Disk::open(path, guest)?;
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
    sink.finish()
}
