//! Reads compressed clusters ahead and inflates them, in a part of the lent memory.

use qcow1_inflate::{Workspace, inflate};

use crate::device::BlockSize;
use crate::format::geometry::Geometry;
use crate::offset::{HostOffset, byte_count, index, low_u32, saturating_u32};
use crate::reader::device_shape::DeviceShape;
use crate::reader::stop::Stop;

/// The place and the length of a stream, as its table word states them. Both identify it: the same
/// offset with another length is another stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) host: HostOffset,
    pub(crate) len: u32,
}

/// Inflates compressed clusters: the offsets of its buffers in the memory, and what they hold.
pub(crate) struct ClusterInflater {
    /// The offset of the input in the memory. The input is a part of the file that starts at
    /// `input_start`, which is block-aligned.
    input_at: u32,
    /// The offset of the output: one inflated cluster.
    output_at: u32,
    /// The offset of the decoder's tables. Their contents are not kept between calls.
    tables_at: u32,
    /// The number of valid bytes of the input: 0 while the driver reads others into it.
    input_len: u32,
    input_start: HostOffset,
    /// The number of valid bytes once the driver has read those.
    pending_len: u32,
    /// Whether the driver reads more than one stream.
    reads_ahead: bool,
    /// The stream that the output was inflated from. While the output is being written, its length
    /// is 0, which no stream has.
    inflated_stream: Stream,
}

/// Returns the minimum length of the input: a stream is shorter than a cluster, and may begin and
/// end anywhere in a block.
fn input_size(geometry: Geometry, block_size: BlockSize) -> usize {
    let last_of_block = block_size.len().wrapping_sub(1);
    block_size.round_up_len(geometry.cluster_bits.len().saturating_add(last_of_block))
}

/// Returns the length of a part of the memory.
fn part_len(len: usize) -> u32 {
    saturating_u32(byte_count(len))
}

impl ClusterInflater {
    /// The maximum read-ahead in bytes.
    pub(crate) const MAX_READ_AHEAD: usize = 64 << 10;

    /// The number of bytes beyond [`ClusterInflater::memory_needed`] with which the decoder gets
    /// [`Workspace::FAST`]. They leave 8 slots of the table cache with their tags, because fast
    /// inflating does not pay if every look-up goes to the device.
    pub(crate) const FAST: usize = Workspace::FAST - Workspace::SMALL + 8 * (512 + 12);

    /// Returns the number of bytes of memory that compressed clusters need, for memory of any
    /// alignment.
    pub(crate) fn memory_needed(geometry: Geometry, block_size: BlockSize) -> usize {
        input_size(geometry, block_size)
            .saturating_add(geometry.cluster_bits.len())
            .saturating_add(Workspace::SMALL)
    }

    /// Reserves the end of the memory, which has `len` bytes, and returns the offset of that part:
    /// at least `minimum`. If there is too little memory, it reserves nothing. The decoder gets its
    /// large tables if there is room for them, and three eighths of the rest become read-ahead, at
    /// most [`ClusterInflater::MAX_READ_AHEAD`].
    pub(crate) fn reserve(len: u32, geometry: Geometry, block_size: BlockSize, minimum: usize) -> (Option<Self>, u32) {
        // No sum wraps: each part but the read-ahead is smaller than 1 MiB.
        let input = part_len(input_size(geometry, block_size));
        let output = geometry.cluster_bits.cluster_size();
        let needed = input
            .wrapping_add(output)
            .wrapping_add(part_len(Workspace::SMALL))
            .wrapping_add(part_len(minimum));
        let Some(spare) = len.checked_sub(needed) else {
            return (None, len);
        };
        let (tables, spare) = match spare.checked_sub(part_len(Self::FAST)) {
            Some(spare) => (Workspace::FAST, spare),
            None => (Workspace::SMALL, 0),
        };
        // With 64 KiB lent and clusters of 4 KiB, reads in order take less than half the requests
        // that an eighth gave, and the tables keep 8 of their largest slots.
        let read_ahead = index(spare.wrapping_shr(3).wrapping_mul(3)).min(Self::MAX_READ_AHEAD);
        let input = input.wrapping_add(part_len(block_size.round_down_len(read_ahead)));
        // No difference is below `minimum`.
        let tables_at = len.wrapping_sub(part_len(tables));
        let output_at = tables_at.wrapping_sub(output);
        let input_at = output_at.wrapping_sub(input);
        let this = Self {
            input_at,
            output_at,
            tables_at,
            input_len: 0,
            input_start: HostOffset(0),
            pending_len: 0,
            reads_ahead: false,
            inflated_stream: Stream {
                host: HostOffset(0),
                len: 0,
            },
        };
        (Some(this), input_at)
    }

