//! The plan of one read: every decision of `read_at`, and no I/O.
//!
//! The synchronous and the asynchronous driver are the same loop over it: ask for the next request, perform it, commit.

use crate::device::BlockSize;
#[cfg(feature = "deflate")]
use crate::error::{Corrupt, Flaw};
use crate::error::{Error, Fault};
use crate::format::extent::{Extent, ExtentKind};
#[cfg(feature = "deflate")]
use crate::offset::GuestOffset;
use crate::offset::HostOffset;
use crate::reader::cache::Fill;
#[cfg(feature = "deflate")]
use crate::reader::compressed::{Stream, Window};
use crate::reader::walk::{Found, Map, Walk};

/// One device read.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    pub(crate) lba: u64,
    target: Target,
}

/// Where a request's bytes go.
#[derive(Clone, Copy)]
enum Target {
    Cache(Fill, usize),
    /// The bounce block, its first bytes.
    Bounce(usize),
    /// The caller's buffer: from an offset, so many bytes.
    Caller(usize, usize),
    /// The buffer of compressed streams, its first bytes.
    #[cfg(feature = "deflate")]
    Input(usize),
}

impl Request {
    /// A fill of the cache, as far as the device goes.
    pub(crate) fn fill(map: &Map<'_>, fill: Fill) -> Self {
        Self {
            lba: map.block_size.lba(fill.host.0),
            target: Target::Cache(fill, map.readable(fill.host, fill.len)),
        }
    }

    /// The buffer to read into.
    pub(crate) fn buffer<'a>(&self, map: &'a mut Map<'_>, dst: &'a mut [u8]) -> Result<&'a mut [u8], Fault> {
        // All of these exist; were one of them not to, an error is better than a wrong byte.
        match &self.target {
            Target::Cache(fill, len) => map.memory.cache.target(fill, *len),
            Target::Bounce(len) => map.memory.bounce().get_mut(..*len),
            Target::Caller(start, len) => part(dst, *start, *len),
            #[cfg(feature = "deflate")]
            Target::Input(len) => map
                .memory
                .compressed
                .as_mut()
                .and_then(|compressed| compressed.target(*len)),
        }
        .ok_or(Error::OutOfRange)
    }
}

/// What a plan has in flight.
enum Flight {
    None,
    Table,
    /// So many bytes of the caller's buffer.
    Caller(u64),
    /// From an offset in the bounce block, so many bytes.
    Bounce(usize, usize),
    #[cfg(feature = "deflate")]
    Input(Window),
}

/// What a plan asks for.
enum Step {
    Request(Request),
    /// The guest bytes from the one offset to the other from the next image down.
    Descend(u64, u64),
    Done,
}

/// A read of guest bytes through one image.
struct Plan {
    /// The guest offset of the buffer's first byte.
    origin: u64,
    in_order: bool,
    /// Whether bytes are wanted as they lie in the file, encrypted or not.
    verbatim: bool,
    walk: Walk,
    /// What is left of the run that is being read.
    extent: Extent,
    flight: Flight,
}

impl Plan {
    /// A read of the guest bytes from `offset` to `end`.
    fn new(map: &Map<'_>, offset: u64, end: u64) -> Self {
        let in_order = map.is_next(offset);
        Self {
            origin: offset,
            in_order,
            verbatim: false,
            walk: Walk::new(offset, end, in_order, u32::MAX),
            extent: Extent::EMPTY,
            flight: Flight::None,
        }
    }

    /// A read of `len` bytes of the file itself, which lie inside it.
    fn host(start: HostOffset, len: u64) -> Self {
        let kind = ExtentKind::Data { host_offset: start.0 };
        Self {
            origin: 0,
            in_order: false,
            verbatim: true,
            walk: Walk::new(len, len, false, 0),
            extent: Extent { start: 0, len, kind },
            flight: Flight::None,
        }
    }

    /// Goes on with the guest bytes from `start` to `end`, in another image.
    fn turn_to(&mut self, start: u64, end: u64) {
        self.walk = Walk::new(start, end, self.in_order, u32::MAX);
        self.extent = Extent::EMPTY;
    }

    /// Where in the caller's buffer the run belongs.
    fn position(&self) -> usize {
        usize::try_from(self.extent.start.wrapping_sub(self.origin)).unwrap_or(usize::MAX)
    }

