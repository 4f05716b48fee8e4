//! An open image without its device: what is known of it, and what its table words mean.

use crate::device::BlockSize;
use crate::error::Flaw;
use crate::format::entry::L1Entry;
use crate::format::geometry::Geometry;
use crate::format::header::Header;
use crate::offset::{GuestOffset, HostOffset, saturating_u32};
use crate::reader::cipher::Cipher;
use crate::reader::device_shape::DeviceShape;
#[cfg(feature = "deflate")]
use crate::reader::lent_memory;
use crate::reader::lent_memory::LentMemory;
use crate::reader::open::Opening;
use crate::reader::stop::Stop;
use crate::reader::table_cache::Table;

/// An open image without its device.
pub(crate) struct ImageState<'m> {
    /// None: raw.
    header: Option<Header>,
    size: GuestOffset,
    last_l1: L1Range,
    /// The end of what a chain reads through this image.
    pub(crate) read_end: GuestOffset,
    pub(crate) memory: LentMemory<'m>,
    pub(crate) cipher: Cipher<'m>,
}

/// What an L1 entry says: kept for the one looked up last, so that its neighbours need only their L2 words.
#[derive(Clone, Copy)]
pub(crate) struct L1Range {
    /// The first guest byte below the entry.
    pub(crate) start: GuestOffset,
    /// The guest bytes below it, at most 2^29 with a table; 0 for an entry that is wrong, and for none.
    pub(crate) len: u64,
    /// Where it leads; 0 for a hole.
    pub(crate) host: HostOffset,
}

impl L1Range {
    const NONE: Self = Self {
        start: GuestOffset(0),
        len: 0,
        host: HostOffset(0),
    };

    fn holds(&self, at: GuestOffset) -> bool {
        at.wrapping_sub(self.start) < self.len
    }

    /// The L2 table; `None` for a hole.
    pub(crate) fn table(&self) -> Option<HostOffset> {
        Some(self.host).filter(|host| host.0 != 0)
    }
}

/// How guest bytes are stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Storage {
    Zero,
    Backing,
    Data,
    Encrypted,
    Compressed,
}

impl Storage {
    /// What it has to be read in: bytes, or sectors that are decrypted as a whole.
    pub(crate) fn crypto_unit(self) -> BlockSize {
        if self == Self::Encrypted {
            BlockSize::B512
        } else {
            BlockSize::BYTE
        }
    }
}

/// How and where guest bytes that are one run are stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) storage: Storage,
    /// What is to be added to a guest offset for its host offset; 0 where nothing is stored.
    pub(crate) delta: u64,
    /// The length of the stream in bytes, if compressed; else 0.
    pub(crate) stored_len: u32,
}

impl Run {
    /// Bytes in the file, `delta` bytes further from its start than from the disk's.
    pub(crate) const fn in_file(storage: Storage, delta: u64) -> Self {
        Self {
            storage,
            delta,
            stored_len: 0,
        }
    }

    pub(crate) const fn nowhere(storage: Storage) -> Self {
        Self {
            storage,
            delta: 0,
            stored_len: 0,
        }
    }
}

impl<'m> ImageState<'m> {
    /// The image in lent memory of the length that it was judged with, or more.
    #[inline(always)]
    pub(crate) fn new(opening: Opening, memory: &'m mut [u8]) -> Self {
        let Opening { header, device } = opening;
        Self {
            header,
            size: GuestOffset(header.map_or(device.end.0, |header| header.virtual_size())),
            last_l1: L1Range::NONE,
            read_end: GuestOffset(0),
            memory: LentMemory::split(memory, device, header.as_ref().map(Header::geometry)),
            cipher: Cipher::None,
        }
    }

    pub(crate) fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// None: raw.
    pub(crate) fn geometry(&self) -> Option<Geometry> {
        self.header.as_ref().map(Header::geometry)
    }

    pub(crate) fn device(&self) -> &DeviceShape {
        &self.memory.cache.device
    }

    pub(crate) fn size(&self) -> GuestOffset {
        self.size
    }

    /// How a hole reads.
    pub(crate) fn hole(&self) -> Storage {
        match &self.header {
            Some(header) if header.has_backing() => Storage::Backing,
            _ => Storage::Zero,
        }
    }

    /// How a plain cluster is stored.
    pub(crate) fn plain(&self) -> Storage {
        match &self.header {
            Some(header) if header.is_encrypted() => Storage::Encrypted,
            _ => Storage::Data,
        }
    }

