//! Options for opening an image.

/// Options for opening an image with [`Image::open_with`](crate::Image::open_with) or, with the
/// feature `async`, `aio::Image::open_with`.
///
/// ```
/// use qcow1::{Image, OpenOptions};
///
/// let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// // A truncated file: the second half reads as zeros.
/// let truncated = &file[..file.len() / 2];
/// let options = OpenOptions::new().salvage(true);
/// let mut image = Image::open_with(options, truncated, [0; 4096])?;
/// image.read_at(0, &mut [0; 4096])?;
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OpenOptions {
    pub(crate) salvage: bool,
    pub(crate) or_raw: bool,
}

impl OpenOptions {
    /// Returns the defaults, which [`Image::open`](crate::Image::open) uses:
    /// [`salvage`](Self::salvage) and [`or_raw`](Self::or_raw) are off.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            salvage: false,
            or_raw: false,
        }
    }

    /// Sets whether everything past the end of the file reads as zeros: tables, clusters and the
    /// backing file's name.
    ///
    /// Use it to read the rest of a truncated image. QEMU always reads images in this way. By
    /// default, reading past the end of the file is an error that states the place.
    ///
    /// - A compressed cluster that the end of the file cuts, or that lies past it, reads as the
    ///   bytes that the rest of its stream yields, and as zeros after them. It is inflated at most
    ///   18 times for that.
    /// - An encrypted sector that the end of the file cuts reads as zeros.
    ///
    /// Nothing else changes: a corrupt table word, or a stream that is whole and corrupt, is still
    /// an error.
    #[must_use]
    pub const fn salvage(mut self, salvage: bool) -> Self {
        self.salvage = salvage;
        self
    }

    /// Sets whether a disk without QCOW's magic number and version is opened as a raw disk. By
    /// default it is [`Error::NotQcow`] or, if it has 0 bytes, [`Error::Empty`]. A disk of 4 to 7
    /// bytes has no version, so it is raw even if it begins with the magic number.
    ///
    /// QCOW2, QCOW3 and invalid QCOW1 headers are still errors. [`Image::header`] returns `None`
    /// for a raw disk. `memory` must have at least max(512, block size) bytes for either format, or
    /// 64 if the block size is 1.
    ///
    /// **With this option, the first four bytes of the disk choose its format. Use it only if
    /// whoever can write the disk may also choose its format.**
    /// - It is safe for the owner of the machine and its disks: a boot loader or a unikernel that
    ///   opens no file that an image names.
    /// - It is not safe for a host that runs guests. A guest with a raw disk can write a QCOW1
    ///   header into its first sector and name any file of the host as the backing file. A host
    ///   that then opens the disk as QCOW1 and follows the name lets the guest read that file
    ///   (CVE-2008-2004). Such a host knows the format of each disk: it uses [`Image::open`] or
    ///   [`Image::open_raw`].
    ///
    /// [`Error::NotQcow`]: crate::Error::NotQcow
    /// [`Error::Empty`]: crate::Error::Empty
    /// [`Image::header`]: crate::Image::header
    /// [`Image::open`]: crate::Image::open
    /// [`Image::open_raw`]: crate::Image::open_raw
    ///
    /// ```
    /// use qcow1::{Image, OpenOptions};
    ///
    /// let raw = [7; 1024];
    /// let mut image = Image::open_with(OpenOptions::new().or_raw(true), &raw[..], [0; 512])?;
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
