//! A device whose driver is in C.

use core::ffi::{c_int, c_void};
use core::ops::Range;

use qcow1::{BlockRead, BlockSize, Limited};

use crate::error::{Code, Failure};

/// A device that holds an image: a callback, and the context that it gets.
///
/// It is copied, so it need not live longer than the call. `ctx` is only passed to the callback.
#[repr(C)]
pub struct DeviceDescription {
    /// Passed to each call of `read`. May be null.
    pub ctx: *mut c_void,
    /// The size of the image file in bytes, if it is known, else of the device: at most 2^63. It
    /// need not be a multiple of `block_size`: bytes of the last block past it are ignored.
    pub size: u64,
    /// The size of a block in bytes: a power of two from 1 to 65536. 1 means byte-addressable.
    pub block_size: u32,
    /// The maximum length of one call of `read` in bytes: the limit of a BIOS, a controller or a
    /// virtio queue. It is rounded down to whole blocks, but is at least one block. 0 means no
    /// limit.
    pub max_transfer: u32,
    /// Reads `len` bytes into `buf` from the block `lba` (in blocks). `len` is a whole number of
    /// blocks, never 0, and at most `max_transfer` if that is not 0.
    ///
    /// Returns 0 if all of them were read, or else a positive number of the callback's own, which
    /// the call of this library then returns. The last block may reach past `size`; no block after
    /// it is read. `buf` may have any alignment. It must return: no longjmp(), no C++ exception. It
    /// must not call this library for the same disk.
    pub read: Option<extern "C" fn(ctx: *mut c_void, lba: u64, buf: *mut c_void, len: usize) -> c_int>,
}

/// A valid [`DeviceDescription`].
pub(crate) struct Device {
    callback: Limited<Callback>,
    /// The addresses of the memory that C has lent to the device's image.
    pub(crate) memory: Range<usize>,
}

struct Callback {
    ctx: *mut c_void,
    size: u64,
    block_size: BlockSize,
    read: extern "C" fn(ctx: *mut c_void, lba: u64, buf: *mut c_void, len: usize) -> c_int,
}

/// A result of the callback other than 0.
#[derive(Debug)]
pub(crate) struct DeviceError(c_int);

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        if error.0 > 0 {
            Self {
                error: error.0,
                ..Self::NONE
            }
        } else {
            Code::NegativeFromCallback.into()
        }
    }
}

impl Device {
    pub(crate) fn new(description: &DeviceDescription) -> Result<Self, Code> {
        let callback = Callback {
            ctx: description.ctx,
            size: description.size,
            block_size: BlockSize::new(description.block_size).ok_or(Code::BlockSize)?,
            read: description.read.ok_or(Code::NoReadCallback)?,
        };
        let max_bytes = match description.max_transfer {
            0 => usize::MAX,
            bytes => usize::try_from(bytes).unwrap_or(usize::MAX),
        };
        Ok(Self {
            callback: Limited::new(callback, max_bytes),
            memory: 0..0,
        })
    }

    pub(crate) fn with_memory(self, memory: &[u8]) -> Self {
        let memory = memory.as_ptr_range();
        Self {
            memory: memory.start.addr()..memory.end.addr(),
            ..self
        }
    }
}

impl BlockRead for Device {
    type Error = DeviceError;

    fn block_size(&self) -> BlockSize {
        self.callback.block_size()
    }

    fn size(&mut self) -> Result<u64, DeviceError> {
        self.callback.size()
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), DeviceError> {
        self.callback.read_blocks(lba, buf)
    }
}

impl BlockRead for Callback {
    type Error = DeviceError;

    fn block_size(&self) -> BlockSize {
        self.block_size
    }

    fn size(&mut self) -> Result<u64, DeviceError> {
        Ok(self.size)
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), DeviceError> {
        match (self.read)(self.ctx, lba, buf.as_mut_ptr().cast(), buf.len()) {
            0 => Ok(()),
            error => Err(DeviceError(error)),
        }
    }
}