    /// Where the L1 word for `at` lies; `None` where that is past the end of the file. Only in salvage is any.
    pub(crate) fn l1_word_place(&self, at: GuestOffset) -> Option<HostOffset> {
        let header = self.header.as_ref()?;
        let index = header.geometry().l1_index(at);
        Some(header.l1().plus(index.wrapping_shl(3))).filter(|&word| word < self.device().end)
    }

    /// Has [`ImageState::last_l1`] be what the L1 says of `at`.
    ///
    /// # Errors
    /// [`Stop::Miss`] and [`Stop::Corrupt`].
    pub(crate) fn look_up_l1(&mut self, at: GuestOffset, geometry: Geometry) -> Result<(), Stop> {
        if self.last_l1.holds(at) {
            return Ok(());
        }
        let start = geometry.span_start(at);
        let Some(place) = self.l1_word_place(at) else {
            // All the rest of the L1 is past the end of the file too.
            self.last_l1 = L1Range {
                start,
                len: self.size.wrapping_sub(start),
                host: HostOffset(0),
            };
            return Ok(());
        };
        let mut word = 0;
        self.memory.cache.word(place, Table::L1, &mut word)?;
        if self.header.as_ref().is_some_and(Header::l1_is_little_endian) {
            word = word.swap_bytes();
        }
        let host = L1Entry::host(word);
        self.last_l1 = L1Range { start, len: 0, host };
        if let L1Entry::Table(table) = L1Entry::decode(word).map_err(Stop::Corrupt)?
            && !self.device().has(table, geometry.l2_size())
            && !self.device().salvage
        {
            return Err(Stop::Corrupt(Flaw::L2PastEnd));
        }
        self.last_l1.len = geometry.span();
        Ok(())
    }

    /// The L1 entry looked up last.
    pub(crate) fn last_l1(&self) -> &L1Range {
        &self.last_l1
    }

    /// Puts the L2 word at `place` into `word`.
    ///
    /// # Errors
    /// [`Stop::Miss`].
    pub(crate) fn l2_word(&mut self, place: HostOffset, word: &mut u64) -> Result<(), Stop> {
        self.memory.cache.word(place, Table::L2, word)
    }

    /// The table for `at`, if that is what was looked up last and there is one.
    pub(crate) fn recent_table(&self, at: GuestOffset) -> Option<HostOffset> {
        self.last_l1.table().filter(|_| self.last_l1.holds(at))
    }

    /// The bytes that can be read of the plain cluster that starts at `cluster`, of which the file has the first `in_file` and
    /// no more.
    ///
    /// # Errors
    /// [`Stop::Corrupt`] where the guest has more of it, except in salvage.
    pub(crate) fn readable_of_cut(&self, cluster: GuestOffset, geometry: Geometry, in_file: u32) -> Result<u32, Stop> {
        let unit = self.plain().crypto_unit();
        // A last cluster may lack what lies past the end of the disk.
        let size = geometry.cluster_bits.cluster_size();
        let needed = saturating_u32(self.size.wrapping_sub(cluster)).min(size);
        let readable = unit.round_down(in_file.into());
        if readable >= unit.round_up(needed.into()) {
            Ok(size)
        } else if self.device().salvage {
            Ok(saturating_u32(readable))
        } else {
            Err(Stop::Corrupt(Flaw::ClusterPastEnd))
        }
    }

    /// Forgets all tables, since a word of them is wrong.
    pub(crate) fn forget_tables(&mut self) {
        self.memory.cache.forget();
        self.last_l1 = L1Range::NONE;
    }

    /// What [`Stop::Miss`] is about: the number of the first block to be read, and where the blocks are to be put.
    pub(crate) fn missing(&mut self) -> (u64, &mut [u8]) {
        self.memory.cache.missing()
    }

    /// Makes known what [`ImageState::missing`] named: it has been read.
    pub(crate) fn publish(&mut self) {
        self.memory.cache.publish();
    }

    /// The bytes from the start of its cluster to `at`.
    #[cfg(feature = "deflate")]
    pub(crate) fn within_cluster(&self, at: GuestOffset) -> u64 {
        self.geometry().map_or(0, |geometry| geometry.within_cluster(at))
    }

    /// The memory that reads every cluster.
    #[cfg(feature = "deflate")]
    pub(crate) fn needed_for_compressed(&self) -> usize {
        let block_size = self.device().block_size;
        self.geometry()
            .map_or(0, |geometry| lent_memory::compressed(geometry, block_size))
    }
}
