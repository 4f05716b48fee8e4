//! Opening: what a device's size and first bytes say, decided before the lent memory is split.

use crate::device::BlockSize;
use crate::error::{Corrupt, Error, Fault, Flaw, Unsupported};
use crate::format::header::{Header, PREFIX};
use crate::format::xen::XenL1;
use crate::offset::HostOffset;
use crate::reader::memory;

/// A device's size and block size: small enough that no rounding to blocks saturates.
#[derive(Clone, Copy)]
pub(crate) struct DeviceShape {
    /// At most 2^63.
    end: HostOffset,
    block_size: BlockSize,
}

/// An image that can be opened in memory of the length that it was judged with.
#[derive(Clone, Copy)]
pub(crate) struct Opening {
    /// None: raw.
    pub(crate) header: Option<Header>,
    pub(crate) device_end: HostOffset,
    pub(crate) block_size: BlockSize,
    pub(crate) salvage: bool,
}

impl DeviceShape {
    /// # Errors
    /// [`Unsupported::DeviceSize`] above 2^63 bytes: no table word addresses a byte beyond that.
    pub(crate) fn new(size: u64, block_size: BlockSize) -> Result<Self, Fault> {
        if size > 1 << 63 {
            return Err(Error::Unsupported(Unsupported::DeviceSize(size)));
        }
        let end = HostOffset(size);
        Ok(Self { end, block_size })
    }

    /// The part of the lent memory that the device's first blocks are read into before [`DeviceShape::image`]; empty
    /// for an empty device.
    ///
    /// # Errors
    /// [`Error::MemoryTooSmall`] below what opens an image.
    pub(crate) fn prefix(self, memory: &mut [u8]) -> Result<&mut [u8], Fault> {
        let needed = memory::minimum(self.block_size);
        let memory = memory.get_mut(..needed).ok_or(Error::MemoryTooSmall { needed })?;
        let prefix = self.block_size.round_up(self.end.0.min(PREFIX));
        let prefix = usize::try_from(prefix).unwrap_or(usize::MAX);
        memory.get_mut(..prefix).ok_or(Error::MemoryTooSmall { needed })
    }

    /// The image whose first bytes are where [`DeviceShape::prefix`] said.
    ///
    /// # Errors
    /// A header that is wrong, and [`Error::Corrupt`] where the L1 or the backing name reach past the end of the file.
    pub(crate) fn image(self, memory: &[u8], salvage: bool, xen_l1: XenL1, or_raw: bool) -> Result<Opening, Fault> {
        let prefix = usize::try_from(self.end.0.min(PREFIX)).unwrap_or(usize::MAX);
        let mut header = match Header::parse_with_xen(memory.get(..prefix).unwrap_or_default()) {
            Err(Error::NotQcow) if or_raw => return self.raw(memory),
            header => header?,
        };
        if xen_l1 == XenL1::BigEndian {
            header.ignore_xen_byte_order();
        }
        if !salvage {
            let inside = |start: HostOffset, len: u64| start.0.checked_add(len).is_some_and(|end| end <= self.end.0);
            if !inside(header.l1(), header.l1_bytes()) {
                return Err(Error::Corrupt(Corrupt::header(Flaw::L1PastEnd, header.l1().0)));
            }
            let name = header.backing_name();
            if header.has_backing() && !inside(name, header.backing_name_len().into()) {
                return Err(Error::Corrupt(Corrupt::header(Flaw::NamePastEnd, name.0)));
            }
        }
        Ok(self.opening(Some(header), salvage))
    }

    /// The device as a raw disk.
    ///
    /// # Errors
    /// [`Error::MemoryTooSmall`] below a block, where the device has blocks of more than a byte.
    pub(crate) fn raw(self, memory: &[u8]) -> Result<Opening, Fault> {
        let needed = memory::minimum_raw(self.block_size);
        if memory.len() < needed {
            return Err(Error::MemoryTooSmall { needed });
        }
        Ok(self.opening(None, false))
    }

    fn opening(self, header: Option<Header>, salvage: bool) -> Opening {
        Opening {
            header,
            device_end: self.end,
            block_size: self.block_size,
            salvage,
        }
    }
}
