//! The state of a check: what it looks at next, and what it concludes. It does no I/O: a driver
//! answers its questions.

use crate::error::{Corrupt, CorruptKind, CorruptPart, Error, Flaw};
use crate::format::extent::{Extent, ExtentKind};
use crate::format::geometry::Geometry;
use crate::format::header::Header;
use crate::image::check::finding::{CheckSummary, Finding};
use crate::image::check::options::CheckOptions;
use crate::image::check::usage::UsageMap;
use crate::offset::{GuestOffset, HostOffset};
use crate::reader::extent_walk::ExtentWalk;
use crate::reader::image_state::ImageState;

/// The next question of a check about a range of guest bytes.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Question {
    /// Whether the range has an L2 table. If so, [`ImageState::last_table`] returns it; if not, the
    /// range is a hole.
    Table,
    /// How the start of the range is stored. Its table has been claimed.
    Run,
    /// Whether the first cluster of the range, which is compressed, can be inflated.
    Stream,
}

/// The state of a check.
pub(crate) struct Check<'b, U: ?Sized, F> {
    geometry: Geometry,
    size: GuestOffset,
    header_len: u8,
    l1: HostOffset,
    l1_end: HostOffset,
    file_end: HostOffset,
    options: CheckOptions<'b, U>,
    report: F,
    summary: CheckSummary,
    /// The last finding, which may still be extended.
    pending: Option<Finding>,
    /// The number of bytes of the file that further L2 tables can take.
    room_for_tables: u64,
    question: Question,
    /// The first guest byte that the question is about.
    pub(crate) at: GuestOffset,
    /// The end of its span.
    span_end: GuestOffset,
}

/// An image with a cache of tables.
pub(crate) trait Forget {
    fn forget(&mut self);
}

/// A check and its image. If the check has findings, fails, or is dropped with its future, the
/// image forgets what was read: the device may have returned wrong bytes once.
pub(crate) struct CheckGuard<'i, 'b, I: Forget, U: ?Sized, F> {
    pub(crate) image: &'i mut I,
    pub(crate) check: Check<'b, U, F>,
}

impl<I: Forget, U: ?Sized, F> Drop for CheckGuard<'_, '_, I, U, F> {
    fn drop(&mut self) {
        if self.check.summary.findings != 0 || self.check.at < self.check.size {
            self.image.forget();
        }
    }
}

impl<'b, U: UsageMap + ?Sized, F: FnMut(Finding)> Check<'b, U, F> {
    /// Starts a check: marks the bytes of the header, the L1 table and the backing file's name as
    /// used, and checks that the L1 table does not overlap the header.
    #[inline(never)]
    pub(crate) fn new(header: &Header, file_end: HostOffset, options: CheckOptions<'b, U>, report: F) -> Self {
        let geometry = header.geometry();
        let mut check = Self {
            geometry,
            size: GuestOffset(header.virtual_size()),
            header_len: header.len(),
            l1: header.l1(),
            l1_end: header.l1().plus(header.l1_bytes()),
            file_end,
            options,
            report,
            summary: CheckSummary::default(),
            pending: None,
            // One table more than fits, because in salvage the file may end inside a table.
            room_for_tables: file_end.0.wrapping_add(geometry.l2_size()),
            question: Question::Table,
            at: GuestOffset(0),
            span_end: GuestOffset(0),
        };
        if let Some(mut usage) = check.options.usage_of_file(file_end) {
            usage.mark_owned(HostOffset(0), header.len().into());
            usage.mark_owned(header.l1(), check.l1_end.since(header.l1()));
            usage.mark_owned(header.backing_name(), header.backing_name_len().into());
        }
        if check.l1.0 < header.len().into() {
            check.record_flaw(
                Corrupt::in_file(CorruptKind::L1OverlapsHeader, check.l1),
                GuestOffset(0),
            );
        }
        check.go_to(GuestOffset(0));
        check
    }

    /// Returns the question to answer next, or `None` at the end of the disk.
    pub(crate) fn question(&self) -> Option<Question> {
        (self.at < self.size).then_some(self.question)
    }

