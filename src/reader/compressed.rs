//! Compressed clusters: the lent memory that they are read and inflated in, and what it holds.

use zerocopy::FromBytes;

use crate::device::BlockSize;
use crate::format::geometry::Geometry;
use crate::inflate::{InflateError, Tables, Workspace, inflate};
use crate::offset::HostOffset;

/// A compressed cluster as its table word has it: the whole word, since a right offset with a wrong size is another
/// stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) host: HostOffset,
    pub(crate) len: u32,
}

/// Bytes of the file that are to be read, or have been.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    pub(crate) start: HostOffset,
    pub(crate) len: u64,
}

impl Window {
    const EMPTY: Self = Self {
        start: HostOffset(0),
        len: 0,
    };
}

pub(crate) struct Compressed<'m> {
    /// Bytes as they lie in the file, from a block's start on.
    input: &'m mut [u8],
    /// What `input` holds.
    window: Window,
    /// One inflated cluster.
    output: &'m mut [u8],
    /// What `output` holds. None from the moment that it is written to until that has succeeded.
    held: Option<Stream>,
    tables: &'m mut Tables,
    block_size: BlockSize,
    device_end: HostOffset,
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
        device_end: HostOffset,
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
            window: Window::EMPTY,
            output,
            held: None,
            tables,
            block_size,
            device_end,
        });
        (this, memory)
    }

    /// Fills `to` with the bytes of the inflated cluster from `within` on; or says what has to be read first.
    ///
    /// Up to `ahead` guest bytes are going to be read from here on.
    pub(crate) fn read(
        &mut self,
        stream: Stream,
        within: u64,
        to: &mut [u8],
        ahead: u64,
    ) -> Result<Option<Window>, InflateError> {
        if self.held != Some(stream) {
            if !self.has(stream) {
                let window = self.prepare(stream, ahead);
                if window.start < self.device_end {
                    return Ok(Some(window));
                }
                // Salvage, wholly past the end of the file.
                self.publish(window);
            }
            if to.len() == self.output.len() {
                return self.inflate(stream, to).map(|()| None);
            }
            // Taken out and put back, since it is lent to a method of the whole.
            let output = core::mem::take(&mut self.output);
            self.held = None;
            let result = self.inflate(stream, output);
            self.output = output;
            result?;
            self.held = Some(stream);
        }
        let from = usize::try_from(within)
            .ok()
            .and_then(|within| self.output.get(within..));
        // `to` is a part of the cluster.
        if let Some(from) = from.and_then(|from| from.get(..to.len())) {
            to.copy_from_slice(from);
        }
        Ok(None)
    }

    /// Where the first `len` bytes of what [`Compressed::read`] named are to be put.
    pub(crate) fn target(&mut self, len: usize) -> Option<&mut [u8]> {
        self.input.get_mut(..len)
    }

    /// Makes known what has been read. What of it lies past the end of the file is zeros.
    pub(crate) fn publish(&mut self, window: Window) {
        let stored = usize::try_from(self.device_end.since(window.start)).unwrap_or(usize::MAX);
        if let Some(past_end) = self.input.get_mut(stored..) {
            past_end.fill(0);
        }
        self.window = window;
    }

    /// Chooses what to read for `stream`; what was read before is forgotten.
    ///
    /// Streams that follow each other in the file are read together.
    fn prepare(&mut self, stream: Stream, ahead: u64) -> Window {
        let start = HostOffset(self.block_size.round_down(stream.host.0));
        let stream_end = stream.host.plus(stream.len.into());
        let before = core::mem::replace(&mut self.window, Window::EMPTY);
        let follows = before.len != 0 && stream.host >= before.start && stream.host <= before.start.plus(before.len);
        let end = if follows {
            stream_end.max(stream.host.plus(ahead))
        } else {
            stream_end
        };
        let capacity = u64::try_from(self.input.len()).unwrap_or(u64::MAX);
        Window {
            start,
            len: self.block_size.round_up(end.since(start)).min(capacity),
        }
    }

    fn has(&self, stream: Stream) -> bool {
        let Window { start, len } = self.window;
        stream.host >= start && stream.host.plus(stream.len.into()) <= start.plus(len)
    }

    /// Inflates a stream that has been read into the whole of `cluster`. One that cannot be inflated is read anew when it
    /// is asked for again: a device may have given something else for once.
    fn inflate(&mut self, stream: Stream, cluster: &mut [u8]) -> Result<(), InflateError> {
        let skip = usize::try_from(stream.host.since(self.window.start)).unwrap_or(usize::MAX);
        let len = usize::try_from(stream.len).unwrap_or(usize::MAX);
        let input = self.input.get(skip..).and_then(|input| input.get(..len));
        let mut workspace = Workspace::Tables(self.tables);
        let result = inflate(input.unwrap_or_default(), cluster, &mut workspace);
        if result.is_err() {
            self.window = Window::EMPTY;
        }
        result
    }
}
