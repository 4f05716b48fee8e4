//! Holes of files: finds them, and makes them.

use std::fs::File;

/// Returns the number of bytes of `file` at `offset`, at most `len`, that are all in a hole or all
/// outside of holes, and `true` for a hole. A system or a file without holes has none. On Unix this
/// moves the file's position.
pub(crate) fn at(file: &File, offset: u64, len: u64) -> (u64, bool) {
    #[cfg(any(
        target_os = "linux",
        target_os = "android",
        target_os = "freebsd",
        target_vendor = "apple"
    ))]
    {
        use rustix::fs::{SeekFrom, seek};
        use rustix::io::Errno;

        let most = offset.saturating_add(len);
        let data = match seek(file, SeekFrom::Data(offset)) {
            Ok(data) => data.clamp(offset, most),
            // No data comes after this offset: the hole ends with the file, unless that has become
            // shorter.
            Err(Errno::NXIO) => match seek(file, SeekFrom::End(0)) {
                Ok(end) if end > offset => end.min(most),
                _ => return (len, false),
            },
            Err(_) => return (len, false),
        };
        if data > offset {
            return (data - offset, true);
        }
        match seek(file, SeekFrom::Hole(offset)) {
            Ok(hole) if hole > offset => ((hole - offset).min(len), false),
            _ => (len, false),
        }
    }

    #[cfg(not(any(
        target_os = "linux",
        target_os = "android",
        target_os = "freebsd",
        target_vendor = "apple"
    )))]
    {
        let _ = (file, offset);
        (len, false)
    }
}

/// Makes a hole in a file or a block device, or at least zeros that take no time to write. Returns
/// `false` if the system cannot do so; the bytes are then unchanged or zeros.
pub(crate) fn make(file: &File, offset: u64, len: u64) -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{FallocateFlags, fallocate};

        // On a block device, these do what BLKZEROOUT does, with and without permission to discard
        // the blocks.
        [FallocateFlags::PUNCH_HOLE, FallocateFlags::ZERO_RANGE]
            .into_iter()
            .any(|flags| fallocate(file, flags | FallocateFlags::KEEP_SIZE, offset, len).is_ok())
    }

    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, offset, len);
        false
    }
}

/// The shortest run of zeros that becomes a hole: the block of most file systems, in bytes.
pub(crate) const BLOCK: usize = 4096;

/// Splits bytes into runs of zero blocks and runs of others, and passes each with `true` if it is
/// all zeros.
pub(crate) fn split<E>(mut rest: &[u8], mut run: impl FnMut(&[u8], bool) -> Result<(), E>) -> Result<(), E> {
    const ZEROS: [u8; BLOCK] = [0; BLOCK];
    let is_zero = |bytes: &[u8]| {
        let block = &bytes[..BLOCK.min(bytes.len())];
        *block == ZEROS[..block.len()]
    };
    while !rest.is_empty() {
        let (mut len, zero) = (0, is_zero(rest));
        while len < rest.len() && is_zero(&rest[len..]) == zero {
            len += BLOCK.min(rest.len() - len);
        }
        let (next, behind) = rest.split_at(len);
        run(next, zero)?;
        rest = behind;
    }
    Ok(())
}
