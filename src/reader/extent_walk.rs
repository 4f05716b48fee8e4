//! Which guest bytes are stored in the same way, and where: a walk through the L2 tables, a run at a time.

use crate::error::{CorruptKind, Error};
use crate::format::entry::L2Entry;
use crate::format::extent::{Extent, ExtentKind};
use crate::format::geometry::Geometry;
use crate::offset::{GuestOffset, HostOffset, saturating_u32};
use crate::reader::image_state::{ImageState, Run, Storage};
use crate::reader::stop::Stop;
use crate::reader::table_cache::Table;

/// The number of table words that one extent may cost its caller.
const EXTENT_QUOTA: u32 = 4096;

/// A walk through guest bytes from one offset to another, a run at a time.
///
/// [`ExtentWalk::find`] finds the next run; [`ExtentWalk::take_extent`] and [`ExtentWalk::advance`] move past it. What has been
/// found survives a miss.
pub(crate) struct ExtentWalk {
    /// Where the run begins.
    start: GuestOffset,
    /// The end of the run as far as it has been found.
    run_end: GuestOffset,
    /// The end of the walk.
    end: GuestOffset,
    /// How the bytes from `start` to `run_end` are stored.
    run: Run,
    /// If `has_word`, the L2 word for the byte at `run_end`, so that no word is looked up twice.
    word: u64,
    has_word: bool,
    /// Whether the run has been found to its end.
    is_found: bool,
    /// The number of table words that the run may still take.
    budget: u32,
}

impl ExtentWalk {
    /// Creates a walk from `start` to `end`, inside the disk, by runs of any length.
    pub(crate) fn new(start: GuestOffset, end: GuestOffset) -> Self {
        Self {
            start,
            run_end: start,
            end,
            run: Run::nowhere(Storage::Zero),
            word: 0,
            has_word: false,
            is_found: false,
            budget: u32::MAX,
        }
    }

    /// Creates a walk through the extents of the whole disk.
    pub(crate) fn extents(image: &ImageState) -> Self {
        let mut walk = Self::new(GuestOffset(0), image.size());
        walk.budget = EXTENT_QUOTA;
        walk
    }

    /// Creates a walk whose first run is the extent at `offset`, at most `max_len` bytes long.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for an offset past the end of the disk or a `max_len` of 0.
    pub(crate) fn extent_at<E>(image: &ImageState, offset: u64, max_len: u64) -> Result<Self, Error<E>> {
        let end = image.size().min(GuestOffset(offset).plus(max_len));
        if offset >= end.0 {
            return Err(Error::OutOfRange);
        }
        let mut walk = Self::new(GuestOffset(offset), end);
        walk.budget = EXTENT_QUOTA;
        Ok(walk)
    }

