//! Compressed clusters: the lent memory that they are read and inflated in, and what it holds.

use qcow1_inflate::{Workspace, inflate};

use crate::device::BlockSize;
use crate::format::geometry::Geometry;
use crate::offset::{HostOffset, byte_count, index, saturating_u32, saturating_usize};
use crate::reader::device_shape::DeviceShape;
use crate::reader::stop::Stop;

/// A compressed cluster as its table word has it: the whole word, since a right offset with a wrong size is another
/// stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) host: HostOffset,
    pub(crate) len: u32,
}

/// Where the memory for compressed clusters is, and what it holds.
pub(crate) struct Compressed {
    /// Where in the memory the input starts: a part of the file as it is, from `input_start` on, where a block starts.
    input_at: u32,
    /// Where the output starts: one inflated cluster.
    output_at: u32,
    /// Where the decoder's tables start, which mean nothing between two calls.
    tables_at: u32,
    /// The number of valid bytes of the input: 0 while others are being read into it.
    input_len: u32,
    input_start: HostOffset,
    /// The number of valid bytes once those have been read.
    pending_len: u32,
    /// Whether they are more than one stream.
    reads_ahead: bool,
    /// Which stream the output was inflated from. None while it is being written to.
    inflated: Option<Stream>,
}

/// Returns the minimum length of the input: a stream is shorter than a cluster, and begins and ends anywhere in a block.
fn input_size(geometry: Geometry, block_size: BlockSize) -> usize {
    let partial_block = if block_size == BlockSize::BYTE {
        0
    } else {
        block_size.len()
    };
    block_size
        .round_up_len(geometry.cluster_bits.len())
        .saturating_add(partial_block)
}

impl Compressed {
    /// The maximum read-ahead in bytes.
    pub(crate) const MAX_READ_AHEAD: usize = 64 << 10;

    /// The number of bytes beyond [`Compressed::needs`] with which the decoder gets [`Workspace::FAST`]. They leave 8 slots of
    /// the table cache with their tags, because fast inflating does not pay if every look-up goes to the device.
    pub(crate) const FAST: usize = Workspace::FAST - Workspace::SMALL + 8 * (512 + 12);

    /// Returns the number of bytes that reading compressed clusters takes, whatever the alignment of the memory.
    pub(crate) fn needs(geometry: Geometry, block_size: BlockSize) -> usize {
        input_size(geometry, block_size)
            .saturating_add(geometry.cluster_bits.len())
            .saturating_add(Workspace::SMALL)
    }

    /// Takes its part of the memory, which has `len` bytes, and returns where that starts: at `minimum` or more. If there is too
    /// little memory, it takes nothing. The decoder gets its large tables if there is room for them, and an eighth of what is
    /// left is read-ahead.
    pub(crate) fn split(len: u32, geometry: Geometry, block_size: BlockSize, minimum: usize) -> (Option<Self>, u32) {
        let needs = Self::needs(geometry, block_size).saturating_add(minimum);
        let Some(spare) = index(len).checked_sub(needs) else {
            return (None, len);
        };
        let (tables, spare) = match spare.checked_sub(Self::FAST) {
            Some(spare) => (Workspace::FAST, spare),
            None => (Workspace::SMALL, 0),
        };
        let read_ahead = block_size.round_down_len(spare.wrapping_shr(3).min(Self::MAX_READ_AHEAD));
        let input = input_size(geometry, block_size).saturating_add(read_ahead);
        let before = |end: u32, size: usize| end.saturating_sub(saturating_u32(byte_count(size)));
        let tables_at = before(len, tables);
        let output_at = before(tables_at, geometry.cluster_bits.len());
        let input_at = before(output_at, input);
        let this = Self {
            input_at,
            output_at,
            tables_at,
            input_len: 0,
            input_start: HostOffset(0),
            pending_len: 0,
            reads_ahead: false,
            inflated: None,
        };
        (Some(this), input_at)
    }

