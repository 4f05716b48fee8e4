//! Reads a plain run: whole blocks go directly into the caller's buffer, a ragged end goes through
//! the bounce buffer.

use crate::device::BlockSize;
use crate::offset::{GuestOffset, HostOffset, byte_count, index, low_u32, saturating_usize};
use crate::reader::image_state::{ImageState, Storage};
use crate::reader::read::{ChainRead, Pending, Step};
use crate::reader::stop::Stop;

impl ChainRead<'_> {
    /// Requests the next bytes of a plain run: all whole blocks at once, directly into the caller's
    /// buffer, or a ragged end through the bounce buffer.
    pub(super) fn request_run<'a>(
        &'a mut self,
        image: &mut ImageState,
        memory: &'a mut [u8],
    ) -> Result<Step<'a>, Stop> {
        let storage = self.walk.storage();
        if storage == Storage::Encrypted && image.cipher.is_none() {
            return Err(Stop::KeyRequired);
        }
        let host = self.walk.host();
        let len = saturating_usize(self.walk.len());
        let unit = image.device().block_size.max(storage.crypto_unit());
        let skip = index(low_u32(unit.within(host.0)));
        let whole = unit.round_down_len(len);
        let start = HostOffset(unit.round_down(host.0));
        let is_bounced = skip != 0 || whole == 0;
        let (len, buffer) = if is_bounced {
            let bounce = image.parts.cache.bounce_buffer(memory).get_mut(..unit.len());
            (len.min(unit.len().wrapping_sub(skip)), bounce)
        } else {
            (whole, self.dst.get_mut(..whole))
        };
        self.pending = Pending::Data { is_bounced, skip, len };
        // Only a byte-addressable device allows less memory than a bounce buffer, and only parts of
        // sectors need one there.
        let (lba, buffer) = image.device().request(start, buffer.ok_or(Stop::MemoryTooSmall)?);
        Ok(Step::Request(lba, buffer))
    }

    /// Decrypts what the driver has read for the run, which begins at `start`. If it is in the
    /// bounce buffer, copies `len` bytes of it that start at `skip`.
    pub(super) fn finish_run(
        &mut self,
        image: &ImageState,
        memory: &mut [u8],
        start: GuestOffset,
        is_bounced: bool,
        skip: usize,
        len: usize,
    ) -> Result<(), Stop> {
        let end = skip.wrapping_add(len);
        if self.walk.storage() == Storage::Encrypted {
            let read = if is_bounced { &mut *memory } else { &mut *self.dst };
            // Clusters start at sectors in the guest and in the file, so both offsets are equal
            // modulo 512.
            let sectors = read.get_mut(skip & !511..BlockSize::B512.round_up_len(end));
            image.cipher.decrypt(start, sectors.ok_or(Stop::OutOfRange)?)?;
        }
        let to = self.take_dst(byte_count(len));
        if is_bounced {
            let from = memory.get(skip..end).filter(|from| from.len() == to.len());
            to.copy_from_slice(from.ok_or(Stop::OutOfRange)?);
        }
        Ok(())
    }
}
