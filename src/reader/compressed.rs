//! Compressed clusters: the lent memory that they are read and inflated in, and what it holds.

use zerocopy::{FromBytes, IntoBytes, KnownLayout};

use crate::device::BlockSize;
use crate::format::geometry::Geometry;
use crate::inflate::{InflateError, SmallTables, Tables, Workspace, inflate};
use crate::offset::{HostOffset, byte_count, saturating_usize};
use crate::reader::device_shape::DeviceShape;

/// A compressed cluster as its table word has it: the whole word, since a right offset with a wrong size is another
/// stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) host: HostOffset,
    pub(crate) len: u32,
}

/// The memory for compressed clusters, and what it holds.
pub(crate) struct Compressed<'m> {
    /// A part of the file as it is, from `input_start` on, where a block starts.
    input: &'m mut [u8],
    input_start: HostOffset,
    /// The number of valid bytes in `input`: 0 while others are being read into it.
    input_len: usize,
    /// The number of valid bytes once those have been read.
    pending_len: usize,
    /// One inflated cluster.
    output: &'m mut [u8],
    /// Which stream `output` was inflated from. None while it is being written to.
    inflated: Option<Stream>,
    workspace: Workspace<'m>,
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

/// Returns the number of bytes that hold a `T`, whatever the alignment of the memory.
const fn room_for<T>() -> usize {
    size_of::<T>().saturating_add(align_of::<T>().saturating_sub(1))
}

/// Finds the `T` in memory that has room for it.
fn find<T: FromBytes + IntoBytes + KnownLayout>(memory: &mut [u8]) -> Option<&mut T> {
    let skip = memory.as_ptr().align_offset(align_of::<T>());
    T::mut_from_prefix(memory.get_mut(skip..)?).ok().map(|(found, _)| found)
}

impl<'m> Compressed<'m> {
    /// The maximum read-ahead in bytes.
    pub(crate) const MAX_READ_AHEAD: usize = 64 << 10;

    /// The number of bytes beyond [`Compressed::needs`] from which on the decoder gets [`Tables`]: those by which they are
    /// larger than [`SmallTables`], and 8 slots of the table cache with their tags, because to inflate faster and to read
    /// each table word from the device is no gain.
    pub(crate) const FAST: usize = size_of::<Tables>() - size_of::<SmallTables>() + 8 * (512 + 16);

    /// Returns the number of bytes that reading compressed clusters takes, whatever the alignment of the memory.
    pub(crate) fn needs(geometry: Geometry, block_size: BlockSize) -> usize {
        input_size(geometry, block_size)
            .saturating_add(geometry.cluster_bits.len())
            .saturating_add(room_for::<SmallTables>())
    }

    /// Takes its part of `memory` and returns the rest, which is `minimum` bytes or more. Where there is too little memory, it
    /// takes nothing. The decoder gets its large tables where there is room for them, and an eighth of what is left is
    /// read-ahead.
    pub(crate) fn split(
        memory: &'m mut [u8],
        geometry: Geometry,
        block_size: BlockSize,
        minimum: usize,
    ) -> (Option<Self>, &'m mut [u8]) {
        let needs = Self::needs(geometry, block_size).saturating_add(minimum);
        let Some(spare) = memory.len().checked_sub(needs) else {
            return (None, memory);
        };
        let (tables, spare) = match spare.checked_sub(Self::FAST) {
            Some(spare) => (room_for::<Tables>(), spare),
            None => (room_for::<SmallTables>(), 0),
        };
        let read_ahead = block_size.round_down_len(spare.wrapping_shr(3).min(Self::MAX_READ_AHEAD));
        let input = input_size(geometry, block_size).saturating_add(read_ahead);
        // The tables are last, because they need alignment.
        let tables_at = memory.len().saturating_sub(tables);
        let (memory, tables) = memory.split_at_mut_checked(tables_at).unwrap_or_default();
        let (input, memory) = memory.split_at_mut_checked(input).unwrap_or_default();
        let (output, memory) = memory
            .split_at_mut_checked(geometry.cluster_bits.len())
            .unwrap_or_default();
        let workspace = if tables.len() < size_of::<Tables>() {
            find(tables).map(Workspace::Small)
        } else {
            find(tables).map(Workspace::Tables)
        };
        let this = workspace.map(|workspace| Self {
            input,
            input_start: HostOffset(0),
            pending_len: 0,
            input_len: 0,
            output,
            inflated: None,
            workspace,
        });
        (this, memory)
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
        stream: Stream,
        within: u64,
        to: &mut [u8],
        ahead: u64,
        device: &DeviceShape,
    ) -> Result<bool, InflateError> {
        if self.inflated != Some(stream) {
            if !self.has(stream) {
                self.choose(stream, ahead, device);
                if self.input_start < device.end {
                    return Ok(false);
                }
                // Salvage, wholly past the end of the file.
                self.publish(device);
            }
            if to.len() == self.output.len() {
                return self.inflate(stream, to).map(|()| true);
            }
            // Taken out and put back, since it is lent to a method of the whole.
            let output = core::mem::take(&mut self.output);
            self.inflated = None;
            let result = self.inflate(stream, output);
            self.output = output;
            result?;
            self.inflated = Some(stream);
        }
        let from = self.output.get(saturating_usize(within)..);
        // `to` is a part of the cluster.
        if let Some(from) = from.and_then(|from| from.get(..to.len())) {
            to.copy_from_slice(from);
        }
        Ok(true)
    }

    /// Returns what to read: the number of the first block, and the buffer for the blocks.
    pub(crate) fn missing(&mut self, device: &DeviceShape) -> (u64, &mut [u8]) {
        let len = device.readable(self.input_start, self.pending_len);
        (
            device.lba(self.input_start),
            self.input.get_mut(..len).unwrap_or_default(),
        )
    }

    /// Takes in what [`Compressed::missing`] named, once it has been read. Bytes past the end of the file become zeros.
    pub(crate) fn publish(&mut self, device: &DeviceShape) {
        let stored = saturating_usize(device.end.since(self.input_start));
        self.input.get_mut(stored..).unwrap_or_default().fill(0);
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
        self.pending_len = saturating_usize(pending_len).min(self.input.len());
        self.input_len = 0;
    }

    /// Returns where the bytes that `input` holds end in the file.
    fn input_end(&self) -> HostOffset {
        self.input_start.plus(byte_count(self.input_len))
    }

    fn has(&self, stream: Stream) -> bool {
        stream.host >= self.input_start && stream.host.plus(stream.len.into()) <= self.input_end()
    }

    /// Inflates a stream that has been read into the whole of `cluster`. One that cannot be inflated is read anew when it
    /// is asked for again: a device may have given something else for once.
    fn inflate(&mut self, stream: Stream, cluster: &mut [u8]) -> Result<(), InflateError> {
        let skip = saturating_usize(stream.host.since(self.input_start));
        let input = self.input.get(skip..).unwrap_or_default();
        let input = input.get(..saturating_usize(stream.len.into())).unwrap_or_default();
        let result = inflate(input, cluster, &mut self.workspace);
        if result.is_err() {
            self.input_len = 0;
        }
        result
    }
}
