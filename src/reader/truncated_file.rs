//! What is read past the end of a truncated file: zeros in salvage, an error otherwise.
//!
//! | the file ends inside | without salvage | in salvage |
//! |---|---|---|
//! | the L1 table | opening fails | L1 words past the end are holes |
//! | an L2 table | [`CorruptKind::L2PastEnd`] | L2 words past the end are holes |
//! | a plain cluster | [`CorruptKind::ClusterPastEnd`], unless the disk ends there too | zeros after its bytes in the file, which are whole sectors if it is encrypted |
//! | a compressed cluster | [`CorruptKind::StreamPastEnd`] | zeros after the bytes that the rest of the stream inflates to |
//! | the backing file's name | opening fails | zeros |

use crate::device::BlockSize;
use crate::error::CorruptKind;
use crate::offset::{HostOffset, index, saturating_u32};
use crate::reader::device_shape::DeviceShape;
use crate::reader::stop::Stop;

impl DeviceShape {
    /// Checks that the file has all `len` bytes that start at `start`, which is below 2^63.
    ///
    /// # Errors
    /// [`Stop::Corrupt`] with `kind` if it lacks any, except in salvage.
    pub(crate) fn require(&self, start: HostOffset, len: u64, kind: CorruptKind) -> Result<(), Stop> {
        if self.contains(start, len) || self.salvage {
            Ok(())
        } else {
            Err(Stop::Corrupt(kind))
        }
    }

    /// Fills the part of `buffer` past the end of the file with zeros. `buffer` has the bytes that
    /// start at `start`, which is inside the file.
    pub(crate) fn zero_past_end(&self, start: HostOffset, buffer: &mut [u8]) {
        let in_file = saturating_u32(self.end.0.wrapping_sub(start.0));
        buffer.get_mut(index(in_file)..).unwrap_or_default().fill(0);
    }

    /// Returns the number of bytes that can be read of a plain cluster of `size` bytes, of which
    /// `in_file` are in the file and `in_disk` inside the guest's disk. It is read in units of
    /// `unit`.
    ///
    /// # Errors
    /// [`Stop::Corrupt`] if bytes inside the disk are missing, except in salvage.
    // Inlined into its one caller: by itself, it would take 8 bytes more.
    #[inline(always)]
    pub(crate) fn readable_of_truncated_cluster(
        &self,
        size: u32,
        in_file: u32,
        in_disk: u32,
        unit: BlockSize,
    ) -> Result<u32, Stop> {
        let within_unit = unit.bytes().wrapping_sub(1);
        // The file need not contain the last cluster's bytes past the end of the disk, except the
        // rest of an encrypted sector, which is read as a whole.
        if in_file >= in_disk.wrapping_add(within_unit) & !within_unit {
            // The part of the cluster inside the disk is complete, and no walk reaches past it.
            Ok(size)
        } else if self.salvage {
            Ok(in_file & !within_unit)
        } else {
            Err(Stop::Corrupt(CorruptKind::ClusterPastEnd))
        }
    }
}