    /// Creates a walk of one run, found already: `len` bytes of the file itself, as if they were the guest's from 0 on.
    pub(crate) fn of_file(host: HostOffset, len: u64) -> Self {
        let mut walk = Self::new(GuestOffset(0), GuestOffset(len));
        walk.run_end = walk.end;
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

    #[cfg(feature = "deflate-small")]
    pub(crate) fn stored_len(&self) -> u32 {
        self.run.stored_len
    }

    /// Returns where the run starts in the file, if it is stored there.
    pub(crate) fn host(&self) -> HostOffset {
        self.host_of(self.start)
    }

    fn host_of(&self, guest: GuestOffset) -> HostOffset {
        HostOffset(guest.0.wrapping_add(self.run.delta))
    }

    /// Returns the number of bytes of the run that have been found so far.
    pub(crate) fn len(&self) -> u64 {
        self.run_end.wrapping_sub(self.start)
    }

    /// Returns whether the walk is at its end.
    pub(crate) fn is_done(&self) -> bool {
        self.start >= self.end
    }

    /// Consumes `bytes` bytes of the run, which has at least as many.
    pub(crate) fn advance(&mut self, bytes: u64) {
        self.start = self.start.wrapping_add(bytes);
    }

    /// Lets the walk end with the run.
    pub(crate) fn end_with_run(&mut self) {
        self.end = self.run_end;
    }

    /// Lets the walk go on from where it is to `end`, in another image.
    pub(crate) fn go_on_in_other_image(&mut self, end: GuestOffset) {
        self.run_end = self.start;
        self.end = end;
        self.has_word = false;
        self.budget = u32::MAX;
    }

    /// Returns the run as an extent, and goes on past it.
    pub(crate) fn take_extent(&mut self) -> Extent {
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
        self.start = self.run_end;
        self.budget = EXTENT_QUOTA;
        extent
    }

    /// Returns the part of the run that has been found before the device failed, or `error` if there is none: then the run
    /// begins at what cannot be read.
    pub(crate) fn take_before<E>(&mut self, error: E) -> Result<Extent, E> {
        if self.len() == 0 {
            return Err(error);
        }
        Ok(self.take_extent())
    }

    /// Finds the next run, extended as far as possible; does nothing while part of the last one is left. Must not be called
    /// once [`ExtentWalk::is_done`].
    ///
    /// # Errors
    /// [`Stop::Miss`], after which the next call continues; [`Stop::Corrupt`] for a flaw at the start of the run.
    #[inline(always)]
    pub(crate) fn find(&mut self, image: &mut ImageState, memory: &mut [u8]) -> Result<(), Stop> {
        if self.is_found && self.run_end != self.start {
            return Ok(());
        }
        self.search(image, memory)
    }

    // Not inlined, so that the rest of a run costs no call.
    #[inline(never)]
    fn search(&mut self, image: &mut ImageState, memory: &mut [u8]) -> Result<(), Stop> {
        self.is_found = false;
        // Bound: each turn takes a table word or more, or it is the last. A run is never empty, whatever the budget.
        while self.run_end < self.end && (self.budget != 0 || self.run_end == self.start) {
            match self.extend(image, memory) {
                Ok(true) => {}
                Ok(false) => break,
                // The run ends before the flaw, and the next call meets it.
                Err(Stop::Corrupt(_)) if self.run_end != self.start => break,
                Err(stop) => return Err(stop),
            }
        }
        self.is_found = true;
        Ok(())
    }

    /// Extends the run by one table word and by the contiguous ones after it. Returns whether the run may continue after
    /// them.
    fn extend(&mut self, image: &mut ImageState, memory: &mut [u8]) -> Result<bool, Stop> {
        let Some(geometry) = image.geometry() else {
            self.run = Run::in_file(Storage::Data, 0);
            self.run_end = self.end;
            return Ok(true);
        };
        image.look_up_l1(geometry, self.run_end, memory)?;
        let l1 = *image.last_l1_entry();
        // The L1 word counts too, where the run enters its span.
        let l1_words = u32::from(self.run_end == l1.start);
        let Some(table) = l1.table() else {
            self.budget = self.budget.saturating_sub(l1_words);
            return Ok(self.join(Run::nowhere(image.hole()), l1.start.wrapping_add(l1.len)));
        };
        // From here on, guest offsets count from the start of the table's span, which is 2^29 bytes at most.
        let shift = geometry.cluster_shift();
        let at = saturating_u32(self.run_end.wrapping_sub(l1.start));
        let wanted_end = saturating_u32(self.end.wrapping_sub(l1.start)).min(geometry.span_u32());
        let index = at.wrapping_shr(shift);
        let place = table.wrapping_add(index.wrapping_shl(3).into());
        if !self.has_word {
            image.l2_word(memory, place, &mut self.word)?;
            self.has_word = true;
        }
        let cluster = index.wrapping_shl(shift);
        let Stored {
            run,
            end_in_cluster,
            following,
        } = self.stored(image, geometry, l1.start.wrapping_add(cluster.into()))?;
        let whole = end_in_cluster == geometry.cluster_bits.cluster_size();
        if !self.join(run, l1.start.wrapping_add(cluster.wrapping_add(end_in_cluster).into())) || !whole {
            // The word stays, for the next run or for the rest of a cluster that the file's end cuts.
            return Ok(false);
        }
        self.has_word = false;
        let last = wanted_end.wrapping_sub(1).wrapping_shr(shift);
        let following = following.min(last.wrapping_sub(index)).min(self.budget);
        let alike = self.alike(image, memory, geometry, place.wrapping_add(8), following);
        self.budget = self.budget.saturating_sub(alike.wrapping_add(1).wrapping_add(l1_words));
        let end = cluster.wrapping_add(alike.wrapping_add(1).wrapping_shl(shift));
        self.run_end = l1.start.wrapping_add(end.min(wanted_end).into());
        // A compressed cluster is a run of its own.
        Ok(run.storage != Storage::Compressed)
    }

    /// Returns what the next L2 word says of the bytes at `run_end`, in the cluster that starts at `cluster`.
    // Inlined, because what it returns is large to hand over.
    #[inline(always)]
    fn stored(&self, image: &ImageState, geometry: Geometry, cluster: GuestOffset) -> Result<Stored, Stop> {
        let device = image.device();
        let whole = geometry.cluster_bits.cluster_size();
        let (run, end_in_cluster, following) =
            match L2Entry::decode(self.word, geometry.cluster_bits).map_err(Stop::Corrupt)? {
                L2Entry::Hole => (Run::nowhere(image.hole()), whole, u32::MAX),
                L2Entry::Compressed(host, stored_len) => {
                    if !device.has(host, stored_len.into()) && !device.salvage {
                        return Err(Stop::Corrupt(CorruptKind::StreamPastEnd));
                    }
                    // The stream is where the run's first byte is, wherever in the cluster that may be.
                    let delta = host.0.wrapping_sub(self.run_end.0);
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
                    if self.run_end.wrapping_sub(cluster) < len.into() {
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
        Ok(Stored {
            run,
            end_in_cluster,
            following,
        })
    }

    /// Extends the run by bytes up to `end` that are stored as `next` says, if they belong to it. Returns whether they do.
    // Not inlined: two calls would double it.
    #[inline(never)]
    fn join(&mut self, next: Run, end: GuestOffset) -> bool {
        // Equal deltas: side by side in the guest and in the file.
        let joins = self.run_end == self.start || (self.run.storage == next.storage && self.run.delta == next.delta);
        if joins {
            self.run = next;
            self.run_end = end.min(self.end);
        }
        joins
    }

    /// Returns the number of words from `place` on, at most `wanted`, with which the run goes on; it looks at those that are
    /// cached beside the last.
    fn alike(&self, image: &ImageState, memory: &[u8], geometry: Geometry, place: HostOffset, wanted: u32) -> u32 {
        let (mut next, step) = match self.run.storage {
            Storage::Data | Storage::Encrypted => (self.host_of(self.run_end).0, geometry.cluster_size()),
            _ => (0, 0),
        };
        let (words, _) = image.parts.cache.recent(Table::L2, place, memory).as_chunks();
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
    /// How far into the cluster it goes, in bytes.
    end_in_cluster: u32,
    /// The number of clusters after this one that may be part of the run if their words go on alike.
    following: u32,
}
