//! Opening: determines the contents of a device from its size and first bytes, before the lent
//! memory is split.

use crate::error::{Corrupt, CorruptKind, Error};
use crate::format::header::{Header, PREFIX};
use crate::offset::{HostOffset, saturating_usize};
use crate::reader::device_shape::DeviceShape;
use crate::reader::lent_memory::{self, MemoryNeeds};

/// The size of the largest block with which [`ProbedDevice::memory_needed`] is computed: larger
/// blocks would not fit on small stacks.
pub(crate) const FIRST_BLOCK: usize = 512;

/// A device whose contents are known: an image with a valid header, or a raw disk. Opening it needs
/// memory of the length that was checked.
#[derive(Clone, Copy)]
pub(crate) struct ProbedDevice {
    /// None: raw.
    pub(crate) header: Option<Header>,
    pub(crate) device: DeviceShape,
}

impl ProbedDevice {
    /// Returns the number of bytes of memory for the image, with `cache` bytes for tables; see
    /// `OpenOptions::memory_needed`.
    pub(crate) fn memory_needed(&self, cache: usize) -> usize {
        let DeviceShape { block_size, end, .. } = self.device;
        self.header.as_ref().map_or_else(
            // Opening reads the header into memory before it knows that the disk is raw.
            || lent_memory::minimum(block_size),
            |header| header.memory_for(block_size, end.0).with_cache(cache),
        )
    }
}

impl DeviceShape {
    /// Returns the number of bytes of memory that are enough for any image on the device, with
    /// `cache` bytes for tables.
    pub(crate) fn memory_for_any_image(self, cache: usize) -> usize {
        MemoryNeeds::for_any_image(self.block_size, self.end.0).with_cache(cache)
    }

    /// Returns the part of the lent memory to read the device's first blocks into before
    /// [`DeviceShape::probe_image`] is called; empty for an empty device.
    ///
    /// # Errors
    /// [`Error::MemoryTooSmall`] if `memory` is too small to open an image.
    pub(crate) fn header_buffer<E>(self, memory: &mut [u8]) -> Result<&mut [u8], Error<E>> {
        let needed = lent_memory::minimum(self.block_size);
        let memory = memory.get_mut(..needed).ok_or(Error::MemoryTooSmall { needed })?;
        let blocks = memory.get_mut(..self.block_size.round_up_len(saturating_usize(PREFIX)));
        let (_, prefix) = self.request(HostOffset(0), blocks.unwrap_or_default());
        Ok(prefix)
    }

    /// Checks the image whose first bytes are in the part of `memory` that
    /// [`DeviceShape::header_buffer`] returned.
    ///
    /// # Errors
    /// Those of [`Header::parse`], except that with `or_raw` a device without the magic is a raw
    /// disk; and [`Error::Corrupt`] if the L1 table or the backing file's name ends past the end of
    /// the file, except in salvage.
    pub(crate) fn probe_image<E>(self, memory: &[u8], salvage: bool, or_raw: bool) -> Result<ProbedDevice, Error<E>> {
        let prefix = saturating_usize(self.end.0.min(PREFIX));
        let header = match Header::parse_with_xen(memory.get(..prefix).unwrap_or_default()) {
            Err(Error::NotQcow | Error::Empty) if or_raw => return self.probe_raw(memory),
            header => header?,
        };
        if !salvage {
            let inside = |start: HostOffset, len: u64| start.0.checked_add(len).is_some_and(|end| end <= self.end.0);
            if !inside(header.l1(), header.l1_bytes()) {
                return Err(Error::Corrupt(Corrupt::in_file(CorruptKind::L1PastEnd, header.l1())));
            }
            let name = header.backing_name();
            if header.has_backing() && !inside(name, header.backing_name_len().into()) {
                return Err(Error::Corrupt(Corrupt::in_file(CorruptKind::BackingNamePastEnd, name)));
            }
        }
        Ok(self.into_probed(Some(header), salvage))
    }

    /// Returns the device as a raw disk.
    ///
    /// # Errors
    /// [`Error::MemoryTooSmall`] for less memory than a block, unless blocks are bytes.
    pub(crate) fn probe_raw<E>(self, memory: &[u8]) -> Result<ProbedDevice, Error<E>> {
        let needed = lent_memory::minimum_raw(self.block_size);
        if memory.len() < needed {
            return Err(Error::MemoryTooSmall { needed });
        }
        Ok(self.into_probed(None, false))
    }

    fn into_probed(self, header: Option<Header>, salvage: bool) -> ProbedDevice {
        let device = Self { salvage, ..self };
        ProbedDevice { header, device }
    }
}
