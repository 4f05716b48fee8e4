//! `BlockRead`, its implementations for existing types and traits, and devices that wrap a device.

pub(crate) mod aligned;
pub(crate) mod blocks;
pub(crate) mod bounced;
#[cfg(feature = "alloc")]
mod boxed;
pub(crate) mod embedded_io;
#[cfg(feature = "embedded-storage")]
pub(crate) mod embedded_storage;
#[cfg(feature = "std")]
mod file;
#[cfg(feature = "gpt_disk_io")]
pub(crate) mod gpt_disk_io;
pub(crate) mod limited;
pub(crate) mod map_err;
#[cfg(feature = "embedded-storage")]
pub(crate) mod nor_flash;
mod slice;
pub(crate) mod tracer;

use core::fmt;

/// The size of a device's blocks in bytes: a power of two, 1..=65536.
///
/// 1 means a byte-addressable device: a file, a slice, memory-mapped flash.
///
/// ```
/// use qcow1::BlockSize;
///
/// assert_eq!(BlockSize::new(4096), Some(BlockSize::B4096));
/// assert_eq!(BlockSize::new(520), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockSize {
    shift: u8,
}

impl BlockSize {
    /// 1 byte: a file, a slice, memory-mapped flash.
    pub const BYTE: Self = Self { shift: 0 };
    /// 512 bytes, the sector of most disks.
    pub const B512: Self = Self { shift: 9 };
    /// 4,096 bytes, the sector of 4Kn disks.
    pub const B4096: Self = Self { shift: 12 };

    /// Checks a block size in bytes. Returns `None` unless it is a power of two in 1..=65536.
    #[must_use]
    pub const fn new(bytes: u32) -> Option<Self> {
        let mut shift = 0;
        // Bound: 17 turns, one for each allowed power of two.
        while shift <= 16 {
            if bytes == 1_u32.wrapping_shl(shift) {
                // `to_le_bytes` narrows without a cast; `shift` is at most 16.
                return Some(Self {
                    shift: shift.to_le_bytes()[0],
                });
            }
            shift = shift.wrapping_add(1);
        }
        None
    }

    /// Returns the size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        1_u32.wrapping_shl(self.shift())
    }

    /// Returns log2 of the size in bytes, 0..=16.
    pub(crate) const fn shift(self) -> u32 {
        // The mask changes nothing, but makes a 64-bit shift cheaper on 32-bit machines.
        u32::from_le_bytes([self.shift, 0, 0, 0]) & 31
    }

    /// Returns the size in bytes, as the length of a buffer.
    pub(crate) const fn len(self) -> usize {
        1_usize.wrapping_shl(self.shift())
    }

    /// Rounds the length of a buffer up to whole blocks.
    pub(crate) const fn round_up_len(self, len: usize) -> usize {
        self.round_down_len(len.saturating_add(self.len().wrapping_sub(1)))
    }

    /// Rounds the length of a buffer down to whole blocks.
    pub(crate) const fn round_down_len(self, len: usize) -> usize {
        len & !self.len().wrapping_sub(1)
    }

    /// Rounds `bytes` down to whole blocks.
    pub(crate) const fn round_down(self, bytes: u64) -> u64 {
        bytes & !self.mask()
    }

    /// Returns the mask of the bits of an offset inside its block.
    const fn mask(self) -> u64 {
        // `u64::from` is not `const`.
        let [a, b, c, d] = self.bytes().wrapping_sub(1).to_le_bytes();
        u64::from_le_bytes([a, b, c, d, 0, 0, 0, 0])
    }

    /// Returns the position of the byte at `offset` inside its block.
    pub(crate) const fn within(self, offset: u64) -> u64 {
        offset & self.mask()
    }

    /// Returns the number of blocks in `bytes` bytes, including a partial last block.
    pub(crate) const fn count(self, bytes: u64) -> u64 {
        // At most 2^64 - 1 blocks: with blocks of one byte, none is partial.
        let partial = self.round_down(bytes) != bytes;
        self.lba(bytes).wrapping_add(if partial { 1 } else { 0 })
    }

    /// Returns the address of the block that holds the byte at `offset`.
    pub(crate) const fn lba(self, offset: u64) -> u64 {
        offset.wrapping_shr(self.shift())
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for BlockSize {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "BlockSize({=u32})", self.bytes());
    }
}