    fn input<'m>(&self, memory: &'m mut [u8]) -> &'m mut [u8] {
        let range = index(self.input_at)..index(self.output_at);
        memory.get_mut(range).unwrap_or_default()
    }

    /// Fills `to` with the bytes of the inflated cluster from `within` on, and returns `true`; or returns `false` if what
    /// [`Compressed::missing`] names has to be read first.
    ///
    /// `ahead` is the number of guest bytes that the caller reads from here on.
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
        if self.inflated != Some(stream) {
            if !self.has(stream) {
                self.plan_read(stream, ahead, device);
                if self.input_start < device.end {
                    return Ok(false);
                }
                // Only salvage reads a stream that is wholly past the end of the file: nothing of it can be read.
                self.publish();
            }
            let in_file = saturating_u32(device.end.since(stream.host));
            let cluster_size = self.tables_at.wrapping_sub(self.output_at);
            if to.len() == index(cluster_size) {
                return self.inflate(memory, stream, in_file, Some(to)).map(|()| true);
            }
            self.inflated = None;
            self.inflate(memory, stream, in_file, None)?;
            self.inflated = Some(stream);
        }
        let output = memory
            .get(index(self.output_at)..index(self.tables_at))
            .unwrap_or_default();
        let from = output.get(saturating_usize(within)..);
        // `to` is a part of the cluster.
        let from = from.and_then(|from| from.get(..to.len())).ok_or(Stop::OutOfRange)?;
        to.copy_from_slice(from);
        Ok(true)
    }

    /// Returns what to read: the number of the first block, and the buffer for the blocks.
    pub(crate) fn missing<'m>(&self, memory: &'m mut [u8], device: &DeviceShape) -> (u64, &'m mut [u8]) {
        let len = device.readable(self.input_start, index(self.pending_len));
        let input = self.input(memory);
        (device.lba(self.input_start), input.get_mut(..len).unwrap_or_default())
    }

    /// Takes in what [`Compressed::missing`] named, once it has been read. Bytes past the end of the file have any value.
    pub(crate) fn publish(&mut self) {
        self.input_len = self.pending_len;
    }

    /// Chooses what to read for `stream`, and forgets what was read before.
    ///
    /// Streams that follow each other in the file are read together.
    fn plan_read(&mut self, stream: Stream, ahead: u64, device: &DeviceShape) {
        let follows = self.input_len != 0 && self.skip_to(stream) <= self.input_len.into();
        let wanted = if follows {
            stream.len.max(saturating_u32(ahead))
        } else {
            stream.len
        };
        let room = self.output_at.wrapping_sub(self.input_at);
        self.input_start = HostOffset(device.block_size.round_down(stream.host.0));
        let skip = saturating_u32(self.skip_to(stream));
        let end = index(skip.wrapping_add(wanted.min(room)));
        self.pending_len = saturating_u32(byte_count(device.block_size.round_up_len(end))).min(room);
        self.reads_ahead = wanted > stream.len;
        self.input_len = 0;
    }

    /// Reacts to a failed read of what [`Compressed::missing`] named. Returns `true` if there is less to read: the stream alone,
    /// since nothing is read ahead after a failure.
    pub(crate) fn narrow(&mut self) -> bool {
        core::mem::take(&mut self.reads_ahead)
    }

    /// Returns the number of bytes from the start of the input to the stream, modulo 2^64.
    fn skip_to(&self, stream: Stream) -> u64 {
        stream.host.0.wrapping_sub(self.input_start.0)
    }

    /// Returns whether the whole stream is in the input.
    fn has(&self, stream: Stream) -> bool {
        let room = self.input_len.checked_sub(stream.len);
        room.is_some_and(|room| self.skip_to(stream) <= room.into())
    }

    /// Forgets the input and the output.
    pub(crate) fn forget(&mut self) {
        self.input_len = 0;
        self.inflated = None;
    }

    /// Inflates a stream that has been read, and of which `in_file` bytes are in the file, into the whole of `cluster` or of the
    /// output.
    ///
    /// If the end of the file cuts the stream, which only salvage reads, the cluster gets the bytes that the rest of the
    /// stream yields, and zeros after them.
    // Not inlined: two calls would double it.
    #[inline(never)]
    fn inflate(
        &mut self,
        memory: &mut [u8],
        stream: Stream,
        in_file: u32,
        cluster: Option<&mut [u8]>,
    ) -> Result<(), Stop> {
        let skip = self.input_at.wrapping_add(saturating_u32(self.skip_to(stream)));
        let (input, rest) = memory.split_at_mut_checked(index(self.output_at)).unwrap_or_default();
        let input = input.get(index(skip)..).unwrap_or_default();
        let input = input.get(..index(stream.len.min(in_file))).unwrap_or_default();
        let cluster_size = self.tables_at.wrapping_sub(self.output_at);
        let (output, tables) = rest.split_at_mut_checked(index(cluster_size)).unwrap_or_default();
        let cluster = cluster.unwrap_or(output);
        // The memory may have moved since the last call, so the tables may lie elsewhere in their part.
        let mut workspace = Workspace::new(tables).ok_or(Stop::MemoryTooSmall)?;
        let is_whole = in_file >= stream.len;
        // The decoder fills a buffer or fails, so the longest prefix of the cluster that it fills is searched: the first try is
        // the whole cluster.
        let (mut filled, mut failed) = (0, cluster.len().saturating_add(1));
        let mut len = cluster.len();
        // Bound: 18 turns, since each but the last halves the 65,537 lengths that are left.
        loop {
            let prefix = cluster.get_mut(..len).unwrap_or_default();
            let result = inflate(input, prefix, &mut workspace);
            if is_whole {
                return result.map_err(Stop::Stream);
            }
            if result.is_err() {
                failed = len;
            } else if failed.saturating_sub(len) == 1 {
                cluster.get_mut(len..).unwrap_or_default().fill(0);
                return Ok(());
            } else {
                filled = len;
            }
            len = filled.midpoint(failed);
        }
    }
}
