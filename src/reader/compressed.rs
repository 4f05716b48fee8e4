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
    /// Which stream the output was inflated from. None while it is being written to.
    inflated: Option<Stream>,
}

/// The parts of the memory.
struct Parts<'m> {
    input: &'m mut [u8],
    output: &'m mut [u8],
    tables: &'m mut [u8],
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

    /// The number of bytes beyond [`Compressed::needs`] from which on the decoder gets [`Workspace::FAST`]: those by which it
    /// is larger than [`Workspace::SMALL`], and 8 slots of the table cache with their tags, because to inflate faster and to read
    /// each table word from the device is no gain.
    pub(crate) const FAST: usize = Workspace::FAST - Workspace::SMALL + 8 * (512 + 12);

    /// Returns the number of bytes that reading compressed clusters takes, whatever the alignment of the memory.
    pub(crate) fn needs(geometry: Geometry, block_size: BlockSize) -> usize {
        input_size(geometry, block_size)
            .saturating_add(geometry.cluster_bits.len())
            .saturating_add(Workspace::SMALL)
    }

    /// Takes its part of the memory, which has `len` bytes, and returns where that starts: at `minimum` or more. Where there is too
    /// little memory, it takes nothing. The decoder gets its large tables where there is room for them, and an eighth of what is
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
            inflated: None,
        };
        (Some(this), input_at)
    }

    /// Returns the parts; empty ones if the memory does not have them.
    fn parts<'m>(&self, memory: &'m mut [u8]) -> Parts<'m> {
        let (memory, tables) = memory.split_at_mut_checked(index(self.tables_at)).unwrap_or_default();
        let (memory, output) = memory.split_at_mut_checked(index(self.output_at)).unwrap_or_default();
        let input = memory.get_mut(index(self.input_at)..).unwrap_or_default();
        Parts { input, output, tables }
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
                self.choose(stream, ahead, device);
                if self.input_start < device.end {
                    return Ok(false);
                }
                // Salvage, wholly past the end of the file.
                self.publish(memory, device);
            }
            let cluster_size = self.tables_at.wrapping_sub(self.output_at);
            if to.len() == index(cluster_size) {
                return self.inflate(memory, stream, Some(to)).map(|()| true);
            }
            self.inflated = None;
            self.inflate(memory, stream, None)?;
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

    /// Takes in what [`Compressed::missing`] named, once it has been read. Bytes past the end of the file become zeros.
    pub(crate) fn publish(&mut self, memory: &mut [u8], device: &DeviceShape) {
        let stored = saturating_usize(device.end.since(self.input_start));
        self.input(memory).get_mut(stored..).unwrap_or_default().fill(0);
        self.input_len = self.pending_len;
    }

    /// Chooses what to read for `stream`, and forgets what was read before.
    ///
    /// Streams that follow each other in the file are read together.
    fn choose(&mut self, stream: Stream, ahead: u64, device: &DeviceShape) {
        let (before, before_end) = (self.input_start, self.input_end());
        let follows = self.input_len != 0 && stream.host >= before && stream.host <= before_end;
        let stream_end = stream.host.plus(stream.len.into());
        let end = if follows {
            stream_end.max(stream.host.plus(ahead))
        } else {
            stream_end
        };
        self.input_start = HostOffset(device.block_size.round_down(stream.host.0));
        let pending_len = device.block_size.round_up(end.since(self.input_start));
        self.pending_len = saturating_u32(pending_len).min(self.output_at.wrapping_sub(self.input_at));
        self.input_len = 0;
    }

    /// Returns where the bytes that the input holds end in the file.
    fn input_end(&self) -> HostOffset {
        self.input_start.plus(self.input_len.into())
    }

    /// Forgets the input and the output.
    pub(crate) fn forget(&mut self) {
        self.input_len = 0;
        self.inflated = None;
    }

    fn has(&self, stream: Stream) -> bool {
        stream.host >= self.input_start && stream.host.plus(stream.len.into()) <= self.input_end()
    }

    /// Inflates a stream that has been read into the whole of `cluster`, or of the output.
    // Not inlined: two calls would double it.
    #[inline(never)]
    fn inflate(&mut self, memory: &mut [u8], stream: Stream, cluster: Option<&mut [u8]>) -> Result<(), Stop> {
        let Parts { input, output, tables } = self.parts(memory);
        let skip = saturating_usize(stream.host.since(self.input_start));
        let input = input.get(skip..).unwrap_or_default();
        let input = input.get(..index(stream.len)).unwrap_or_default();
        // The memory may have moved since the last call, so the tables may lie elsewhere in their part.
        let mut workspace = Workspace::new(tables).ok_or(Stop::MemoryTooSmall)?;
        inflate(input, cluster.unwrap_or(output), &mut workspace).map_err(Stop::Stream)
    }
}
