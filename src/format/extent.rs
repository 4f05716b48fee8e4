//! Runs of guest bytes that are stored alike.

/// A run of guest bytes that are stored alike.
///
/// ```
/// # let disk: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// use qcow1::{ExtentKind, Image};
///
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
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ExtentKind {
    /// In the image file, byte for byte (encrypted where the header says so).
    Data {
        /// Where the first byte lies in the image file.
        host_offset: u64,
    },
    /// Deflated in the image file; all or a part of one cluster.
    Compressed {
        /// Where the stream starts in the image file.
        host_offset: u64,
        /// The length of the stream in bytes.
        stored_len: u32,
    },
    /// Nowhere: they read as zeros.
    Zero,
    /// In the backing file at the same guest offset, or, past its end, nowhere.
    Backing,
}

impl Extent {
    pub(crate) const EMPTY: Self = Self {
        start: 0,
        len: 0,
        kind: ExtentKind::Zero,
    };

    /// Returns the first guest byte after the run.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.start.saturating_add(self.len)
    }

    /// Appends `next` if the two are one run, and returns whether it did.
    ///
    /// They are one run if they are adjacent in the guest, of one kind and, where they have bytes in the file, adjacent there
    /// too. A compressed cluster joins nothing.
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