    /// Fills `to` with the inflated cluster's bytes that start at `within`. Returns `false` if
    /// [`ClusterInflater::pending_request`] must be read first.
    ///
    /// `ahead` is the number of guest bytes that the caller still reads, these included.
    ///
    /// # Errors
    /// Returns why the stream does not inflate to a cluster.
    pub(crate) fn read(
        &mut self,
        memory: &mut [u8],
        stream: Stream,
        within: u64,
        to: &mut [u8],
        ahead: u64,
        device: &DeviceShape,
    ) -> Result<bool, Stop> {
        let in_file = saturating_u32(device.end.since(stream.host));
        let is_inflated = self.inflated_stream == stream;
        // A stream that is wholly past the end of the file, which only salvage reads, has no bytes.
        // Nothing is read for it.
        let skip = if in_file == 0 { 0 } else { self.offset_in_input(stream) };
        if !is_inflated && in_file != 0 && !self.has_stream(stream, skip) {
            self.plan_read(stream, skip, ahead, device);
            return Ok(false);
        }
        let (rest, tables) = split(memory, self.tables_at)?;
        let (rest, output) = split(rest, self.output_at)?;
        if !is_inflated {
            let (_, input) = split(rest, self.input_at.wrapping_add(skip))?;
            let (input, _) = split(input, stream.len.min(in_file))?;
            let is_cluster = to.len() == output.len();
            let cluster = if is_cluster {
                &mut *to
            } else {
                self.inflated_stream.len = 0;
                &mut *output
            };
            inflate_cluster(input, in_file >= stream.len, cluster, tables)?;
            if is_cluster {
                return Ok(true);
            }
            self.inflated_stream = stream;
        }
        let from = output.get(index(low_u32(within))..);
        // `to` is a part of the cluster.
        let from = from.and_then(|from| from.get(..to.len())).ok_or(Stop::OutOfRange)?;
        to.copy_from_slice(from);
        Ok(true)
    }

    /// Returns what to read: the number of the first block, and the buffer for the blocks.
    pub(crate) fn pending_request<'m>(&self, memory: &'m mut [u8], device: &DeviceShape) -> (u64, &'m mut [u8]) {
        let input = memory.get_mut(index(self.input_at)..).unwrap_or_default();
        let input = input.get_mut(..index(self.pending_len));
        device.request(self.input_start, input.unwrap_or_default())
    }

    /// Publishes the input that the driver has read. Input past the end of the file is unspecified.
    pub(crate) fn publish(&mut self) {
        self.input_len = self.pending_len;
    }

    /// Chooses what to read for `stream`, and forgets the present input. `skip` is the result of
    /// [`ClusterInflater::offset_in_input`].
    ///
    /// Streams that follow each other in the file are read together.
    fn plan_read(&mut self, stream: Stream, skip: u32, ahead: u64, device: &DeviceShape) {
        let follows = self.input_len != 0 && skip <= self.input_len;
        let wanted = if follows {
            stream.len.max(saturating_u32(ahead))
        } else {
            stream.len
        };
        let room = self.output_at.wrapping_sub(self.input_at);
        self.input_start = HostOffset(device.block_size.round_down(stream.host.0));
        let skip = low_u32(device.block_size.within(stream.host.0));
        let end = index(skip.wrapping_add(wanted.min(room)));
        self.pending_len = part_len(device.block_size.round_up_len(end)).min(room);
        self.reads_ahead = wanted > stream.len;
        self.input_len = 0;
    }

    /// Reacts to a failed read of what [`ClusterInflater::pending_request`] named. Returns `true`
    /// if a smaller read is possible: the stream alone, since nothing is read ahead after a
    /// failure.
    pub(crate) fn narrow(&mut self) -> bool {
        core::mem::take(&mut self.reads_ahead)
    }

    /// Returns the number of bytes from the start of the input to the stream, or `u32::MAX` if the
    /// stream starts before the input or too far after it.
    fn offset_in_input(&self, stream: Stream) -> u32 {
        saturating_u32(stream.host.0.wrapping_sub(self.input_start.0))
    }

    /// Returns whether the whole stream is in the input, `skip` bytes from its start.
    fn has_stream(&self, stream: Stream, skip: u32) -> bool {
        let room = self.input_len.checked_sub(stream.len);
        room.is_some_and(|room| skip <= room)
    }

    /// Forgets the input and the output.
    pub(crate) fn forget(&mut self) {
        self.input_len = 0;
        self.inflated_stream.len = 0;
    }
}

/// Splits a part of the memory.
///
/// # Errors
/// Unreachable: `at` is an offset in the memory, which never becomes shorter.
fn split(memory: &mut [u8], at: u32) -> Result<(&mut [u8], &mut [u8]), Stop> {
    memory.split_at_mut_checked(index(at)).ok_or(Stop::OutOfRange)
}

/// Inflates a stream into the whole of `cluster`.
///
/// If `input` is not the whole stream, because the file is truncated, the cluster gets the bytes
/// that `input` yields, and zeros after them. Only salvage reads such a stream.
// Not inlined: two calls would double it.
#[inline(never)]
fn inflate_cluster(input: &[u8], is_whole: bool, cluster: &mut [u8], tables: &mut [u8]) -> Result<(), Stop> {
    // The memory may have moved since the last call, so the tables may lie elsewhere in their part.
    let mut workspace = Workspace::new(tables).ok_or(Stop::MemoryTooSmall)?;
    // The decoder fills a buffer or fails, so the longest prefix of the cluster that it fills is
    // searched. The first try is the whole cluster, whose size is a power of two.
    let mut filled = 0_usize;
    let mut step = cluster.len();
    // Bound: 18 turns, from a step of 65,536 to one of 0, which inflates the longest prefix again.
    loop {
        let end = filled.wrapping_add(step);
        if let Some(prefix) = cluster.get_mut(..end) {
            let result = inflate(input, prefix, &mut workspace);
            if is_whole {
                return result.map_err(Stop::Stream);
            }
            if result.is_ok() {
                filled = end;
            }
        }
        if step == 0 {
            break;
        }
        step >>= 1;
    }
    cluster.get_mut(filled..).unwrap_or_default().fill(0);
    Ok(())
}
