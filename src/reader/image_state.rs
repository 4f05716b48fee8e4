//! An open image without its device: its header, its lent memory, and its L1 entries.

use crate::device::BlockSize;
use crate::error::CorruptKind;
use crate::format::entry::L1Entry;
use crate::format::geometry::Geometry;
use crate::format::header::Header;
use crate::offset::{GuestOffset, HostOffset, low_u32};
use crate::reader::cipher::Cipher;
use crate::reader::device_shape::DeviceShape;
use crate::reader::lent_memory;
use crate::reader::lent_memory::Parts;
use crate::reader::open::ProbedDevice;
use crate::reader::stop::Stop;
use crate::reader::table_cache::Table;

/// An open image without its device.
pub(crate) struct ImageState {
    /// None: raw.
    header: Option<Header>,
    size: GuestOffset,
    /// The L1 entry looked up last: its neighbors need only their L2 words.
    last_l1_entry: L1Range,
    /// The end of the guest bytes that a read of a chain asks of this image. The read stores it
    /// here when it enters the image, so that it can continue when it comes back up from an image
    /// below.
    pub(crate) read_end: GuestOffset,
    pub(crate) parts: Parts,
    pub(crate) cipher: Cipher,
}

/// The guest bytes of one L1 entry, and the L2 table that it leads to.
#[derive(Clone, Copy)]
pub(crate) struct L1Range {
    pub(crate) start: GuestOffset,
    /// In bytes, at most 2^29 with a table. 0 if there is no entry or it is corrupt.
    pub(crate) len: u64,
    /// The host offset of the L2 table; 0 for a hole.
    pub(crate) host: HostOffset,
}

impl L1Range {
    const NONE: Self = Self {
        start: GuestOffset(0),
        len: 0,
        host: HostOffset(0),
    };

    pub(crate) fn contains(&self, at: GuestOffset) -> bool {
        at.wrapping_sub(self.start) < self.len
    }

    /// Returns the host offset of the L2 table, or `None` for a hole.
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
    /// Returns the unit of its reads: a byte, or a sector if it is encrypted, because a sector is
    /// decrypted as a whole.
    pub(crate) fn crypto_unit(self) -> BlockSize {
        if self == Self::Encrypted {
            BlockSize::B512
        } else {
            BlockSize::BYTE
        }
    }
}

/// How and where the guest bytes of one run are stored.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    pub(crate) storage: Storage,
    /// The host offset minus the guest offset, modulo 2^64; 0 if nothing is stored.
    pub(crate) host_minus_guest: u64,
}

impl Run {
    /// Creates a run of bytes that lie in the file as they are.
    pub(crate) const fn in_file(storage: Storage, host_minus_guest: u64) -> Self {
        Self {
            storage,
            host_minus_guest,
        }
    }

    /// Creates a run of bytes that this image does not store.
    pub(crate) const fn unstored(storage: Storage) -> Self {
        Self {
            storage,
            host_minus_guest: 0,
        }
    }
}

