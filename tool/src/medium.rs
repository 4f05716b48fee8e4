//! The file, or the part of a file, that an image is read from.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

use qcow1::{BlockRead, BlockSize, Error};

use crate::args::Open;
use crate::direct::Direct;
use crate::failure::{Failure, explain};
use crate::holes;

/// A file, or a part of it: an image may be a member of an archive, or a partition of a disk.
pub(crate) struct Medium {
    file: File,
    start: u64,
    /// The maximum length in bytes.
    most: u64,
    direct: Option<Direct>,
    /// A run of the file's bytes that is a hole, or has none.
    run: (Range<u64>, bool),
    /// Ranges that cannot be read.
    #[cfg(test)]
    pub(crate) bad: Vec<Range<u64>>,
}

impl Medium {
    /// Returns the whole file.
    pub(crate) fn whole(file: File) -> Self {
        Self::part(file, None, 0, u64::MAX)
    }

    /// Returns the part of the file that the options select.
    pub(crate) fn select(mut file: File, path: &Path, open: &Open) -> Result<Self, Failure> {
        let size = BlockRead::size(&mut file).map_err(|error| Failure::of(path, explain(&Error::Io(error))))?;
        if open.image_offset > size {
            let message = format_args!("has {size} bytes, so no image is at its offset {}", open.image_offset);
            return Err(Failure::of(path, message));
        }
        // Opened again, because the first opening only determines what the file is.
        let direct = match open.direct {
            true => {
                let (again, direct) = Direct::open(path)?;
                file = again;
                Some(direct)
            }
            false => None,
        };
        Ok(Self::part(
            file,
            direct,
            open.image_offset,
            open.image_length.unwrap_or(u64::MAX),
        ))
    }

    fn part(file: File, direct: Option<Direct>, start: u64, most: u64) -> Self {
        Self {
            file,
            direct,
            run: (0..0, false),
            start,
            most,
            #[cfg(test)]
            bad: Vec::new(),
        }
    }

    /// Returns the size in bytes, and the number of bytes that the whole file takes on its disk if
    /// the system says so.
    pub(crate) fn sizes(&mut self) -> io::Result<(u64, Option<u64>)> {
        let size = self.size()?;
        Ok((size, allocated_size(&self.file)))
    }

    /// Returns the number of bytes at `offset`, at most `len`, that are all in a hole of the file
    /// or all outside of holes, and `true` for a hole. It reads as zeros.
    pub(crate) fn hole_at(&mut self, offset: u64, len: u64) -> (u64, bool) {
        let at = self.start.saturating_add(offset);
        if !self.run.0.contains(&at) {
            // The whole run, so that a file without holes needs one call.
            let (len, is_hole) = holes::at(&self.file, at, (i64::MAX as u64).saturating_sub(at));
            self.run = (at..at + len, is_hole);
        }
        let (run, is_hole) = &self.run;
        (len.min(run.end.saturating_sub(at)).max(1), *is_hole)
    }
}

/// Reads do not use the file's position, so it does not matter that `hole_at` moves it.
impl BlockRead for Medium {
    type Error = io::Error;

    fn block_size(&self) -> BlockSize {
        BlockSize::BYTE
    }

    fn size(&mut self) -> io::Result<u64> {
        let size = BlockRead::size(&mut self.file)?;
        Ok(size.saturating_sub(self.start).min(self.most))
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> io::Result<()> {
        #[cfg(test)]
        if self
            .bad
            .iter()
            .any(|bad| bad.start < lba + buf.len() as u64 && lba < bad.end)
        {
            return Err(io::Error::from_raw_os_error(5));
        }
        let offset = self.start.saturating_add(lba);
        match &mut self.direct {
            Some(direct) => direct.read(&self.file, offset, buf),
            None => self.file.read_blocks(offset, buf),
        }
    }
}

/// Returns the number of bytes that a file takes on its disk, or `None` if the system does not say
/// so.
pub(crate) fn allocated_size(file: &File) -> Option<u64> {
    let metadata = file.metadata().ok()?;
    #[cfg(unix)]
    let blocks = Some(std::os::unix::fs::MetadataExt::blocks(&metadata));
    #[cfg(not(unix))]
    let blocks = None::<u64>;
    // In units of 512 bytes on every system. A device has no holes.
    blocks
        .filter(|_| metadata.is_file())
        .map(|blocks| blocks.saturating_mul(512))
}
