//! The trait that a caller implements, what implements it already, and the devices that wrap others.

pub(crate) mod aligned;
pub(crate) mod blocks;
#[cfg(feature = "std")]
mod boxed;
pub(crate) mod embedded_io;
#[cfg(feature = "embedded-storage")]
pub(crate) mod embedded_storage;
pub(crate) mod fault_injector;
#[cfg(feature = "std")]
mod file;
#[cfg(feature = "gpt_disk_io")]
pub(crate) mod gpt_disk_io;
#[cfg(feature = "embedded-storage")]
pub(crate) mod nor_flash;
mod slice;
pub(crate) mod tracer;

use core::fmt;

/// The size of a device's blocks in bytes: a power of two, 1..=65536.
///
/// 1 stands for a byte-addressable device: a file, a slice, memory-mapped flash.
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

    /// Returns the block size of `bytes` bytes, or `None` unless that is a power of two in 1..=65536.
    #[must_use]
    pub const fn new(bytes: u32) -> Option<Self> {
        let mut shift = 0;
        // At most 17 turns: one for each power of two that is allowed.
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

    /// log2 of the size in bytes, 0..=16.
    pub(crate) const fn shift(self) -> u32 {
        // The mask changes nothing, but saves machines of 32 bits half of a shift.
        u32::from_le_bytes([self.shift, 0, 0, 0]) & 31
    }

    /// The size in bytes, as the length of a buffer.
    pub(crate) const fn len(self) -> usize {
        1_usize.wrapping_shl(self.shift())
    }

    /// The length of a buffer rounded up to whole blocks.
    pub(crate) const fn round_up_len(self, len: usize) -> usize {
        self.round_down_len(len.saturating_add(self.len().wrapping_sub(1)))
    }

    /// The length of a buffer rounded down to whole blocks.
    pub(crate) const fn round_down_len(self, len: usize) -> usize {
        len & !self.len().wrapping_sub(1)
    }

    /// `bytes` rounded up to whole blocks; saturates at the last whole block of the 64-bit range.
    pub(crate) const fn round_up(self, bytes: u64) -> u64 {
        self.round_down(bytes.saturating_add(self.mask()))
    }

    /// `bytes` rounded down to whole blocks.
    pub(crate) const fn round_down(self, bytes: u64) -> u64 {
        bytes & !self.mask()
    }

    /// The bits of an offset that say where in a block it is.
    const fn mask(self) -> u64 {
        // `u64::from`, which is not const.
        let [a, b, c, d] = self.bytes().wrapping_sub(1).to_le_bytes();
        u64::from_le_bytes([a, b, c, d, 0, 0, 0, 0])
    }

    /// Where in its block the byte at `offset` is.
    pub(crate) const fn within(self, offset: u64) -> u64 {
        offset & self.mask()
    }

    /// The blocks that `bytes` bytes take, the last of which may be partial.
    pub(crate) const fn count(self, bytes: u64) -> u64 {
        // At most 2^64 - 1 blocks: where a block is one byte, none is partial.
        let partial = self.round_down(bytes) != bytes;
        self.lba(bytes).wrapping_add(if partial { 1 } else { 0 })
    }

    /// The address of the block that holds the byte at `offset`.
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

/// A device that holds an image: the trait that a firmware implements.
///
/// It is implemented for byte slices and arrays, for `&mut D`, so a device can be lent, and with the feature `std` for
/// `File` and `Box<D>`; wrappers adapt other traits. It is dyn-compatible.
///
/// The bytes must not change while an [`Image`](crate::Image) is open, because it caches table blocks.
///
/// ```
/// use qcow1::{BlockRead, BlockSize};
/// # struct Driver;
/// # #[derive(Debug)] struct DriverError;
/// # impl Driver { fn capacity(&self) -> u64 { 8 } fn read(&mut self, _: u64, _: &mut [u8]) -> Result<(), DriverError> { Ok(()) } }
///
/// struct Disk(Driver);
///
/// impl BlockRead for Disk {
///     type Error = DriverError;
///
///     fn block_size(&self) -> BlockSize {
///         BlockSize::B512
///     }
///
///     fn size(&mut self) -> Result<u64, DriverError> {
///         Ok(self.0.capacity() * 512)
///     }
///
///     fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), DriverError> {
///         self.0.read(lba, buf)
///     }
/// }
/// ```
pub trait BlockRead {
    /// The error of a failed read.
    type Error: fmt::Debug;

    /// Returns the size of a block. Every call returns the same.
    fn block_size(&self) -> BlockSize;

    /// Returns the size in bytes: the end of the image file where that is known, else the end of the device.
    ///
    /// It need not be a multiple of the block size: the rest of the last block is ignored. Opening an image calls it
    /// once, refuses more than 2^63 bytes, and checks offsets in the image against it.
    ///
    /// # Errors
    /// The device's own error, where the size cannot be found out.
    fn size(&mut self) -> Result<u64, Self::Error>;

    /// Fills `buf` from the blocks that start at `lba` (in blocks, not bytes).
    ///
    /// `buf` is a whole number of blocks, at least one, and the range never reaches past the last block. `buf` has any
    /// alignment, and may be as large as the caller's own read. The call fills all of it or fails: there are no short
    /// reads.
    ///
    /// # Errors
    /// The device's own error. The image stays usable, and the same read may be tried again.
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
