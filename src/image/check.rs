//! Looking at every table word of an image, and at what it leads to.

use crate::device::BlockRead;
use crate::error::{Corrupt, CorruptKind, Error, Flaw, Part};
use crate::format::extent::{Extent, ExtentKind};
use crate::format::header::Header;
use crate::image::Image;
use crate::offset::{GuestOffset, HostOffset};
use crate::reader::walk::Walk;

/// One thing that is wrong with an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Finding {
    /// What, and where.
    pub corrupt: Corrupt,
}

/// What a check has seen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct CheckSummary {
    /// The number of findings.
    pub findings: u64,
    /// GuestOffset bytes stored as they are.
    pub data_bytes: u64,
    /// GuestOffset bytes stored deflated.
    pub compressed_bytes: u64,
    /// GuestOffset bytes stored nowhere in this image.
    pub hole_bytes: u64,
    /// Bytes of the file that nothing leads to, in runs of a cluster or more: less is alignment. 0 without a bitmap.
    pub unreachable_bytes: u64,
}

/// How thorough a check is.
///
/// ```
/// # fn main() -> Result<(), qcow1::Error<core::convert::Infallible>> {
/// # let file: &[u8] = include_bytes!("../../tests/data/compressed.qcow");
/// let mut memory = [0; 65_536];
/// let mut image = qcow1::Image::open(file, &mut memory)?;
/// let mut bitmap = vec![0; image.check_bitmap_len()];
/// let options = qcow1::CheckOptions::new().inflate(true).bitmap(&mut bitmap);
/// let summary = image.check_with(options, |finding| panic!("{}", finding.corrupt))?;
/// assert_eq!((summary.findings, summary.unreachable_bytes), (0, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct CheckOptions<'b> {
    inflate: bool,
    bitmap: Option<&'b mut [u8]>,
}

impl<'b> CheckOptions<'b> {
    /// Every table word, and nothing else.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            inflate: false,
            bitmap: None,
        }
    }

    /// Whether each compressed cluster is read and inflated. That takes the memory of `MemoryNeeds::compressed`.
    #[must_use]
    pub const fn inflate(mut self, inflate: bool) -> Self {
        self.inflate = inflate;
        self
    }

    /// Lends [`Image::check_bitmap_len`] bytes, for what each sector of the file is used for: so the check finds tables
    /// and clusters that overlap or are used twice, and what nothing leads to. What it held is overwritten.
    ///
    /// Streams that share a sector are no finding, since they are packed byte by byte; nor is an overlap found that
    /// lies wholly inside such a sector.
    #[must_use]
    pub const fn bitmap(mut self, bitmap: &'b mut [u8]) -> Self {
        self.bitmap = Some(bitmap);
        self
    }
}

