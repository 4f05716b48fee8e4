//! Which guest bytes are stored alike, and where: goes through the tables a run at a time.

use crate::error::{Error, Flaw};
use crate::format::entry::L2Entry;
use crate::format::extent::{Extent, ExtentKind};
use crate::format::geometry::Geometry;
use crate::offset::{GuestOffset, HostOffset, saturating_u32};
use crate::reader::image_state::{ImageState, Run, Storage};
use crate::reader::stop::Stop;
use crate::reader::table_cache::Table;

/// The table words that one extent may cost its caller.
const EXTENT_QUOTA: u32 = 4096;

/// Goes through guest bytes from one offset to another, a run at a time.
///
/// [`ExtentWalk::find`] finds a run, [`ExtentWalk::take`] and [`ExtentWalk::advance`] go on past it. What it has found
/// survives a miss.
pub(crate) struct ExtentWalk {
    start: GuestOffset,
    /// The first guest byte past the run that has been found so far, from `start` on.
    at: GuestOffset,
    end: GuestOffset,
    run: Run,
    /// The L2 word for the byte at `at`, if `has_word`: so none is looked up twice.
    word: u64,
    has_word: bool,
    /// The table words that the run may still take.
    budget: u32,
}

impl ExtentWalk {
    /// From `start` to `end`, which lies inside the disk, by runs of any length.
    pub(crate) fn new(start: GuestOffset, end: GuestOffset) -> Self {
        Self {
            start,
            at: start,
            end,
            run: Run::nowhere(Storage::Zero),
            word: 0,
            has_word: false,
            budget: u32::MAX,
        }
    }

    /// The runs of the whole disk, as extents.
    pub(crate) fn extents(image: &ImageState<'_>) -> Self {
        let mut walk = Self::new(GuestOffset(0), image.size());
        walk.budget = EXTENT_QUOTA;
        walk
    }

    /// The extent at `offset`, of at most `max_len` bytes.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] where it is empty.
    pub(crate) fn extent_at<E>(image: &ImageState<'_>, offset: u64, max_len: u64) -> Result<Self, Error<E>> {
        let end = image.size().min(GuestOffset(offset).plus(max_len));
        if offset >= end.0 {
            return Err(Error::OutOfRange);
        }
        let mut walk = Self::new(GuestOffset(offset), end);
        walk.budget = EXTENT_QUOTA;
        Ok(walk)
    }

    /// A run of `len` bytes of the file itself, as if they were the guest's from 0 on.
    pub(crate) fn of_file(host: HostOffset, len: u64) -> Self {
        let mut walk = Self::new(GuestOffset(0), GuestOffset(len));
        walk.at = walk.end;
        walk.run = Run::in_file(Storage::Data, host.0);
        walk
    }

    pub(crate) fn start(&self) -> GuestOffset {
        self.start
    }

    pub(crate) fn end(&self) -> GuestOffset {
        self.end
    }

    pub(crate) fn word(&self) -> u64 {
        self.word
    }

    pub(crate) fn storage(&self) -> Storage {
        self.run.storage
    }

    #[cfg(feature = "deflate")]
    pub(crate) fn stored_len(&self) -> u32 {
        self.run.stored_len
    }

    /// Where the run starts in the file, if it is stored there.
    pub(crate) fn host(&self) -> HostOffset {
        self.host_of(self.start)
    }

    fn host_of(&self, guest: GuestOffset) -> HostOffset {
        HostOffset(guest.0.wrapping_add(self.run.delta))
    }

    /// The bytes of the run that have been found so far.
    pub(crate) fn len(&self) -> u64 {
        self.at.wrapping_sub(self.start)
    }

    /// Whether all has been gone through.
    pub(crate) fn is_done(&self) -> bool {
        self.start >= self.end
    }

    /// Drops the first `bytes` bytes of the run, which has as many.
    pub(crate) fn advance(&mut self, bytes: u64) {
        self.start = self.start.wrapping_add(bytes);
    }

    /// Ends where the run does.
    pub(crate) fn end_with_run(&mut self) {
        self.end = self.at;
    }

    /// Goes on from where it is to `end`, in another image.
    pub(crate) fn turn(&mut self, end: GuestOffset) {
        self.at = self.start;
        self.end = end;
        self.has_word = false;
        self.budget = u32::MAX;
    }

    /// Takes the run as an extent. The next may cost as much as an extent may.
    pub(crate) fn take(&mut self) -> Extent {
        let host_offset = self.host().0;
        let extent = Extent {
            start: self.start.0,
            len: self.len(),
            kind: match self.run.storage {
                Storage::Zero => ExtentKind::Zero,
                Storage::Backing => ExtentKind::Backing,
                Storage::Data | Storage::Encrypted => ExtentKind::Data { host_offset },
                Storage::Compressed => ExtentKind::Compressed {
                    host_offset,
                    stored_len: self.run.stored_len,
                },
            },
        };
        self.start = self.at;
        self.budget = EXTENT_QUOTA;
        extent
    }

    /// Finds the run, as long as it goes; not to be asked once [`ExtentWalk::is_done`].
    ///
    /// # Errors
    /// [`Stop::Miss`], after which it goes on where it was, and [`Stop::Corrupt`] where the run is empty.
    pub(crate) fn find(&mut self, image: &mut ImageState<'_>) -> Result<(), Stop> {
        // Bound: each turn takes a table word or more, or it is the last.
        while self.at < self.end && (self.budget != 0 || self.at == self.start) {
            match self.extend(image) {
                Ok(true) => {}
                Ok(false) => break,
                // What was found before the flaw is good. The flaw is met again by who goes on.
                Err(Stop::Corrupt(_)) if self.at != self.start => break,
                Err(stop) => return Err(stop),
            }
        }
        Ok(())
    }

