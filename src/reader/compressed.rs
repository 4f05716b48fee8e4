//! Compressed clusters: the lent memory that they are read and inflated in, and what it holds.

use zerocopy::FromBytes;

use crate::device::BlockSize;
use crate::format::geometry::Geometry;
use crate::inflate::{InflateError, Tables, Workspace, inflate};
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
    /// The number of bytes that `input` holds: 0 from the moment that others are chosen until those have been read.
    held_input: usize,
    /// The number of bytes that it holds then.
    wanted: usize,
    /// One inflated cluster.
    output: &'m mut [u8],
    /// What `output` holds. None from the moment that it is written to until that has succeeded.
    held: Option<Stream>,
    tables: &'m mut Tables,
}

/// The least input: a stream is shorter than a cluster, and begins and ends anywhere in a block.
fn input_size(geometry: Geometry, block_size: BlockSize) -> usize {
    let blocks = if block_size == BlockSize::BYTE {
        0
    } else {
        block_size.bytes()
    };
    let least = block_size
        .round_up(geometry.cluster_size())
        .saturating_add(blocks.into());
    usize::try_from(least).unwrap_or(usize::MAX)
}

fn tables_size() -> usize {
    size_of::<Tables>().saturating_add(align_of::<Tables>().saturating_sub(1))
}

impl<'m> Compressed<'m> {
    /// The most that is read ahead of a stream.
    pub(crate) const MAX_INPUT: u64 = 64 << 10;

    /// The bytes that reading compressed clusters takes, whatever the alignment of the memory.
    pub(crate) fn needs(geometry: Geometry, block_size: BlockSize) -> usize {
        input_size(geometry, block_size)
            .saturating_add(usize::try_from(geometry.cluster_size()).unwrap_or(usize::MAX))
            .saturating_add(tables_size())
    }

    /// Takes its part off `memory` and gives the rest back, which is `least` bytes or more. Of what is plentiful a part
    /// goes into reading ahead. Where there is too little, it takes nothing.
    pub(crate) fn split(
        memory: &'m mut [u8],
        geometry: Geometry,
        block_size: BlockSize,
        least: usize,
    ) -> (Option<Self>, &'m mut [u8]) {
        let needs = Self::needs(geometry, block_size).saturating_add(least);
        let Some(spare) = memory.len().checked_sub(needs) else {
            return (None, memory);
        };
        let ahead = u64::try_from(spare.wrapping_shr(3)).unwrap_or(0).min(Self::MAX_INPUT);
        let ahead = usize::try_from(block_size.round_down(ahead)).unwrap_or(0);
        let input = input_size(geometry, block_size).saturating_add(ahead);
        let cluster = usize::try_from(geometry.cluster_size()).unwrap_or(usize::MAX);
        // The tables stand last: they alone care for alignment, and so the rest keeps that of the memory.
        let tables_at = memory.len().saturating_sub(tables_size());
        let (memory, tables) = memory.split_at_mut_checked(tables_at).unwrap_or_default();
        let (input, memory) = memory.split_at_mut_checked(input).unwrap_or_default();
        let (output, memory) = memory.split_at_mut_checked(cluster).unwrap_or_default();
        let skip = tables.as_ptr().align_offset(align_of::<Tables>());
        let tables = tables.get_mut(skip..).unwrap_or_default();
        let this = Tables::mut_from_prefix(tables).ok().map(|(tables, _)| Self {
            input,
            input_start: HostOffset(0),
            wanted: 0,
            held_input: 0,
            output,
            held: None,
            tables,
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
        if self.held != Some(stream) {
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
            self.held = None;
            let result = self.inflate(stream, output);
            self.output = output;
            result?;
            self.held = Some(stream);
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
        let len = device.readable(self.input_start, self.wanted);
        (
            device.lba(self.input_start),
            self.input.get_mut(..len).unwrap_or_default(),
        )
    }

    /// Takes in what [`Compressed::missing`] named, once it has been read. Bytes past the end of the file become zeros.
    pub(crate) fn publish(&mut self, device: &DeviceShape) {
        let stored = saturating_usize(device.end.since(self.input_start));
        self.input.get_mut(stored..).unwrap_or_default().fill(0);
        self.held_input = self.wanted;
    }

    /// Chooses what to read for `stream`, and forgets what was read before.
    ///
    /// Streams that follow each other in the file are read together.
    fn choose(&mut self, stream: Stream, ahead: u64, device: &DeviceShape) {
        let (before, before_end) = (self.input_start, self.input_end());
        let follows = self.held_input != 0 && stream.host >= before && stream.host <= before_end;
        let stream_end = stream.host.plus(stream.len.into());
        let end = if follows {
            stream_end.max(stream.host.plus(ahead))
        } else {
            stream_end
        };
        self.input_start = HostOffset(device.block_size.round_down(stream.host.0));
        let wanted = device.block_size.round_up(end.since(self.input_start));
        self.wanted = saturating_usize(wanted).min(self.input.len());
        self.held_input = 0;
    }

    /// Returns where the bytes that `input` holds end in the file.
    fn input_end(&self) -> HostOffset {
        self.input_start.plus(byte_count(self.held_input))
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
        let result = inflate(input, cluster, &mut Workspace::Tables(self.tables));
        if result.is_err() {
            self.held_input = 0;
        }
        result
    }
}
