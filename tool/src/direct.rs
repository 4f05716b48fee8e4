//! Files that are read around the system's cache.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::failure::Failure;

/// The length of the longest read in bytes.
const MOST: usize = 1 << 20;

/// The alignments that systems require of offsets, lengths and memory, in bytes. The smallest that
/// works loses the fewest bytes next to a bad sector.
const BLOCKS: [usize; 2] = [512, 4096];

/// A file that was opened with `O_DIRECT`, and memory that such reads can fill.
pub(crate) struct Direct {
    block: usize,
    memory: Vec<u8>,
    /// The offset of the aligned part of `memory`.
    start: usize,
}

impl Direct {
    /// Opens a file to read it around the cache.
    pub(crate) fn open(path: &Path) -> Result<(File, Self), Failure> {
        let failed = |error: io::Error| Failure::of(path, format_args!("cannot be opened with --direct: {error}"));
        #[cfg(target_os = "linux")]
        let file = {
            let mut options = File::options();
            let flags = rustix::fs::OFlags::DIRECT.bits().cast_signed();
            std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags);
            options.read(true).open(path)
        };
        #[cfg(not(target_os = "linux"))]
        let file = Err::<File, _>(io::ErrorKind::Unsupported.into());
        let file = file.map_err(failed)?;
        let largest = BLOCKS[BLOCKS.len() - 1];
        let memory = vec![0; MOST + largest];
        // `align_offset` may return `usize::MAX`.
        let start = memory.as_ptr().align_offset(largest).min(largest);
        let mut this = Self {
            block: largest,
            memory,
            start,
        };
        for block in BLOCKS {
            this.block = block;
            // This error means that the system refuses the request. Any other result is fine here.
            match this.read_block(&file, 0, block) {
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                _ => return Ok((file, this)),
            }
        }
        Err(failed(io::ErrorKind::InvalidInput.into()))
    }

    /// Fills `buf` with the file's bytes that start at `offset`.
    pub(crate) fn read(&mut self, file: &File, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let (mut at, mut rest) = (offset, buf);
        while !rest.is_empty() {
            let before = (at % self.block as u64) as usize;
            let len = (before + rest.len()).next_multiple_of(self.block).min(MOST);
            // A read at the end of the file returns less than whole blocks.
            let read = self.read_block(file, at - before as u64, len)?;
            let bytes = self.memory[self.start..][..read].get(before..).unwrap_or_default();
            if bytes.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let (now, later) = rest.split_at_mut(bytes.len().min(rest.len()));
            now.copy_from_slice(&bytes[..now.len()]);
            at += now.len() as u64;
            rest = later;
        }
        Ok(())
    }

    fn read_block(&mut self, file: &File, offset: u64, len: usize) -> io::Result<usize> {
        let memory = &mut self.memory[self.start..][..len];
        #[cfg(unix)]
        loop {
            match std::os::unix::fs::FileExt::read_at(file, memory, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
        #[cfg(not(unix))]
        {
            let _ = (file, offset, memory);
            Err(io::ErrorKind::Unsupported.into())
        }
    }
}
