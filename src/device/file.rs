//! The standard library's files.

use std::fs::File;
use std::io;

use crate::device::{BlockRead, BlockSize};

/// Byte-addressable. Regular files and, on Unix, block devices are read; everything else is refused by `size`.
///
/// On Unix each read gives its own position, so handles that share one do not disturb each other; elsewhere a read moves
/// it.
impl BlockRead for File {
    type Error = io::Error;

    fn block_size(&self) -> BlockSize {
        BlockSize::BYTE
    }

    /// Returns the size in bytes.
    ///
    /// # Errors
    /// - `IsADirectory`: the file is a directory.
    /// - `Unsupported`: the file is a character device, a pipe or a socket; or the system makes its bytes up as they are
    ///   read, as it does below `/proc`. None of these has a size, so the disk would be empty.
    /// - Any error of the system's calls.
    fn size(&mut self) -> io::Result<u64> {
        let metadata = self.metadata()?;
        let kind = metadata.file_type();
        #[cfg(unix)]
        let is_device = std::os::unix::fs::FileTypeExt::is_block_device(&kind);
        #[cfg(not(unix))]
        let is_device = !kind.is_file() && !kind.is_dir();
        if kind.is_file() {
            // A file that claims no size and has bytes is no file of a disk's.
            let is_made_up = metadata.len() == 0 && self.read_blocks(0, &mut [0]).is_ok();
            return if is_made_up {
                Err(io::ErrorKind::Unsupported.into())
            } else {
                Ok(metadata.len())
            };
        }
        if is_device {
            // A block device has no length but its end.
            return io::Seek::seek(self, io::SeekFrom::End(0));
        }
        Err(if kind.is_dir() {
            io::ErrorKind::IsADirectory.into()
        } else {
            io::ErrorKind::Unsupported.into()
        })
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