impl<D: BlockRead> Image<'_, D> {
    /// Looks at every table word, and tells `found` of each that is wrong: one that leads out of the file or to the
    /// header or the L1 table, a misaligned cluster, a stream of no bytes, bit 63 in an L1 word. It reads tables, never
    /// data.
    ///
    /// What a wrong word leaves unknown is counted in none of the summary's bytes.
    ///
    /// Of a good image it reads each table once, in as few requests as the memory allows; however bad one is, at most 4
    /// times for each word.
    ///
    /// # Errors
    /// The device's own: what could not be read was not checked.
    pub fn check(&mut self, found: impl FnMut(Finding)) -> Result<CheckSummary, Error<D::Error>> {
        self.check_with(CheckOptions::new(), found)
    }

    /// The same, as thorough as `options` say.
    ///
    /// # Errors
    /// The device's own; [`Error::MemoryTooSmall`] for the bitmap, or for inflating; [`Error::Unsupported`] where it is
    /// to inflate in a build that can't.
    pub fn check_with(
        &mut self,
        options: CheckOptions<'_>,
        found: impl FnMut(Finding),
    ) -> Result<CheckSummary, Error<D::Error>> {
        let needed = self.check_bitmap_len();
        let sectors = match options.bitmap {
            Some(bitmap) => Some(bitmap.get_mut(..needed).ok_or(Error::MemoryTooSmall { needed })?),
            None => None,
        };
        let mut check = Check {
            summary: CheckSummary::default(),
            found,
            used: sectors.map(Sectors::new),
        };
        let Some(header) = self.header().copied() else {
            // A raw disk has nothing that could be wrong.
            check.summary.data_bytes = self.size();
            return Ok(check.summary);
        };
        check.metadata(&header);
        let geometry = header.geometry();
        let mut start = GuestOffset(0);
        // Bound: a turn for each L1 entry, all of which lie in the file; in salvage one more, for those that do not.
        while start.0 < self.size() {
            let end = geometry.span_end(start).0.min(self.size());
            let end = if self.map.l1_word(start).is_some() {
                end
            } else {
                self.size()
            };
            self.check_span(&header, start, end, options.inflate, &mut check)?;
            start = GuestOffset(end);
        }
        if let Some(used) = &mut check.used {
            // QEMU writes the L1 in sectors of its own. What they have behind it, unless it is taken, is padding.
            let l1_len = header.l1_bytes();
            used.share(header.l1().plus(l1_len), l1_len.wrapping_neg() & 511);
            check.summary.unreachable_bytes = used.unreachable(self.map.device_end, geometry.cluster_size());
        }
        Ok(check.summary)
    }

    /// The bytes of the bitmap that [`CheckOptions::bitmap`] takes: one for 2 KiB of the file.
    #[must_use]
    pub fn check_bitmap_len(&self) -> usize {
        let sectors = self.map.device_end.0.saturating_add(511).wrapping_shr(9);
        usize::try_from(sectors.saturating_add(3).wrapping_shr(2)).unwrap_or(usize::MAX)
    }

    /// Checks what one L1 entry leads to.
    fn check_span(
        &mut self,
        header: &Header,
        start: GuestOffset,
        end: u64,
        inflate: bool,
        check: &mut Check<'_, impl FnMut(Finding)>,
    ) -> Result<(), Error<D::Error>> {
        let mut span = Span {
            start,
            next: start.0,
            end,
            table_is_known: false,
        };
        // Bound: each turn goes on by a cluster at least, and a span has at most 8,192.
        loop {
            match self.check_run(header, &mut span, check)? {
                Seen::All => return Ok(()),
                Seen::Stream(at) if inflate => {
                    // A byte of the cluster has all of it inflated.
                    match self.read_at(at, &mut [0]) {
                        Err(Error::Corrupt(corrupt)) => check.found(corrupt),
                        other => other?,
                    }
                }
                Seen::Stream(_) | Seen::Run => {}
            }
        }
    }

    /// Checks the next run of a span. Apart from what follows on it, so that their stacks do not add up.
    #[inline(never)]
    fn check_run(
        &mut self,
        header: &Header,
        span: &mut Span,
        check: &mut Check<'_, impl FnMut(Finding)>,
    ) -> Result<Seen, Error<D::Error>> {
        let geometry = header.geometry();
        if span.next >= span.end {
            return Ok(Seen::All);
        }
        // A walk of its own for each run: to keep one would be to have it on the stack below what follows on the run.
        let run = self.advance(&mut Walk::new(span.next, span.end, true, u32::MAX));
        // The first run has looked the table up.
        if !span.table_is_known
            && let Some(table) = self.map.recent_table(span.start)
        {
            span.table_is_known = true;
            if !check.takes(header, Part::Table, span.start, table, geometry.l2_size()) {
                return Ok(Seen::All);
            }
        }
        match run {
            Ok(run) => {
                span.next = run.end();
                check.run(header, &run);
                Ok(match run.kind {
                    ExtentKind::Compressed { .. } => Seen::Stream(run.start),
                    _ => Seen::Run,
                })
            }
            Err(Error::Corrupt(corrupt)) => {
                check.found(corrupt);
                if !matches!(corrupt.kind(), CorruptKind::Cluster | CorruptKind::CompressedCluster) {
                    return Ok(Seen::All);
                }
                let wrong = corrupt.guest_offset().unwrap_or(span.end);
                span.next = wrong.saturating_add(geometry.cluster_size());
                Ok(Seen::Run)
            }
            Err(error) => Err(error),
        }
    }
}

/// The guest bytes below one L1 entry, as far as they have been gone through.
struct Span {
    start: GuestOffset,
    next: u64,
    end: u64,
    table_is_known: bool,
}

/// What a step through a span has met.
enum Seen {
    Run,
    /// A compressed cluster, at this guest offset.
    Stream(u64),
    All,
}

/// A check that is under way.
struct Check<'b, F> {
    summary: CheckSummary,
    found: F,
    used: Option<Sectors<'b>>,
}

