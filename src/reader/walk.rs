//! Where guest bytes are stored: the core, which knows no device.
//!
//! A [`Walk`] asks a [`Map`] for one run of guest bytes after the other. It answers with the run, or with the piece of
//! a table that has to be read first; whoever drives it reads that, commits, and asks again.

use crate::device::BlockSize;
use crate::error::{Corrupt, Error, Fault, Flaw};
use crate::format::entry::{L1Entry, L2Entry};
use crate::format::extent::{Extent, ExtentKind};
use crate::format::geometry::Geometry;
use crate::format::header::Header;
use crate::offset::{GuestOffset, HostOffset};
use crate::reader::cache::{Fill, Table};
use crate::reader::cipher::Cipher;
#[cfg(feature = "deflate")]
use crate::reader::memory;
use crate::reader::memory::Memory;
use crate::reader::open::Opening;

/// An L1 entry that has been read and checked.
#[derive(Clone, Copy)]
struct Recent {
    l1_index: u64,
    table: Option<HostOffset>,
}

impl Recent {
    /// No L1 has so many entries.
    const NONE: Self = Self {
        l1_index: u64::MAX,
        table: None,
    };
}

/// An image without its device.
pub(crate) struct Map<'m> {
    /// None: raw.
    header: Option<Header>,
    size: GuestOffset,
    /// The length of the file, or where that is not known, of the device.
    pub(crate) device_end: HostOffset,
    pub(crate) block_size: BlockSize,
    pub(crate) salvage: bool,
    pub(crate) memory: Memory<'m>,
    pub(crate) cipher: Cipher<'m>,
    /// The L1 entry looked up last, so that neighbours need only their L2 words.
    recent: Recent,
    /// Where the last walk ended: one that starts here is in order, and worth reading whole tables for.
    expected: u64,
    /// The end of what a chain reads through this image.
    pub(crate) limit: u64,
}

impl<'m> Map<'m> {
    /// The image in lent memory of the length that it was judged with, or more.
    pub(crate) fn new(opening: Opening, memory: &'m mut [u8]) -> Self {
        let Opening {
            header,
            device_end,
            block_size,
            salvage,
        } = opening;
        let (size, memory) = match &header {
            Some(header) => {
                let memory = Memory::split(memory, block_size, device_end, header.geometry());
                (header.virtual_size(), memory)
            }
            None => (device_end.0, Memory::raw(memory, block_size)),
        };
        Self {
            header,
            size: GuestOffset(size),
            device_end,
            block_size,
            salvage,
            memory,
            cipher: Cipher::None,
            recent: Recent::NONE,
            expected: 0,
            limit: 0,
        }
    }

    /// What of `len` bytes from `start` on, both whole blocks, the device has.
    pub(crate) fn readable(&self, start: HostOffset, len: u64) -> usize {
        let end = HostOffset(self.block_size.round_up(self.device_end.0));
        usize::try_from(len.min(end.since(start))).unwrap_or(usize::MAX)
    }

    pub(crate) fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// Where the backing file's name lies, and its length in bytes.
    pub(crate) fn backing_name(&self) -> Option<(HostOffset, u64)> {
        let header = self.header.as_ref().filter(|header| header.has_backing())?;
        Some((header.backing_name(), header.backing_name_len().into()))
    }

    /// Where the L1 word for `at` lies; `None` where that is past the end of the file. Only in salvage is any.
    pub(crate) fn l1_word(&self, at: GuestOffset) -> Option<HostOffset> {
        let header = self.header.as_ref()?;
        let index = header.geometry().l1_index(at);
        Some(header.l1().plus(index.wrapping_shl(3))).filter(|&word| word < self.device_end)
    }

    /// The table for `at`, if that is what was looked up last and there is one.
    pub(crate) fn recent_table(&self, at: GuestOffset) -> Option<HostOffset> {
        let index = self.header.as_ref()?.geometry().l1_index(at);
        self.recent.table.filter(|_| self.recent.l1_index == index)
    }

    /// Forgets all tables, since a word of them is wrong. The image may be, and then they are read again as they were; or
    /// a device gave something else for once, and nothing of that must stay.
    #[cold]
    #[inline(never)]
    pub(crate) fn forget_tables(&mut self) {
        self.memory.cache.forget();
        self.recent = Recent::NONE;
    }

    /// The start of the cluster that holds `at`.
    #[cfg(feature = "deflate")]
    pub(crate) fn cluster_start(&self, at: GuestOffset) -> GuestOffset {
        self.header
            .as_ref()
            .map_or(at, |header| header.geometry().cluster_start(at))
    }

