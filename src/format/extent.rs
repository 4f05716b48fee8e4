//! Runs of guest bytes that are stored in the same way.

/// A run of guest bytes that are stored in the same way.
///
/// ```
/// use qcow1::{ExtentKind, Image};
///
/// let disk: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// let mut memory = [0; 4096];
/// let mut image = Image::open(disk, &mut memory)?;
/// let extent = image.extent_at(0, 512)?;
/// assert_eq!((extent.start, extent.len), (0, 512));
/// match extent.kind {
///     ExtentKind::Data { host_offset } => println!("byte {host_offset} of the file"),
///     kind => println!("{kind:?}"),
/// }
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Extent {
    /// The first guest byte.
    pub start: u64,
    /// The number of guest bytes, at least 1.
    pub len: u64,
    /// How they are stored.
    pub kind: ExtentKind,
}

/// How the bytes of an [`Extent`] are stored.
///
/// ```
/// use qcow1::{ExtentKind, Image};
///
/// let disk: &[u8] = include_bytes!("../../tests/data/sparse.qcow");
/// let mut memory = [0; 4096];
/// let mut image = Image::open(disk, &mut memory)?;
/// for extent in image.extents() {
///     let extent = extent?;
///     match extent.kind {
///         ExtentKind::Data { host_offset } => println!("{:#x}: at {host_offset:#x} in the file", extent.start),
///         ExtentKind::Compressed { stored_len, .. } => println!("{:#x}: {stored_len} bytes deflated", extent.start),
///         ExtentKind::Zero => println!("{:#x}: zeros", extent.start),
///         ExtentKind::Backing => println!("{:#x}: in the backing file", extent.start),
///         _ => {}
///     }
/// }
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ExtentKind {
    /// Stored in the image file as they are, or encrypted if the header says so.
    Data {
        /// The byte offset of the first byte in the image file.
        host_offset: u64,
    },
    /// Stored deflated in the image file: all or a part of one cluster.
    Compressed {
        /// The byte offset of the deflated stream in the image file.
        host_offset: u64,
        /// The length of the stream in bytes.
        stored_len: u32,
    },
    /// Not stored: they read as zeros.
    Zero,
    /// Stored in the backing file at the same guest offset. Past the end of that file they read as
    /// zeros.
    Backing,
}

impl Extent {
    /// Returns the first guest byte after the run.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.start.saturating_add(self.len)
    }

    /// Appends `next` if it continues this run. Returns `true` if it was appended.
    ///
    /// `next` continues this run if it starts at [`end`](Self::end), has the same kind and, for
    /// [`ExtentKind::Data`], continues it in the file too. Compressed clusters are never joined.
    pub fn join(&mut self, next: &Self) -> bool {
        let joins = next.start == self.end()
            && match (self.kind, next.kind) {
                (ExtentKind::Data { host_offset: a }, ExtentKind::Data { host_offset: b }) => {
                    a.checked_add(self.len) == Some(b)
                }
                (ExtentKind::Zero, ExtentKind::Zero) | (ExtentKind::Backing, ExtentKind::Backing) => true,
                _ => false,
            };
        if joins {
            self.len = self.len.saturating_add(next.len);
        }
        joins
    }
}