impl<F: FnMut(Finding)> Check<'_, F> {
    fn found(&mut self, corrupt: Corrupt) {
        self.summary.findings = self.summary.findings.saturating_add(1);
        (self.found)(Finding { corrupt });
    }

    /// Takes the header, the backing file's name and the L1 table.
    fn metadata(&mut self, header: &Header) {
        let (l1, l1_len) = (header.l1(), header.l1_bytes());
        if overlap(HostOffset(0), header.len(), l1, l1_len) {
            self.found(Corrupt::header(Flaw::L1OverHeader, l1.0));
        }
        if let Some(used) = &mut self.used {
            used.take(HostOffset(0), header.len());
            used.take(l1, l1_len);
            if header.has_backing() {
                used.take(header.backing_name(), header.backing_name_len().into());
            }
        }
    }

    /// Takes a run of guest bytes.
    fn run(&mut self, header: &Header, run: &Extent) {
        let bytes = match run.kind {
            ExtentKind::Data { host_offset } => {
                self.clusters(header, run, HostOffset(host_offset));
                &mut self.summary.data_bytes
            }
            ExtentKind::Compressed {
                host_offset,
                stored_len,
            } => {
                self.takes(
                    header,
                    Part::Stream,
                    GuestOffset(run.start),
                    HostOffset(host_offset),
                    stored_len.into(),
                );
                &mut self.summary.compressed_bytes
            }
            ExtentKind::Zero | ExtentKind::Backing => &mut self.summary.hole_bytes,
        };
        *bytes = bytes.saturating_add(run.len);
    }

    /// Takes plain clusters that follow each other.
    fn clusters(&mut self, header: &Header, run: &Extent, host: HostOffset) {
        let size = header.geometry().cluster_size();
        let mut done = 0;
        // Bound: the clusters of a span, at most 8,192.
        while done < run.len {
            let (guest, host) = (GuestOffset(run.start.saturating_add(done)), host.plus(done));
            let inside = run.len.saturating_sub(done).min(size);
            self.takes(header, Part::Cluster, guest, host, inside);
            if let Some(used) = &mut self.used {
                // What a last cluster has beyond the end of the disk belongs to it, and matters to nobody.
                used.share(host.plus(inside), size.saturating_sub(inside));
            }
            done = done.saturating_add(size);
        }
    }

    /// Takes a part of the file. Whether nothing else has it.
    fn takes(&mut self, header: &Header, part: Part, guest: GuestOffset, host: HostOffset, len: u64) -> bool {
        let over_metadata =
            overlap(HostOffset(0), header.len(), host, len) || overlap(header.l1(), header.l1_bytes(), host, len);
        let twice = self.used.as_mut().is_some_and(|used| used.take(host, len));
        let flaw = if over_metadata {
            Flaw::OverMetadata(part)
        } else if twice {
            Flaw::Twice(part)
        } else {
            return true;
        };
        self.found(Corrupt::at(flaw, guest, host));
        false
    }
}

/// Whether two ranges have a byte in common.
fn overlap(a: HostOffset, a_len: u64, b: HostOffset, b_len: u64) -> bool {
    a < b.plus(b_len) && b < a.plus(a_len)
}

/// What each sector of the file is used for, in two bits.
struct Sectors<'b> {
    bits: &'b mut [u8],
}

/// All of the sector belongs to one.
const WHOLE: u8 = 1;
/// Parts of it belong to one or more.
const SHARED: u8 = 2;

impl<'b> Sectors<'b> {
    fn new(bits: &'b mut [u8]) -> Self {
        bits.fill(0);
        Self { bits }
    }

    /// Takes bytes of the file. Whether any of them, as far as sectors tell, had been taken before.
    fn take(&mut self, start: HostOffset, len: u64) -> bool {
        self.mark(start, len, WHOLE)
    }

    /// Takes bytes that may be another's as well.
    fn share(&mut self, start: HostOffset, len: u64) {
        self.mark(start, len, SHARED);
    }

    /// Marks sectors: `whole` those that lie inside as a whole. Sectors past the end of the file have no bits.
    fn mark(&mut self, start: HostOffset, len: u64, whole: u8) -> bool {
        let end = start.plus(len);
        let mut clash = false;
        let mut at = start;
        // Bound: the sectors of the range that are in the file.
        while at < end {
            let sector_end = HostOffset(at.0 | 511).plus(1);
            let mark = if at.0 & 511 == 0 && sector_end <= end {
                whole
            } else {
                SHARED
            };
            let Some((byte, shift)) = self.place(at) else {
                break;
            };
            let before = byte.wrapping_shr(shift);
            clash |= before & WHOLE != 0 || (mark == WHOLE && before & SHARED != 0);
            *byte |= mark.wrapping_shl(shift);
            at = sector_end;
        }
        clash
    }

    /// The byte with the bits of the sector that holds `at`, and where in the byte they are.
    fn place(&mut self, at: HostOffset) -> Option<(&mut u8, u32)> {
        let number = usize::try_from(at.0.wrapping_shr(9)).ok()?;
        let shift = u32::try_from(number & 3).ok()?.wrapping_mul(2);
        Some((self.bits.get_mut(number.wrapping_shr(2))?, shift))
    }

    /// The bytes of runs of `least` bytes or more that nobody has taken, in a file of so many bytes.
    fn unreachable(&self, file_end: HostOffset, least: u64) -> u64 {
        let (mut all, mut run) = (0_u64, 0_u64);
        let mut at = HostOffset(0);
        // Bound: the sectors of the file.
        for byte in self.bits.iter() {
            for shift in [0, 2, 4, 6] {
                let next = at.plus(512);
                if byte.wrapping_shr(shift) & (WHOLE | SHARED) == 0 && at < file_end {
                    run = run.saturating_add(next.min(file_end).since(at));
                } else {
                    all = all.saturating_add(if run < least { 0 } else { run });
                    run = 0;
                }
                at = next;
            }
        }
        all.saturating_add(if run < least { 0 } else { run })
    }
}