    /// The memory that reads every cluster.
    #[cfg(feature = "deflate")]
    pub(crate) fn needed_for_compressed(&self) -> usize {
        self.header
            .as_ref()
            .map_or(0, |header| memory::compressed(header.geometry(), self.block_size))
    }

    /// Whether a read at `offset` goes on where the last one ended.
    pub(crate) const fn is_next(&self, offset: u64) -> bool {
        self.expected == offset
    }

    /// What plain clusters are made of: bytes, or sectors that have to be decrypted as a whole.
    pub(crate) fn granule(&self) -> BlockSize {
        match &self.header {
            Some(header) if header.is_encrypted() => BlockSize::B512,
            _ => BlockSize::BYTE,
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.size.0
    }

    /// Checks a range of guest bytes, and gives its end.
    pub(crate) fn range(&self, offset: u64, len: u64) -> Result<u64, Fault> {
        offset
            .checked_add(len)
            .filter(|&end| end <= self.size.0)
            .ok_or(Error::OutOfRange)
    }

    /// A hole reads from the backing file, or else as zeros.
    fn hole(&self) -> ExtentKind {
        match &self.header {
            Some(header) if header.has_backing() => ExtentKind::Backing,
            _ => ExtentKind::Zero,
        }
    }
}

/// What a walk answers: the thing asked for, or what has to be read into the cache before it can go on.
pub(crate) enum Found<T> {
    Ready(T),
    Miss(Fill),
}

/// The table words that one extent may cost its caller.
const EXTENT_QUOTA: u32 = 4096;

/// Goes through guest bytes from one offset to another, a run at a time.
pub(crate) struct Walk {
    /// The run so far. It survives misses.
    run: Extent,
    end: GuestOffset,
    /// Whether to read ahead in the tables.
    in_order: bool,
    /// The table words that a run may cost before it is given out short.
    quota: u32,
    /// What is left of it.
    budget: u32,
    /// The first bytes of a word that lies across two lines, so that one slot of cache is enough for both.
    word: [u8; 8],
    word_len: u8,
    miss: Option<Fill>,
}

impl Walk {
    /// The runs of the whole disk.
    pub(crate) fn whole(map: &Map<'_>) -> Self {
        Self::new(0, map.size.0, true, EXTENT_QUOTA)
    }

    /// The run at `offset`, of at most `max_len` bytes.
    pub(crate) fn at(map: &Map<'_>, offset: u64, max_len: u64) -> Result<Self, Fault> {
        let end = map.size.0.min(offset.saturating_add(max_len));
        if offset >= end {
            return Err(Error::OutOfRange);
        }
        Ok(Self::new(offset, end, map.is_next(offset), EXTENT_QUOTA))
    }

    /// From `start` to `end`, where a run costs at most `quota` table words: at least 2.
    pub(crate) fn new(start: u64, end: u64, in_order: bool, quota: u32) -> Self {
        Self {
            run: Extent { start, ..Extent::EMPTY },
            end: GuestOffset(end),
            in_order,
            quota,
            budget: quota,
            word: [0; 8],
            word_len: 0,
            miss: None,
        }
    }

    /// Whether it has given its last run.
    pub(crate) fn is_done(&self) -> bool {
        self.run.len == 0 && self.run.start >= self.end.0
    }

    /// The first guest offset past what it goes through.
    #[cfg(feature = "deflate")]
    pub(crate) fn end(&self) -> GuestOffset {
        self.end
    }

    /// Tells that what [`Found::Miss`] named has been read.
    pub(crate) fn commit(&mut self, map: &mut Map<'_>) {
        if let Some(fill) = self.miss.take() {
            map.memory.cache.publish(&fill);
        }
    }

    /// The next run, as long as it goes. Not to be asked where it is done.
    #[inline(always)]
    pub(crate) fn next(&mut self, map: &mut Map<'_>) -> Result<Found<Extent>, Fault> {
        let found = self.look(map);
        if found.is_err() {
            map.forget_tables();
        }
        found
    }

    /// The same; but it leaves it to the caller to forget the tables of which a word is wrong.
    pub(crate) fn look(&mut self, map: &mut Map<'_>) -> Result<Found<Extent>, Fault> {
        // Each turn takes at least one word off the budget, or returns; the last turns may lie past the tables.
        loop {
            let at = GuestOffset(self.run.end());
            let next = if at >= self.end || self.budget == 0 {
                None
            } else {
                match self.ahead(map, at) {
                    Ok(Found::Ready(next)) => Some(next),
                    Ok(Found::Miss(fill)) => {
                        self.miss = Some(fill);
                        return Ok(Found::Miss(fill));
                    }
                    // What was found before the flaw is good. The flaw is met again by who goes on.
                    Err(_) if self.run.len != 0 => None,
                    Err(fault) => return Err(fault),
                }
            };
            if let Some(next) = next {
                if self.run.len == 0 {
                    self.run = next;
                    continue;
                }
                if self.run.join(&next) {
                    continue;
                }
            }
            self.budget = self.quota;
            map.expected = at.0;
            let rest = next.unwrap_or(Extent {
                start: at.0,
                ..Extent::EMPTY
            });
            return Ok(Found::Ready(core::mem::replace(&mut self.run, rest)));
        }
    }