    /// Returns a walk that answers a question about tables. To find the table itself, a walk of one
    /// byte is enough.
    pub(crate) fn walk(&self) -> ExtentWalk {
        let end = match self.question {
            Question::Table => self.at.plus(1),
            // To answer `Stream`, a driver reads the cluster and needs no walk.
            Question::Run | Question::Stream => self.span_end,
        };
        ExtentWalk::new(self.at, end)
    }

    /// Claims the table if the question is [`Question::Table`] and the span has one. Returns `true`
    /// if that answered the question.
    ///
    /// The caller must then ignore the outcome of the walk. It is about a word of the table, and
    /// the check looks only at words of tables that overlap nothing else.
    pub(crate) fn claim_table(&mut self, image: &ImageState) -> bool {
        if self.question == Question::Table
            && let Some(table) = image.last_table(self.at)
        {
            if table < self.file_end {
                self.claim_span_table(table);
            } else {
                // In salvage, a table past the end of the file reads as zeros.
                self.record_hole_span();
            }
            return true;
        }
        false
    }

    /// Continues after an attempt to answer `question`. A flaw is recorded, and the guest bytes
    /// that have it are skipped.
    ///
    /// # Errors
    /// Every error but [`Error::Corrupt`]. It ends the check.
    pub(crate) fn resume<E>(&mut self, question: Question, outcome: Result<(), Error<E>>) -> Result<(), Error<E>> {
        let end = match question {
            Question::Table => self.span_end,
            Question::Run | Question::Stream => self.cluster_end(self.at),
        };
        match outcome {
            Ok(()) if question == Question::Stream => self.go_to(end),
            // `claim_table` or `record_run` has already continued. So `self.question` may be the
            // next one, and the caller passes the one that was answered.
            Ok(()) => {}
            Err(Error::Corrupt(corrupt)) => {
                self.record_flaw(corrupt, end);
                self.go_to(end);
            }
            Err(error) => {
                self.report_pending();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Returns the summary, at the end of the disk.
    #[inline(never)]
    pub(crate) fn summary(&mut self) -> CheckSummary {
        self.report_pending();
        if let Some(mut usage) = self.options.usage_of_file(self.file_end) {
            // QEMU writes the L1 in pieces of 512 bytes, counted from its own start. The rest of the
            // last piece is padding.
            usage.mark_shared(self.l1_end, self.l1.0.wrapping_sub(self.l1_end.0) & 511);
            self.summary.unreachable_bytes = usage.unreachable_bytes(self.geometry.cluster_size());
        }
        self.summary
    }

    /// Continues at `at`, which is in the current span or at the start of another.
    #[inline(never)]
    fn go_to(&mut self, at: GuestOffset) {
        self.at = at;
        self.question = Question::Run;
        if at >= self.span_end {
            self.question = Question::Table;
            let l1_word = self.l1.plus(self.geometry.l1_index(at).wrapping_shl(3));
            self.span_end = if l1_word < self.file_end {
                self.geometry.span_end(at).min(self.size)
            } else {
                // In salvage, the rest of the L1 is past the end of the file too, so the rest of
                // the disk is one hole.
                self.size
            };
        }
    }

    /// Returns the end of the cluster that holds `at`, or the end of the span if that comes first:
    /// it may be the end of the disk.
    #[inline(never)]
    fn cluster_end(&self, at: GuestOffset) -> GuestOffset {
        self.geometry.cluster_end(at).min(self.span_end)
    }

    /// Claims the table of the span. Its words are checked only if it overlaps nothing else.
    fn claim_span_table(&mut self, table: HostOffset) {
        let size = self.geometry.l2_size();
        if self.claim(CorruptPart::L2Table, self.at, table, size) {
            if let Some(room) = self.room_for_tables.checked_sub(size) {
                self.room_for_tables = room;
                self.question = Question::Run;
                return;
            }
            self.record_flaw(
                Corrupt::at(Flaw::Rule(CorruptKind::TooManyTables), self.at, table),
                self.span_end,
            );
        }
        self.go_to(self.span_end);
    }

    /// Records the span as one hole: its table is past the end of the file.
    fn record_hole_span(&mut self) {
        let bytes = self.span_end.since(self.at);
        self.summary.hole_bytes = self.summary.hole_bytes.wrapping_add(bytes);
        self.go_to(self.span_end);
    }

    /// Records the next run, and claims the part of the file that stores it. Without a table, the
    /// whole span is one hole.
    #[inline(never)]
    pub(crate) fn record_run(&mut self, run: &Extent) {
        let end = match self.question {
            Question::Table => self.span_end,
            Question::Run | Question::Stream => GuestOffset(run.end()),
        };
        let bytes = match run.kind {
            ExtentKind::Data { host_offset } => {
                self.claim_clusters(end, HostOffset(host_offset));
                &mut self.summary.data_bytes
            }
            ExtentKind::Compressed {
                host_offset,
                stored_len,
            } => {
                let is_alone = self.claim(
                    CorruptPart::CompressedCluster,
                    self.at,
                    HostOffset(host_offset),
                    stored_len.into(),
                );
                if is_alone && self.options.inflate {
                    self.question = Question::Stream;
                }
                &mut self.summary.compressed_bytes
            }
            ExtentKind::Zero | ExtentKind::Backing => &mut self.summary.hole_bytes,
        };
        *bytes = bytes.wrapping_add(end.since(self.at));
        if self.question != Question::Stream {
            self.go_to(end);
        }
    }

    /// Claims adjacent plain clusters, up to `end`.
    fn claim_clusters(&mut self, end: GuestOffset, host: HostOffset) {
        let size = self.geometry.cluster_size();
        let mut guest = self.at;
        let mut host = host;
        // Bound: the clusters of a span, at most 8,192.
        while guest < end {
            let len = end.since(guest).min(size);
            self.claim(CorruptPart::Cluster, guest, host, len);
            guest = guest.plus(len);
            host = host.plus(len);
        }
        // The rest of the last cluster belongs to it too, but may overlap other parts. There is a
        // rest if the disk ends inside the cluster or, in salvage, if the file does.
        let rest = end.0.wrapping_neg() & size.wrapping_sub(1);
        if let Some(mut usage) = self.options.usage_of_file(self.file_end) {
            usage.mark_shared(host, rest);
        }
    }

    /// Claims a part of the file. Returns `true` if it overlaps nothing else.
    #[inline(never)]
    fn claim(&mut self, part: CorruptPart, guest: GuestOffset, host: HostOffset, len: u64) -> bool {
        // In salvage, a part may reach past the end of the file; only its bytes in the file can
        // overlap.
        let end = HostOffset(host.0.wrapping_add(len)).min(self.file_end);
        let overlaps_metadata =
            host < end && (host.0 < self.header_len.into() || (host < self.l1_end && self.l1 < end));
        let overlaps_part = match self.options.usage_of_file(self.file_end) {
            Some(mut usage) => usage.mark_part(part, host, len),
            None => false,
        };
        let kind = if overlaps_metadata {
            CorruptKind::OverlapsMetadata(part)
        } else if overlaps_part {
            CorruptKind::Overlap(part)
        } else {
            return true;
        };
        let end = match part {
            CorruptPart::L2Table => self.span_end,
            _ => self.cluster_end(guest),
        };
        self.record_flaw(Corrupt::at(Flaw::Rule(kind), guest, host), end);
        false
    }

    /// Records a flaw of the guest bytes up to `end`.
    #[inline(never)]
    fn record_flaw(&mut self, corrupt: Corrupt, end: GuestOffset) {
        if let Some(last) = &mut self.pending
            && last.join(&corrupt, end)
        {
            return;
        }
        self.report_pending();
        self.summary.findings = self.summary.findings.wrapping_add(1);
        self.pending = Some(Finding::new(corrupt, end));
    }

    /// Reports the last finding.
    #[inline(never)]
    fn report_pending(&mut self) {
        if let Some(last) = self.pending.take() {
            (self.report)(last);
        }
    }
}