    /// The next thing to do. Asked again without a commit, it says the same again.
    fn next(&mut self, map: &mut Map<'_>, dst: &mut [u8]) -> Result<Step, Fault> {
        // Each turn but the first finishes a run, and a run is a byte or more of `dst`.
        loop {
            if self.extent.len == 0 {
                if self.walk.is_done() {
                    return Ok(Step::Done);
                }
                match self.walk.next(map)? {
                    Found::Miss(fill) => {
                        self.flight = Flight::Table;
                        return Ok(Step::Request(Request::fill(map, fill)));
                    }
                    Found::Ready(extent) => self.extent = extent,
                }
            }
            let Extent { start, len, kind } = self.extent;
            let at = self.position();
            match kind {
                ExtentKind::Zero => {
                    let len = usize::try_from(len).unwrap_or(usize::MAX);
                    part(dst, at, len).ok_or(Error::OutOfRange)?.fill(0);
                    self.extent = Extent::EMPTY;
                }
                ExtentKind::Backing => {
                    self.extent = Extent::EMPTY;
                    return Ok(Step::Descend(start, start.saturating_add(len)));
                }
                #[cfg(feature = "deflate")]
                ExtentKind::Compressed {
                    host_offset,
                    stored_len,
                } => {
                    let stream = Stream {
                        host: HostOffset(host_offset),
                        len: stored_len,
                    };
                    if let Some(request) = self.compressed(map, dst, at, stream)? {
                        return Ok(Step::Request(request));
                    }
                    self.extent = Extent::EMPTY;
                }
                #[cfg(not(feature = "deflate"))]
                ExtentKind::Compressed { .. } => {
                    return Err(Error::Unsupported(crate::error::Unsupported::Compression));
                }
                ExtentKind::Data { host_offset } => {
                    return self.data(map, at, host_offset, len).map(Step::Request);
                }
            }
        }
    }

    /// The next request for `len` bytes of the file that belong at `at` in the caller's buffer: all the whole units at
    /// once, straight to where they belong, and ragged ends by way of the bounce block.
    fn data(&mut self, map: &Map<'_>, at: usize, host: u64, len: u64) -> Result<Request, Fault> {
        let granule = self.granule(map);
        if granule != BlockSize::BYTE && map.cipher.is_none() {
            return Err(Error::KeyRequired);
        }
        let unit = map.block_size.max(granule);
        let unit_start = unit.round_down(host);
        let skip = host.wrapping_sub(unit_start);
        let whole = unit.round_down(len);
        let small = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let target = if skip == 0 && whole != 0 {
            self.flight = Flight::Caller(whole);
            Target::Caller(at, small(whole))
        } else {
            let unit = u64::from(unit.bytes());
            self.flight = Flight::Bounce(small(skip), small(len.min(unit.wrapping_sub(skip))));
            Target::Bounce(map.readable(HostOffset(unit_start), unit))
        };
        Ok(Request {
            lba: map.block_size.lba(unit_start),
            target,
        })
    }

    /// What the run is made of: sectors if they are to be decrypted, else bytes.
    fn granule(&self, map: &Map<'_>) -> BlockSize {
        if self.verbatim { BlockSize::BYTE } else { map.granule() }
    }

    /// Inflates the run, which is a cluster or a part of one, to `at` in the caller's buffer; or says what has to be
    /// read first.
    #[cfg(feature = "deflate")]
    fn compressed(
        &mut self,
        map: &mut Map<'_>,
        dst: &mut [u8],
        at: usize,
        stream: Stream,
    ) -> Result<Option<Request>, Fault> {
        let Extent { start, len, .. } = self.extent;
        let cluster = map.cluster_start(GuestOffset(start));
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let to = part(dst, at, len).ok_or(Error::OutOfRange)?;
        let needed = map.needed_for_compressed();
        let compressed = map.memory.compressed.as_mut();
        let within = GuestOffset(start).since(cluster);
        let ahead = self.walk.end().since(GuestOffset(start));
        let window = match compressed
            .ok_or(Error::MemoryTooSmall { needed })?
            .read(stream, within, to, ahead)
        {
            Ok(window) => window,
            Err(reason) => {
                map.forget_tables();
                return Err(Error::Corrupt(Corrupt::at(Flaw::Stream(reason), cluster, stream.host)));
            }
        };
        let Some(window) = window else {
            return Ok(None);
        };
        self.flight = Flight::Input(window);
        Ok(Some(Request {
            lba: map.block_size.lba(window.start.0),
            target: Target::Input(map.readable(window.start, window.len)),
        }))
    }

    /// Tells that the request has been performed.
    fn commit(&mut self, map: &mut Map<'_>, dst: &mut [u8]) -> Result<(), Fault> {
        let at = self.position();
        match core::mem::replace(&mut self.flight, Flight::None) {
            Flight::None => {}
            Flight::Table => self.walk.commit(map),
            Flight::Caller(len) => {
                if self.granule(map) != BlockSize::BYTE {
                    let len = usize::try_from(len).unwrap_or(usize::MAX);
                    let sectors = part(dst, at, len).ok_or(Error::OutOfRange)?;
                    map.cipher.decrypt(self.extent.start, sectors);
                }
                self.extent.advance(len);
            }
            Flight::Bounce(skip, len) => {
                let granule = self.granule(map);
                let bounce = map.memory.bounce();
                if granule != BlockSize::BYTE {
                    // Clusters start at sectors in the guest and in the file, so the two are ragged alike.
                    let start = skip & !511;
                    let end = skip.saturating_add(len).saturating_add(511) & !511;
                    let sectors = part(bounce, start, end.saturating_sub(start)).ok_or(Error::OutOfRange)?;
                    map.cipher.decrypt(self.extent.start, sectors);
                }
                let to = part(dst, at, len).ok_or(Error::OutOfRange)?;
                copy(bounce.get(skip..).unwrap_or_default(), to)?;
                self.extent.advance(u64::try_from(len).unwrap_or(u64::MAX));
            }
            #[cfg(feature = "deflate")]
            Flight::Input(window) => {
                if let Some(compressed) = &mut map.memory.compressed {
                    compressed.publish(window);
                }
            }
        }
        Ok(())
    }
}