    /// What lies at `at`, as far as the words at hand tell.
    fn ahead(&mut self, map: &mut Map<'_>, at: GuestOffset) -> Result<Found<Extent>, Fault> {
        if at >= map.size {
            // A backing image that is shorter than what lies above it.
            return Ok(Found::Ready(Extent::new(at, self.end, ExtentKind::Zero)));
        }
        let end = self.end.min(map.size);
        let Some(header) = &map.header else {
            let kind = ExtentKind::Data { host_offset: at.0 };
            return Ok(Found::Ready(Extent::new(at, end, kind)));
        };
        let geometry = header.geometry();
        let l1_index = geometry.l1_index(at);
        if map.recent.l1_index != l1_index {
            let Some(word_at) = map.l1_word(at) else {
                // All the rest of the L1 is past the end too.
                return Ok(Found::Ready(Extent::new(at, end, map.hole())));
            };
            let little_endian = header.l1_is_little_endian();
            let l1_end = header.l1().plus(header.l1_bytes());
            let word = match self.read_l1_word(map, word_at, l1_end) {
                Found::Ready(word) => word,
                Found::Miss(fill) => return Ok(Found::Miss(fill)),
            };
            let word = if little_endian { word.swap_bytes() } else { word };
            map.recent = Recent {
                l1_index,
                table: map.table(word, geometry, at)?,
            };
        }
        match map.recent.table {
            None => {
                let hole_end = end.min(geometry.span_end(at));
                Ok(Found::Ready(Extent::new(at, hole_end, map.hole())))
            }
            Some(table) => self.entries(map, geometry, table, at, end),
        }
    }

    /// The run of L2 entries that begins at `at`, as far as the cache has them in one piece.
    fn entries(
        &mut self,
        map: &mut Map<'_>,
        geometry: Geometry,
        table: HostOffset,
        at: GuestOffset,
        end: GuestOffset,
    ) -> Result<Found<Extent>, Fault> {
        let index = geometry.l2_index(at);
        let word_at = table.plus(index.wrapping_shl(3));
        let table_end = table.plus(geometry.l2_size());
        let cluster = geometry.cluster_start(at);
        let shift = geometry.cluster_shift();
        // The words that matter: up to the last cluster wanted, at least one, and no more than a table has.
        let last_wanted = small(end.since(cluster).saturating_sub(1).wrapping_shr(shift));
        let wanted = last_wanted
            .saturating_add(1)
            .min(small(table_end.since(word_at).wrapping_shr(3)));
        let hole = map.hole();
        let device_end = map.device_end;
        let granule = map.granule();

        let cached = if self.word_len == 0 {
            map.memory.cache.get(word_at, Table::L2).unwrap_or_default()
        } else {
            &[]
        };
        let usable = wanted
            .min(self.budget)
            .min(small(device_end.since(word_at).wrapping_shr(3)));
        let (words, _) = cached.as_chunks::<8>();
        let (first, rest) = match words.split_first() {
            Some((first, rest)) if usable != 0 => {
                self.budget = self.budget.saturating_sub(1);
                (u64::from_be_bytes(*first), rest)
            }
            _ => match self.split_word(map, word_at, u64::from(wanted).wrapping_mul(8), table_end, Table::L2) {
                Found::Ready(word) => (word, [].as_slice()),
                Found::Miss(fill) => return Ok(Found::Miss(fill)),
            },
        };
        let corrupt = |(flaw, host)| Error::Corrupt(Corrupt::at(flaw, cluster, host));
        // How many of the words that follow go on where the first one starts.
        let (kind, more) = match L2Entry::decode(first, geometry.cluster_bits).map_err(corrupt)? {
            L2Entry::Hole => {
                let holes = rest.iter().zip(1..usable).take_while(|(word, _)| **word == [0; 8]);
                (hole, count(holes))
            }
            L2Entry::Compressed(host, stored_len) => {
                if device_end.since(host) < stored_len.into() && !map.salvage {
                    return Err(corrupt((Flaw::CompressedPastEnd, host)));
                }
                let kind = ExtentKind::Compressed {
                    host_offset: host.0,
                    stored_len,
                };
                (kind, 0)
            }
            L2Entry::Data(host) => {
                let within = at.since(cluster);
                // Of an encrypted sector that is cut off nothing can be read.
                let stored = granule.round_down(device_end.since(host));
                let size = geometry.cluster_size();
                // Clusters that lie in the file as a whole; the last may be cut by the end of the disk instead.
                let whole = stored.wrapping_shr(shift);
                let mut next = host.0;
                let adjacent = rest.iter().zip(1..usable.min(small(whole))).take_while(|(word, _)| {
                    next = next.wrapping_add(size);
                    u64::from_be_bytes(**word) == next
                });
                let more = count(adjacent);
                if whole == 0 && stored < granule.round_up(map.size.since(cluster).min(size)) {
                    if !map.salvage {
                        return Err(corrupt((Flaw::ClusterPastEnd, host)));
                    }
                    let cut = end.min(cluster.plus(size));
                    let data_end = cut.min(cluster.plus(stored));
                    return Ok(Found::Ready(if at < data_end {
                        let host_offset = host.plus(within).0;
                        Extent::new(at, data_end, ExtentKind::Data { host_offset })
                    } else {
                        Extent::new(at, cut, ExtentKind::Zero)
                    }));
                }
                let host_offset = host.plus(within).0;
                (ExtentKind::Data { host_offset }, more)
            }
        };
        self.budget = self.budget.saturating_sub(more);
        let run_end = cluster.plus(u64::from(more).saturating_add(1).wrapping_shl(shift));
        Ok(Found::Ready(Extent::new(at, end.min(run_end), kind)))
    }

