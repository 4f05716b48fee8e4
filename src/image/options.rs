//! How an image is opened.

use crate::format::xen::XenL1;

/// How an image is opened, where the defaults of [`Image::open`](crate::Image::open) are not what is wanted.
///
/// ```
/// # let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// use qcow1::OpenOptions;
///
/// // Half a file: what is left of it reads, and the rest as zeros.
/// let truncated = &file[..file.len() / 2];
/// let mut memory = [0; 4096];
/// let mut image = OpenOptions::new().salvage(true).open(truncated, &mut memory)?;
/// image.read_at(0, &mut [0; 4096])?;
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OpenOptions {
    pub(crate) salvage: bool,
    pub(crate) xen_l1: XenL1,
    pub(crate) or_raw: bool,
}

impl OpenOptions {
    /// Returns the defaults: no salvage, Xen's little-endian L1 detected, no raw disks.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            salvage: false,
            xen_l1: XenL1::Detect,
            or_raw: false,
        }
    }

    /// Sets whether everything past the end of the file reads as zeros: tables, clusters and the backing file's name.
    ///
    /// This is for what is left of a truncated image, and what QEMU does without a message. By default it is an error
    /// that names the place. A truncated encrypted sector reads as zeros; nothing else changes.
    #[must_use]
    pub const fn salvage(mut self, salvage: bool) -> Self {
        self.salvage = salvage;
        self
    }

    /// Sets how the byte order of a Xen image's L1 is found.
    #[must_use]
    pub const fn xen_l1(mut self, xen_l1: XenL1) -> Self {
        self.xen_l1 = xen_l1;
        self
    }

    /// Sets whether a disk without QCOW's magic number is opened as a raw disk, where it is [`Error::NotQcow`] by
    /// default.
    ///
    /// Everything else stays an error: QCOW2, QCOW3, and a QCOW1 header that is wrong. [`Image::header`] is `None` for
    /// the raw disk. `memory` needs max(512, block size) bytes in either case.
    ///
    /// **This lets the disk's first four bytes choose its format, so it is only for disks whose format may be chosen
    /// by whoever writes them.** It is safe for who owns the machine and its disks: a boot loader or a unikernel, for
    /// which the disk is the whole machine's, and which opens no file that an image names. It is not safe for a host
    /// that runs guests: a guest that was given a raw disk can write a QCOW1 header into the first sector, and name any
    /// file of the host as its backing file. A host that then opens the disk as QCOW1 and follows the name lets the guest
    /// read that file (CVE-2008-2004). Such a host knows which format each disk has, and uses [`Image::open`] or
    /// [`Image::open_raw`].
    ///
    /// [`Error::NotQcow`]: crate::Error::NotQcow
    /// [`Image::header`]: crate::Image::header
    /// [`Image::open`]: crate::Image::open
    /// [`Image::open_raw`]: crate::Image::open_raw
    ///
    /// ```
    /// use qcow1::OpenOptions;
    ///
    /// let raw = [7; 1024];
    /// let mut memory = [0; 512];
    /// let mut image = OpenOptions::new().or_raw(true).open(&raw[..], &mut memory)?;
    /// assert!(image.header().is_none());
    /// assert_eq!(image.size(), 1024);
    /// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
    /// ```
    #[must_use]
    pub const fn or_raw(mut self, or_raw: bool) -> Self {
        self.or_raw = or_raw;
        self
    }
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self::new()
    }
}
