//! The standard library's files.

use std::fs::File;
use std::io;

use crate::device::{BlockRead, BlockSize};

/// Byte-addressable. On Unix reads name their position, so handles that share one do not disturb each other; elsewhere
/// they move it.
impl BlockRead for File {
    type Error = io::Error;

    fn block_size(&self) -> BlockSize {
        BlockSize::BYTE
    }

    fn size(&mut self) -> io::Result<u64> {
        let metadata = self.metadata()?;
        if metadata.is_file() {
            return Ok(metadata.len());
        }
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        // A block device has no length but its end.
        io::Seek::seek(self, io::SeekFrom::End(0))
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> io::Result<()> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::read_exact_at(self, buf, lba);

        #[cfg(not(unix))]
        {
            io::Seek::seek(self, io::SeekFrom::Start(lba))?;
            io::Read::read_exact(self, buf)
        }
    }
}