    /// The L1 word at `at`: most often cached in one piece.
    fn read_l1_word(&mut self, map: &mut Map<'_>, at: HostOffset, l1_end: HostOffset) -> Found<u64> {
        if self.word_len == 0
            && map.device_end.since(at) >= 8
            && let Some(word) = map.memory.cache.get(at, Table::L1).and_then(<[u8]>::first_chunk)
        {
            self.budget = self.budget.saturating_sub(1);
            return Found::Ready(u64::from_be_bytes(*word));
        }
        self.split_word(map, at, 8, l1_end, Table::L1)
    }

    /// A table word that is not cached, or not in one piece: its first bytes survive the miss. A miss reads `wanted` bytes
    /// of the table, or all up to its end if the walk is in order.
    #[cold]
    fn split_word(
        &mut self,
        map: &mut Map<'_>,
        at: HostOffset,
        wanted: u64,
        table_end: HostOffset,
        table: Table,
    ) -> Found<u64> {
        // Each turn takes a byte or more of 8, or returns.
        while self.word_len < 8 {
            let from = at.plus(self.word_len.into());
            let in_file = map.device_end.since(from);
            let rest = self.word.get_mut(self.word_len.into()..).unwrap_or_default();
            let taken = if in_file == 0 {
                rest.fill(0);
                8
            } else if let Some(cached) = map.memory.cache.get(from, table) {
                let in_file = u8::try_from(in_file).unwrap_or(8);
                let mut taken = 0_u8;
                for (to, byte) in rest.iter_mut().zip(cached).take(in_file.into()) {
                    *to = *byte;
                    taken = taken.wrapping_add(1);
                }
                taken
            } else {
                let wanted_end = if self.in_order { table_end } else { at.plus(wanted) };
                return Found::Miss(map.memory.cache.prepare(from, wanted_end.since(from), table));
            };
            self.word_len = self.word_len.saturating_add(taken);
        }
        self.word_len = 0;
        self.budget = self.budget.saturating_sub(1);
        Found::Ready(u64::from_be_bytes(self.word))
    }
}

impl Map<'_> {
    /// Checks an L1 word; `at` is a guest offset below it.
    fn table(&self, word: u64, geometry: Geometry, at: GuestOffset) -> Result<Option<HostOffset>, Fault> {
        let corrupt = |(flaw, host)| {
            let span = geometry.l1_index(at).wrapping_mul(geometry.span());
            Error::Corrupt(Corrupt::at(flaw, GuestOffset(span), host))
        };
        match L1Entry::decode(word).map_err(corrupt)? {
            L1Entry::Hole => Ok(None),
            L1Entry::Table(host) => {
                if self.device_end.since(host) < geometry.l2_size() && !self.salvage {
                    return Err(corrupt((Flaw::L2PastEnd, host)));
                }
                Ok(Some(host))
            }
        }
    }
}

/// A number that more than 32 bits of would not matter of.
fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// How many there are: of words of a table, so few.
fn count(words: impl Iterator) -> u32 {
    u32::try_from(words.count()).unwrap_or(0)
}
