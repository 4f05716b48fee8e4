//! Determines whether another process may write to an image.

use std::fs::File;

/// Returns `true` if QEMU, or a program that takes its locks, has opened the file to write it or to
/// change its length, or forbids others to read it.
///
/// QEMU locks bytes of the file that stand for permissions: bytes 100 and up for those that it
/// uses, 200 and up for those that it denies to others. The locks do not change the file.
#[cfg(target_os = "linux")]
pub(crate) fn is_written(file: &File) -> bool {
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc;

    /// The first bytes of QEMU's two ranges.
    const USED: i64 = 100;
    const DENIED: i64 = 200;
    /// The permissions' places in a range.
    const READ: i64 = 0;
    const WRITE: i64 = 1;
    const RESIZE: i64 = 3;

    [USED + WRITE, USED + RESIZE, DENIED + READ].into_iter().any(|byte| {
        let mut lock = libc::flock {
            l_type: libc::F_WRLCK as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: byte,
            l_len: 1,
            l_pid: 0,
        };
        // On a file system without locks, no other program holds one.
        fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock)).is_ok() && lock.l_type != libc::F_UNLCK as libc::c_short
    })
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn is_written(_file: &File) -> bool {
    false
}