impl ImageState {
    /// Creates the image in `memory`, which is at least as long as the memory that it was probed
    /// with.
    // Inlined, because the image is large to return. In a debug build, inlining would only make the
    // stack deeper.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn new(probed: ProbedDevice, memory: &mut [u8]) -> Self {
        let ProbedDevice { header, device } = probed;
        Self {
            header,
            size: GuestOffset(header.map_or(device.end.0, |header| header.virtual_size())),
            last_l1_entry: L1Range::NONE,
            read_end: GuestOffset(0),
            parts: Parts::split(memory, device, header.as_ref().map(Header::geometry)),
            cipher: Cipher::None,
        }
    }

    pub(crate) fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// Returns the geometry, or `None` for a raw disk.
    pub(crate) fn geometry(&self) -> Option<Geometry> {
        self.header.as_ref().map(Header::geometry)
    }

    pub(crate) fn device(&self) -> &DeviceShape {
        &self.parts.cache.device
    }

    pub(crate) fn size(&self) -> GuestOffset {
        self.size
    }

    /// Returns how a hole reads.
    pub(crate) fn hole_storage(&self) -> Storage {
        match &self.header {
            Some(header) if header.has_backing() => Storage::Backing,
            _ => Storage::Zero,
        }
    }

    /// Returns how a plain cluster is stored.
    pub(crate) fn plain_storage(&self) -> Storage {
        match &self.header {
            Some(header) if header.is_encrypted() => Storage::Encrypted,
            _ => Storage::Data,
        }
    }

    /// Returns the host offset of the L1 word for `at`, or `None` if it is past the end of the
    /// file, which only salvage allows.
    fn l1_word_offset(&self, at: GuestOffset) -> Option<HostOffset> {
        let header = self.header.as_ref()?;
        let index = header.geometry().l1_index(at);
        Some(header.l1().plus(index.wrapping_shl(3))).filter(|&word| word < self.device().end)
    }

    /// Returns the host offset of the L2 word for `at`, if the last L1 entry is that of `at` and
    /// has a table.
    fn l2_word_offset(&self, geometry: Geometry, at: GuestOffset) -> Option<HostOffset> {
        let l1 = &self.last_l1_entry;
        let table = l1.table().filter(|_| l1.contains(at))?;
        let index = low_u32(at.wrapping_sub(l1.start)).wrapping_shr(geometry.cluster_shift());
        Some(table.wrapping_add(index.wrapping_shl(3).into()))
    }

    /// Looks up the table words for the guest byte at `at`. After that,
    /// [`ImageState::last_l1_entry`] is its L1 entry, and [`ImageState::last_word`] is its L2 word,
    /// or 0 if the L1 entry has no table.
    ///
    /// # Errors
    /// [`Stop::Miss`]; [`Stop::Corrupt`], and then `last_l1_entry` has the range and the offset
    /// that the entry is about.
    #[inline(never)]
    pub(crate) fn look_up(&mut self, geometry: Geometry, at: GuestOffset, memory: &mut [u8]) -> Result<(), Stop> {
        // Bound: two turns, one for each table.
        loop {
            let (table, place) = match self.l2_word_offset(geometry, at) {
                Some(place) => (Table::L2, place),
                None if self.last_l1_entry.contains(at) => {
                    self.parts.cache.clear_word();
                    return Ok(());
                }
                None => match self.l1_word_offset(at) {
                    Some(place) => (Table::L1, place),
                    None => {
                        self.enter_span_past_end(geometry, at);
                        continue;
                    }
                },
            };
            self.parts.cache.read_word(table, place, memory)?;
            if table == Table::L2 {
                return Ok(());
            }
            self.enter_span(geometry, at)?;
        }
    }

    /// Makes a hole up to the end of the disk the last L1 entry: the L1 word for `at` is past the
    /// end of the file.
    fn enter_span_past_end(&mut self, geometry: Geometry, at: GuestOffset) {
        let start = geometry.span_start(at);
        // The rest of the L1 is past the end of the file too.
        self.last_l1_entry = L1Range {
            start,
            len: self.size.wrapping_sub(start),
            host: HostOffset(0),
        };
    }

    /// Makes the L1 entry for `at` the last one. Its word is the one looked up last.
    // Not inlined, because most look-ups stay in the span of the last L1 entry.
    #[inline(never)]
    fn enter_span(&mut self, geometry: Geometry, at: GuestOffset) -> Result<(), Stop> {
        let mut word = self.parts.cache.last_word();
        if self.header.as_ref().is_some_and(Header::l1_is_little_endian) {
            word = word.swap_bytes();
        }
        // It has length 0 until it is checked, so that it contains no offset. An error still
        // reports its place.
        self.last_l1_entry = L1Range {
            start: geometry.span_start(at),
            len: 0,
            host: L1Entry::host(word),
        };
        if let L1Entry::Table(table) = L1Entry::decode(word).map_err(Stop::Corrupt)? {
            let size = geometry.l2_size();
            self.device().require(table, size, CorruptKind::L2PastEnd)?;
        }
        self.last_l1_entry.len = geometry.span();
        Ok(())
    }

    /// Returns the L1 entry looked up last.
    pub(crate) fn last_l1_entry(&self) -> &L1Range {
        &self.last_l1_entry
    }

    /// Returns the L2 word looked up last; 0 if the L1 entry looked up last has no table.
    pub(crate) fn last_word(&self) -> u64 {
        self.parts.cache.last_word()
    }

    /// Returns the L2 table for `at`, if the L1 entry looked up last has one.
    #[cfg(feature = "check")]
    pub(crate) fn last_table(&self, at: GuestOffset) -> Option<HostOffset> {
        self.last_l1_entry.table().filter(|_| self.last_l1_entry.contains(at))
    }

    /// Forgets everything that was read from the device. After an error, no byte that the failed
    /// call read is trusted: if the device returned wrong bytes once, the next call reads them
    /// again.
    #[cold]
    pub(crate) fn forget(&mut self, memory: &mut [u8]) {
        self.parts.cache.forget(memory);
        self.last_l1_entry.len = 0;
        #[cfg(feature = "deflate-small")]
        if let Some(inflater) = &mut self.parts.inflater {
            inflater.forget();
        }
    }

    /// Returns what to read after [`Stop::Miss`]: the number of the first block, and the buffer for
    /// the blocks.
    pub(crate) fn pending_request<'m>(&self, memory: &'m mut [u8]) -> (u64, &'m mut [u8]) {
        self.parts.cache.pending_request(memory)
    }

    /// Reacts to a failed read of what [`ImageState::pending_request`] named. Returns `true` if a
    /// smaller read is possible.
    pub(crate) fn narrow(&mut self, memory: &mut [u8]) -> bool {
        self.parts.cache.narrow(memory)
    }

    /// Begins a call: pieces of tables have their full size again.
    pub(crate) fn begin_call(&mut self, memory: &mut [u8]) {
        self.parts.cache.widen(memory);
    }

    /// Publishes the piece that the driver has read for [`ImageState::pending_request`].
    pub(crate) fn publish(&mut self, memory: &mut [u8]) {
        self.parts.cache.publish(memory);
    }

    /// Returns the number of bytes from the start of its cluster to `at`.
    #[cfg(feature = "deflate-small")]
    pub(crate) fn within_cluster(&self, at: GuestOffset) -> u64 {
        self.geometry().map_or(0, |geometry| geometry.within_cluster(at))
    }

    /// Returns the number of bytes of memory that a read of bytes with this storage needs.
    pub(crate) fn memory_needed_for(&self, storage: Storage) -> usize {
        match self.geometry() {
            Some(geometry) if cfg!(feature = "deflate-small") && storage == Storage::Compressed => {
                lent_memory::minimum_compressed(geometry, self.device().block_size)
            }
            // A part of an encrypted sector, on a byte-addressable device.
            _ => lent_memory::minimum_with_bounce(BlockSize::BYTE),
        }
    }
}
