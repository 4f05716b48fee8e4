//! Fast path: whole blocks of one plain cluster whose table words are cached.

use crate::error::Error;
use crate::format::entry::L2Entry;
use crate::offset::{GuestOffset, byte_count, index, low_u32};
use crate::reader::image_state::{ImageState, Storage};

impl ImageState {
    /// Returns `offset` as a guest offset if the `len` bytes that start there lie inside the disk.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if they do not.
    pub(crate) fn check_range<E>(&self, offset: u64, len: usize) -> Result<GuestOffset, Error<E>> {
        match offset.checked_add(byte_count(len)) {
            Some(end) if end <= self.size().0 => Ok(GuestOffset(offset)),
            _ => Err(Error::OutOfRange),
        }
    }

    /// Returns the number of the first block of the `len` guest bytes from `start` on, inside the
    /// disk, if they are whole blocks of one plain cluster whose table words are cached. Otherwise,
    /// `None`: a [`ChainRead`](crate::reader::read::ChainRead) finds out how they are stored.
    #[inline(never)]
    pub(crate) fn direct_lba(&mut self, memory: &mut [u8], start: GuestOffset, len: usize) -> Option<u64> {
        let block_size = self.device().block_size;
        let geometry = self.geometry()?;
        let within = index(low_u32(geometry.within_cluster(start)));
        let is_one_cluster = len != 0 && len.checked_add(within)? <= geometry.cluster_bits.len();
        if !is_one_cluster || block_size.round_down_len(len) != len || self.plain_storage() != Storage::Data {
            return None;
        }
        // After a miss, the `ChainRead` that follows reads the piece.
        self.look_up(geometry, start, memory).ok()?;
        let Ok(L2Entry::Data(cluster)) = L2Entry::decode(self.last_word(), geometry.cluster_bits) else {
            return None;
        };
        let host = cluster.wrapping_add(byte_count(within));
        let is_in_file = self.device().contains(cluster, geometry.cluster_size());
        // Clusters start at sectors, which need not be blocks.
        (is_in_file && block_size.within(host.0) == 0).then(|| block_size.lba(host.0))
    }
}
