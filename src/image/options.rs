//! How an image is opened.

use crate::format::xen::XenL1;

/// How an image is opened, where the defaults of [`Image::open`](crate::Image::open) are not what is wanted.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// let mut memory = [0; 4096];
/// let image = qcow1::OpenOptions::new().salvage(true).open(file, &mut memory)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OpenOptions {
    pub(crate) salvage: bool,
    pub(crate) xen_l1: XenL1,
}

impl OpenOptions {
    /// The defaults: no salvage, Xen's little-endian L1 detected.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            salvage: false,
            xen_l1: XenL1::Detect,
        }
    }

    /// Whether whatever lies past the end of the file reads as zeros, tables, clusters and the backing file's name
    /// included, as QEMU does without saying so. Otherwise, and by default, it is an error that names the place.
    ///
    /// This is for what is left of a truncated image. Nothing else changes with it, but that of an encrypted sector that
    /// is cut off nothing can be decrypted, and all of it reads as zeros.
    #[must_use]
    pub const fn salvage(mut self, salvage: bool) -> Self {
        self.salvage = salvage;
        self
    }

    /// Whether Xen's little-endian L1 is detected.
    #[must_use]
    pub const fn xen_l1(mut self, xen_l1: XenL1) -> Self {
        self.xen_l1 = xen_l1;
        self
    }
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self::new()
    }
}