impl fmt::Debug for BlockSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BlockSize").field(&self.bytes()).finish()
    }
}

impl fmt::Display for BlockSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes())
    }
}

/// A block device that holds an image: the trait that you implement over a disk driver.
///
/// It is implemented for byte slices, arrays and `&mut D`. The feature `alloc` adds `Box<D>`, and
/// `std` adds `File`. Wrappers such as [`FromIo`](crate::FromIo) adapt other traits. It is
/// dyn-compatible.
///
/// The bytes must not change while an [`Image`](crate::Image) is open, because it caches table
/// blocks.
///
/// ```
/// use qcow1::{BlockRead, BlockSize, Error, Image};
///
/// struct Disk<'a>(&'a [[u8; 512]]); // your driver
///
/// #[derive(Debug)]
/// struct ReadFailed; // its error
///
/// impl BlockRead for Disk<'_> {
///     type Error = ReadFailed;
///
///     fn block_size(&self) -> BlockSize {
///         BlockSize::B512
///     }
///
///     fn size(&mut self) -> Result<u64, ReadFailed> {
///         Ok(self.0.len() as u64 * 512)
///     }
///
///     fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), ReadFailed> {
///         let blocks = self.0.get(lba as usize..).ok_or(ReadFailed)?;
///         for (to, from) in buf.chunks_exact_mut(512).zip(blocks) {
///             to.copy_from_slice(from);
///         }
///         Ok(())
///     }
/// }
///
/// let (sectors, _) = include_bytes!("../../tests/data/plain.qcow").as_chunks();
/// let mut image = Image::open(Disk(sectors), [0; 4096])?;
/// let mut sector = [0; 512];
/// image.read_at(0, &mut sector)?;
/// # Ok::<(), Error<ReadFailed>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a device that is read synchronously",
    note = "`std::fs::File` needs the feature `std`, and `Box<D>` the feature `alloc`",
    note = "wrappers adapt other traits: `FromIo`, and with the feature of their crate `FromStorage`, `FromNorFlash`, `FromBlockIo`",
    note = "an asynchronous device implements `qcow1::aio::BlockRead`, and `qcow1::aio::Image` opens it"
)]
pub trait BlockRead {
    /// The error of a failed read.
    ///
    /// | use | the error must implement |
    /// |---|---|
    /// | reading | `Debug` |
    /// | embedded-io's traits of [`Cursor`](crate::Cursor) | `embedded_io::Error` |
    /// | the adapters to other crates' traits, a boxed error | [`core::error::Error`] |
    /// | the standard library's streams | [`core::error::Error`]` + Send + Sync + 'static` |
    ///
    /// [`embedded_io::ErrorKind`](::embedded_io::ErrorKind) implements all of these.
    type Error: fmt::Debug;

    /// Returns the size of a block. Every call must return the same value.
    fn block_size(&self) -> BlockSize;

    /// Returns the size in bytes: that of the image file if it is known, else that of the device.
    ///
    /// The size need not be a multiple of the block size: the other bytes of the last block are
    /// ignored. Opening an image calls this method once. It refuses a size of more than 2^63 bytes,
    /// and checks offsets in the image against the size.
    ///
    /// # Errors
    /// The device's own error if the size cannot be determined.
    fn size(&mut self) -> Result<u64, Self::Error>;

    /// Fills `buf` from the blocks that start at `lba` (in blocks, not bytes).
    ///
    /// `buf` is a whole number of blocks, at least one, and the range never reaches past the last
    /// block. A call fills all of `buf` or returns an error: there are no short reads.
    ///
    /// `buf` may have any alignment, lie anywhere in memory, and be as long as the buffer of the
    /// caller's read. If the driver has limits, wrap it in [`Aligned`](crate::Aligned),
    /// [`Bounced`](crate::Bounced) or [`Limited`](crate::Limited).
    ///
    /// # Errors
    /// The device's own error. The image stays usable, and the read can be retried.
    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Self::Error>;
}

impl<D: BlockRead + ?Sized> BlockRead for &mut D {
    type Error = D::Error;

    fn block_size(&self) -> BlockSize {
        (**self).block_size()
    }

    fn size(&mut self) -> Result<u64, Self::Error> {
        (**self).size()
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Self::Error> {
        (**self).read_blocks(lba, buf)
    }
}
