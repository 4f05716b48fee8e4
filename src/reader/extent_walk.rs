//! Walks the L2 tables, one run of guest bytes that are stored in the same way at a time.

use crate::error::{CorruptKind, Error};
use crate::format::entry::L2Entry;
use crate::format::extent::{Extent, ExtentKind};
use crate::offset::{GuestOffset, HostOffset, low_u32, saturating_u32};
use crate::reader::image_state::{ImageState, Run, Storage};
use crate::reader::stop::Stop;

/// The number of table words that the walk may take for one extent.
const EXTENT_BUDGET: u32 = 4096;

/// A walk through guest bytes from one offset to another, one run at a time.
///
/// [`ExtentWalk::find`] finds the next run; [`ExtentWalk::take_extent`] and [`ExtentWalk::advance`]
/// move past it. A miss keeps what has been found.
pub(crate) struct ExtentWalk {
    /// The first byte of the run.
    start: GuestOffset,
    /// The end of the run as far as it has been found.
    run_end: GuestOffset,
    /// The end of the walk.
    end: GuestOffset,
    /// How the bytes from `start` to `run_end` are stored.
    run: Run,
    /// The length of a compressed stream in bytes.
    stored_len: u32,
    /// Whether the word that the image looked up last is that of the byte at `run_end`, so that no
    /// word is looked up twice.
    has_word: bool,
    /// Whether `run_end` is the end of the run.
    is_complete: bool,
    /// The number of table words that the extent may still take. A read has no such limit.
    budget: u32,
}

impl ExtentWalk {
    /// Creates a walk from `start` to `end`, inside the disk, with runs of any length.
    pub(crate) fn new(start: GuestOffset, end: GuestOffset) -> Self {
        Self {
            start,
            run_end: start,
            end,
            run: Run::unstored(Storage::Zero),
            stored_len: 0,
            has_word: false,
            is_complete: false,
            budget: u32::MAX,
        }
    }

    /// Creates a walk through the extents of the whole disk.
    pub(crate) fn over_disk(image: &ImageState) -> Self {
        let mut walk = Self::new(GuestOffset(0), image.size());
        walk.budget = EXTENT_BUDGET;
        walk
    }

    /// Creates a walk through the extents of the `max_len` bytes that start at `offset`, or up to
    /// the end of the disk.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for an offset past the end of the disk or a `max_len` of 0.
    pub(crate) fn over_range<E>(image: &ImageState, offset: u64, max_len: u64) -> Result<Self, Error<E>> {
        let end = image.size().min(GuestOffset(offset).plus(max_len));
        if offset >= end.0 {
            return Err(Error::OutOfRange);
        }
        let mut walk = Self::new(GuestOffset(offset), end);
        walk.budget = EXTENT_BUDGET;
        Ok(walk)
    }