/// `len` bytes of `buffer` from `start` on.
fn part(buffer: &mut [u8], start: usize, len: usize) -> Option<&mut [u8]> {
    buffer.get_mut(start..)?.get_mut(..len)
}

/// Fills `to` from the start of `from`, which is as long or longer.
fn copy(from: &[u8], to: &mut [u8]) -> Result<(), Fault> {
    let from = from.get(..to.len()).ok_or(Error::OutOfRange)?;
    to.copy_from_slice(from);
    Ok(())
}

/// A read of guest bytes through an image and what lies below it, one level at a time and without recursion.
pub(crate) struct Descent {
    plan: Plan,
    level: usize,
}

/// One image of a chain; the device beside its map is the driver's business.
pub(crate) trait Level<'m> {
    fn map(&mut self) -> &mut Map<'m>;
}

impl Descent {
    /// A read of `len` bytes from `offset` on.
    pub(crate) fn new<'m, L: Level<'m>>(levels: &mut [L], offset: u64, len: usize) -> Result<Self, Fault> {
        let top = levels.first_mut().ok_or(Error::OutOfRange)?.map();
        let end = top.range(offset, u64::try_from(len).unwrap_or(u64::MAX))?;
        top.limit = end;
        let plan = Plan::new(top, offset, end);
        Ok(Self { plan, level: 0 })
    }

    /// A read of the backing file's name as the image has it, and the part of `buf` that it goes to; `None` where
    /// there is none.
    pub(crate) fn backing_name<'b>(map: &Map<'_>, buf: &'b mut [u8]) -> Result<Option<(Self, &'b mut [u8])>, Fault> {
        let Some((start, len)) = map.backing_name() else {
            return Ok(None);
        };
        let needed = usize::try_from(len).unwrap_or(usize::MAX);
        let name = buf.get_mut(..needed).ok_or(Error::MemoryTooSmall { needed })?;
        // In salvage, what lies past the end of the file is zeros.
        name.fill(0);
        let plan = Plan::host(start, len.min(map.device_end.since(start)));
        Ok(Some((Self { plan, level: 0 }, name)))
    }

    /// The next request, and the level that it belongs to; `None` when all is read.
    pub(crate) fn next<'m, L: Level<'m>>(
        &mut self,
        levels: &mut [L],
        dst: &mut [u8],
    ) -> Result<Option<(usize, Request)>, Fault> {
        // Each turn goes down with, or comes up behind, a byte or more of `dst`.
        loop {
            let map = levels.get_mut(self.level).ok_or(Error::BackingRequired)?.map();
            match self.plan.next(map, dst)? {
                Step::Request(request) => return Ok(Some((self.level, request))),
                Step::Descend(start, end) => {
                    self.level = self.level.wrapping_add(1);
                    levels.get_mut(self.level).ok_or(Error::BackingRequired)?.map().limit = end;
                    self.plan.turn_to(start, end);
                }
                Step::Done => {
                    let Some(above) = self.level.checked_sub(1) else {
                        return Ok(None);
                    };
                    let done = map.limit;
                    self.level = above;
                    let end = levels.get_mut(above).ok_or(Error::BackingRequired)?.map().limit;
                    self.plan.turn_to(done, end);
                }
            }
        }
    }

    /// Tells that the request has been performed.
    pub(crate) fn commit<'m, L: Level<'m>>(&mut self, levels: &mut [L], dst: &mut [u8]) -> Result<(), Fault> {
        let level = levels.get_mut(self.level).ok_or(Error::BackingRequired)?;
        self.plan.commit(level.map(), dst)
    }
}

/// A search for the image of a chain that stores the guest's bytes from an offset on, from the top down.
pub(crate) struct Search {
    offset: u64,
    max_len: u64,
    level: usize,
    /// The lowest image reached, and how it stores them.
    pub(crate) found: Option<(usize, Extent)>,
}

impl Search {
    pub(crate) const fn new(offset: u64, max_len: u64) -> Self {
        Self {
            offset,
            max_len,
            level: 0,
            found: None,
        }
    }

    /// How the next image down is asked, if it has to be.
    pub(crate) fn walk(&mut self, map: &Map<'_>) -> Result<Option<Walk>, Fault> {
        match &mut self.found {
            Some((level, extent)) if extent.kind == ExtentKind::Backing => {
                *level = self.level;
                if self.offset >= map.size() {
                    // It ends before the one above.
                    extent.kind = ExtentKind::Zero;
                    return Ok(None);
                }
            }
            Some(_) => return Ok(None),
            None => {}
        }
        Walk::at(map, self.offset, self.max_len).map(Some)
    }

    /// What that image answered.
    pub(crate) fn take(&mut self, extent: Extent) {
        self.found = Some((self.level, extent));
        self.max_len = extent.len;
        self.level = self.level.wrapping_add(1);
    }
}