    /// Extends the run by what the next table word, and those after it that are alike, stand for. Returns whether it may go
    /// on beyond them.
    fn extend(&mut self, image: &mut ImageState<'_>) -> Result<bool, Stop> {
        let Some(geometry) = image.geometry() else {
            self.run = Run::in_file(Storage::Data, 0);
            self.at = self.end;
            return Ok(true);
        };
        image.look_up_l1(self.at, geometry)?;
        let l1 = *image.last_l1();
        // The L1 word counts too.
        let l1_words = u32::from(self.at == l1.start);
        let Some(table) = l1.table() else {
            self.budget = self.budget.saturating_sub(l1_words);
            return Ok(self.join(Run::nowhere(image.hole()), l1.start.wrapping_add(l1.len)));
        };
        // From here on, guest offsets count from the start of the table's span, which is 2^29 bytes at most.
        let shift = geometry.cluster_shift();
        let at = saturating_u32(self.at.wrapping_sub(l1.start));
        let wanted_end = saturating_u32(self.end.wrapping_sub(l1.start)).min(geometry.span_u32());
        let index = at.wrapping_shr(shift);
        let place = table.wrapping_add(index.wrapping_shl(3).into());
        if !self.has_word {
            image.l2_word(place, &mut self.word)?;
            self.has_word = true;
        }
        let cluster = index.wrapping_shl(shift);
        let Stored { run, len, following } = self.stored(image, geometry, l1.start.wrapping_add(cluster.into()))?;
        let whole = len == geometry.cluster_bits.cluster_size();
        if !self.join(run, l1.start.wrapping_add(cluster.wrapping_add(len).into())) || !whole {
            return Ok(false);
        }
        self.has_word = false;
        let last = wanted_end.wrapping_sub(1).wrapping_shr(shift);
        let following = following.min(last.wrapping_sub(index)).min(self.budget);
        let alike = self.alike(image, geometry, place.wrapping_add(8), following);
        self.budget = self.budget.saturating_sub(alike.wrapping_add(1).wrapping_add(l1_words));
        let end = cluster.wrapping_add(alike.wrapping_add(1).wrapping_shl(shift));
        self.at = l1.start.wrapping_add(end.min(wanted_end).into());
        Ok(run.storage != Storage::Compressed)
    }

    /// What the next L2 word says of the bytes at `at`, in the cluster that starts at `cluster`.
    // Inlined, since what it returns is large.
    #[inline(always)]
    fn stored(&self, image: &ImageState<'_>, geometry: Geometry, cluster: GuestOffset) -> Result<Stored, Stop> {
        let device = image.device();
        let whole = geometry.cluster_bits.cluster_size();
        let (run, len, following) = match L2Entry::decode(self.word, geometry.cluster_bits).map_err(Stop::Corrupt)? {
            L2Entry::Hole => (Run::nowhere(image.hole()), whole, u32::MAX),
            L2Entry::Compressed(host, stored_len) => {
                if !device.has(host, stored_len.into()) && !device.salvage {
                    return Err(Stop::Corrupt(Flaw::CompressedPastEnd));
                }
                let delta = host.0.wrapping_sub(self.at.0);
                let storage = Storage::Compressed;
                (
                    Run {
                        storage,
                        delta,
                        stored_len,
                    },
                    whole,
                    0,
                )
            }
            L2Entry::Data(host) => {
                let in_file = saturating_u32(device.end.since(host));
                let (len, following) = match in_file.wrapping_shr(geometry.cluster_shift()) {
                    0 => (image.readable_of_cut(cluster, geometry, in_file)?, 0),
                    clusters => (whole, clusters.wrapping_sub(1)),
                };
                if self.at.wrapping_sub(cluster) < len.into() {
                    (
                        Run::in_file(image.plain(), host.0.wrapping_sub(cluster.0)),
                        len,
                        following,
                    )
                } else {
                    (Run::nowhere(Storage::Zero), whole, 0)
                }
            }
        };
        Ok(Stored { run, len, following })
    }

    /// Extends the run up to `end`, if what is stored like `next` belongs to it. Returns whether it does.
    #[inline(never)]
    fn join(&mut self, next: Run, end: GuestOffset) -> bool {
        let joins = self.at == self.start || (self.run.storage == next.storage && self.run.delta == next.delta);
        if joins {
            self.run = next;
            self.at = end.min(self.end);
        }
        joins
    }

    /// The number of words from `place` on, of at most `wanted`, with which the run goes on, as far as they are cached beside
    /// the last.
    fn alike(&self, image: &ImageState<'_>, geometry: Geometry, place: HostOffset, wanted: u32) -> u32 {
        let (mut next, step) = match self.run.storage {
            Storage::Data | Storage::Encrypted => (self.host_of(self.at).0, geometry.cluster_size()),
            _ => (0, 0),
        };
        let (words, _) = image.memory.cache.recent(place, Table::L2).as_chunks();
        let alike = words.iter().zip(0..wanted).take_while(|(word, _)| {
            let expected = next;
            next = next.wrapping_add(step);
            u64::from_be_bytes(**word) == expected
        });
        u32::try_from(alike.count()).unwrap_or(0)
    }
}

/// What an L2 word says of its cluster.
struct Stored {
    run: Run,
    /// The bytes of the cluster, from its start on, that it says it of.
    len: u32,
    /// The clusters after this one that may belong to the run without being looked at by themselves.
    following: u32,
}