    /// Creates a walk of one known run, for the backing file's name: the `len` bytes of the file
    /// that start at `host`, as the guest bytes that start at 0.
    pub(crate) fn over_file_range(host: HostOffset, len: u64) -> Self {
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

    pub(crate) fn storage(&self) -> Storage {
        self.run.storage
    }

    #[cfg(feature = "deflate-small")]
    pub(crate) fn stored_len(&self) -> u32 {
        self.stored_len
    }

    /// Returns the host offset of the first byte of the run or, if the run is compressed, of its
    /// stream. It is meaningless if the run is not stored in the file, or if a part of a compressed
    /// run has been consumed.
    pub(crate) fn host(&self) -> HostOffset {
        HostOffset(self.start.0.wrapping_add(self.run.host_minus_guest))
    }

    /// Returns the number of bytes of the run that have been found so far.
    pub(crate) fn len(&self) -> u64 {
        self.run_end.wrapping_sub(self.start)
    }

    /// Returns `true` once the walk is at its end.
    pub(crate) fn is_done(&self) -> bool {
        self.start >= self.end
    }

    /// Consumes `bytes` bytes of the run, at most `len()`. A read that goes back up may also
    /// advance past the end of the walk, over the bytes that a shorter backing image lacks.
    pub(crate) fn advance(&mut self, bytes: u64) {
        self.start = self.start.wrapping_add(bytes);
    }

    /// Moves the end of the walk to the end of the run: the image below supplies only this run.
    pub(crate) fn truncate_to_run(&mut self) {
        self.end = self.run_end;
    }

    /// Continues the walk in another image, from the current offset to `end`.
    pub(crate) fn switch_image(&mut self, end: GuestOffset) {
        // The old run is now empty, so the next `find` replaces it.
        self.run_end = self.start;
        self.end = end;
        self.has_word = false;
        // As in `new`: the runs of a read have any length. A walk through extents has one image.
        self.budget = u32::MAX;
    }

    /// Returns the run as an extent, and advances past it.
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
                    stored_len: self.stored_len,
                },
            },
        };
        self.start = self.run_end;
        self.budget = EXTENT_BUDGET;
        extent
    }

    /// Returns the part of the run that was found before the device failed, and advances past it.
    ///
    /// # Errors
    /// `error` if there is none: the table word of the first byte cannot be read.
    pub(crate) fn take_partial_extent<E>(&mut self, error: E) -> Result<Extent, E> {
        if self.len() == 0 {
            return Err(error);
        }
        Ok(self.take_extent())
    }

    /// Finds the next run, extended as far as possible; does nothing while part of the last one is
    /// left. Must not be called once [`ExtentWalk::is_done`].
    ///
    /// # Errors
    /// [`Stop::Miss`], after which the next call continues; [`Stop::Corrupt`] for a flaw at the
    /// start of the run.
    #[inline(always)]
    pub(crate) fn find(&mut self, image: &mut ImageState, memory: &mut [u8]) -> Result<(), Stop> {
        if self.is_complete && self.run_end != self.start {
            return Ok(());
        }
        self.complete_run(image, memory)
    }

    // Not inlined, so that the rest of a run costs no call.
    #[inline(never)]
    fn complete_run(&mut self, image: &mut ImageState, memory: &mut [u8]) -> Result<(), Stop> {
        self.is_complete = false;
        // Bound: each turn takes a table word or more, or it is the last. A run is never empty,
        // whatever the budget.
        while self.run_end < self.end && (self.budget != 0 || self.run_end == self.start) {
            match self.extend(image, memory) {
                Ok(true) => {}
                Ok(false) => break,
                // The run ends before the flaw, and the next call meets it.
                Err(Stop::Corrupt(_)) if self.run_end != self.start => break,
                Err(stop) => return Err(stop),
            }
        }
        self.is_complete = true;
        Ok(())
    }

    /// Extends the run by one table word and by the words after it that continue the run. Returns
    /// `true` if the run may be longer.
    fn extend(&mut self, image: &mut ImageState, memory: &mut [u8]) -> Result<bool, Stop> {
        let Some(geometry) = image.geometry() else {
            // A raw disk is one run: the file itself.
            self.run = Run::in_file(Storage::Data, 0);
            self.run_end = self.end;
            return Ok(true);
        };
        if !self.has_word {
            image.look_up(geometry, self.run_end, memory)?;
            self.has_word = true;
        }
        let l1 = *image.last_l1_entry();
        let wanted_end = self.end.min(l1.start.wrapping_add(l1.len));
        let cluster = geometry.cluster_start(self.run_end);
        let size = geometry.cluster_bits.cluster_size();
        // The number of wanted clusters after this one. All belong to the L1 entry. Not used if the
        // L1 entry has no table: its range may then be longer than 2^32 bytes.
        let mut clusters_after =
            low_u32(wanted_end.wrapping_sub(cluster).wrapping_sub(1)).wrapping_shr(geometry.cluster_shift());
        // Where in the cluster the run must end: at its end or, if the file truncates it, after the
        // bytes that can be read.
        let mut run_limit = size;
        let device = image.device();
        let entry = L2Entry::decode(image.last_word(), geometry.cluster_bits).map_err(Stop::Corrupt)?;
        let (storage, host_minus_guest) = match entry {
            L2Entry::Hole => (image.hole_storage(), 0),
            L2Entry::Compressed(host, stored_len) => {
                device.require(host, stored_len.into(), CorruptKind::StreamPastEnd)?;
                clusters_after = 0;
                self.stored_len = stored_len;
                // The host offset of the run is that of the stream, even if the run begins inside the
                // cluster.
                (Storage::Compressed, host.0.wrapping_sub(self.run_end.0))
            }
            L2Entry::Data(host) => {
                let in_file = saturating_u32(device.end.since(host));
                match in_file.wrapping_shr(geometry.cluster_shift()) {
                    0 => {
                        let in_disk = saturating_u32(image.size().wrapping_sub(cluster)).min(size);
                        let unit = image.plain_storage().crypto_unit();
                        run_limit = device.readable_of_truncated_cluster(size, in_file, in_disk, unit)?;
                        clusters_after = 0;
                    }
                    clusters => clusters_after = clusters_after.min(clusters.wrapping_sub(1)),
                }
                if self.run_end.wrapping_sub(cluster) < run_limit.into() {
                    (image.plain_storage(), host.0.wrapping_sub(cluster.0))
                } else {
                    // After the readable bytes, the rest of the cluster is zeros, to its end.
                    run_limit = size;
                    (Storage::Zero, 0)
                }
            }
        };
        // With equal differences, both are adjacent in the guest and in the file.
        if self.run_end != self.start && (self.run.storage != storage || self.run.host_minus_guest != host_minus_guest)
        {
            // The word stays, for the next run.
            return Ok(false);
        }
        self.run = Run {
            storage,
            host_minus_guest,
        };
        // The L1 word counts too, if the run enters its span.
        let mut words = u32::from(self.run_end == l1.start);
        if l1.table().is_none() {
            self.run_end = wanted_end;
        } else if run_limit != size {
            self.run_end = wanted_end.min(cluster.wrapping_add(run_limit.into()));
            // The word stays, for the rest of a cluster that the end of the file truncates.
            return Ok(false);
        } else {
            // A word continues a plain run if it is one cluster above the word before it, and a
            // hole if it is 0 too. No word continues a compressed run: `clusters_after` is 0.
            let (word, step) = match storage {
                Storage::Data | Storage::Encrypted => (cluster.0.wrapping_add(host_minus_guest), size),
                _ => (0, 0),
            };
            let consecutive = image
                .parts
                .cache
                .count_consecutive(word, step, clusters_after.min(self.budget), memory);
            words = words.wrapping_add(consecutive).wrapping_add(1);
            let end = consecutive.wrapping_add(1).wrapping_shl(geometry.cluster_shift());
            self.run_end = wanted_end.min(cluster.wrapping_add(end.into()));
        }
        self.has_word = false;
        self.budget = self.budget.saturating_sub(words);
        // A compressed cluster is a run of its own.
        Ok(storage != Storage::Compressed)
    }
}
