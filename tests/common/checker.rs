//! A simple check that shares no code with the crate: it compares each part of the file with all
//! earlier parts.

use qcow1::{CheckSummary, Corrupt, CorruptKind, CorruptPart, Finding};

use super::oracle;

/// A flaw of `count` words, whose guest bytes are the `len` bytes that start at `guest`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flaw {
    pub kind: CorruptKind,
    pub guest: u64,
    pub host: u64,
    pub len: u64,
    pub count: u64,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    pub flaws: Vec<Flaw>,
    pub data: u64,
    pub compressed: u64,
    pub holes: u64,
    pub unreachable: u64,
    /// The number of L1 words in the file, and of the words of the tables that were checked.
    pub words: u64,
}

/// Bytes of the file that have an owner.
struct Owned {
    start: u64,
    end: u64,
    table: bool,
    /// Whether the bytes may have other owners too.
    shared: bool,
}

pub struct Rules {
    pub salvage: bool,
    /// Whether the check looks for overlaps.
    pub overlaps: bool,
    pub inflate: bool,
}

struct Checker<'a> {
    file: &'a [u8],
    rules: Rules,
    size: u64,
    cluster: u64,
    entries: u64,
    l1: u64,
    l1_len: u64,
    header_len: u64,
    owned: Vec<Owned>,
    report: Report,
}

/// Checks a file that the crate opens.
pub fn check(file: &[u8], rules: Rules) -> Report {
    let u64_at = |at: usize| u64::from_be_bytes(file[at..at + 8].try_into().unwrap());
    let size = u64_at(24);
    let (cluster, entries) = (1_u64 << file[32], 1_u64 << file[33]);
    let l1 = u64_at(40);
    let is_xen = file.len() >= 64 && file[48..52] == *b"XEN\xfb";
    let little_endian = is_xen && l1.is_multiple_of(4096) && file[63] & 2 == 0;
    let (name, name_len) = (
        u64_at(8),
        u64::from(u32::from_be_bytes(file[16..20].try_into().unwrap())),
    );
    let encrypted = file[39] == 1;
    let span = cluster * entries;
    let l1_len = size.div_ceil(span) * 8;
    let mut checker = Checker {
        file,
        rules,
        size,
        cluster,
        entries,
        l1,
        l1_len,
        header_len: if is_xen { 64 } else { 48 },
        owned: Vec::new(),
        report: Report::default(),
    };
    checker.walk(name, name_len, little_endian, encrypted);
    checker.report
}

impl Checker<'_> {
    fn walk(&mut self, name: u64, name_len: u64, little_endian: bool, encrypted: bool) {
        let end = self.file.len() as u64;
        let span = self.cluster * self.entries;
        self.own(0, self.header_len, false, false);
        self.own(self.l1, self.l1_len, false, false);
        if name != 0 {
            self.own(name, name_len, false, false);
        }
        if self.l1 < self.header_len {
            self.record(CorruptKind::L1OverlapsHeader, 0, self.l1, 0);
        }
        let mut tables = 0;
        let mut guest = 0;
        while guest < self.size {
            let span_len = span.min(self.size - guest);
            let word_at = self.l1.saturating_add(guest / span * 8);
            if word_at >= end {
                self.report.holes += self.size - guest;
                break;
            }
            self.report.words += 1;
            let word = self.bytes(word_at);
            let table = if little_endian {
                u64::from_le_bytes(word)
            } else {
                u64::from_be_bytes(word)
            };
            if table == 0 || table >> 63 == 0 && table >= end && self.rules.salvage {
                self.report.holes += span_len;
            } else if table >> 63 != 0 {
                self.record(CorruptKind::L1Bit63Set, guest, table & !(1 << 63), span_len);
            } else if table + self.entries * 8 > end && !self.rules.salvage {
                self.record(CorruptKind::L2PastEnd, guest, table, span_len);
            } else if self.claim(CorruptPart::L2Table, guest, table, self.entries * 8, span_len) {
                if tables * self.entries * 8 > end {
                    self.record(CorruptKind::TooManyTables, guest, table, span_len);
                } else {
                    tables += 1;
                    self.report.words += self.entries;
                    for entry in 0..span_len.div_ceil(self.cluster) {
                        self.cluster(guest + entry * self.cluster, table + entry * 8, encrypted);
                    }
                }
            }
            guest += span_len;
        }
        let l1_end = self.l1.saturating_add(self.l1_len);
        self.own(l1_end, (512 - self.l1_len % 512) % 512, false, true);
        if self.rules.overlaps {
            self.report.unreachable = self.unreachable();
        }
    }

    fn cluster(&mut self, guest: u64, word_at: u64, encrypted: bool) {
        let end = self.file.len() as u64;
        let len = self.cluster.min(self.size - guest);
        let word = u64::from_be_bytes(self.bytes(word_at));
        if word == 0 {
            self.report.holes += len;
        } else if word >> 63 != 0 {
            let shift = 63 - self.cluster.trailing_zeros();
            let (host, stored) = (word & ((1 << shift) - 1), (word & !(1 << 63)) >> shift);
            if stored == 0 {
                self.record(CorruptKind::StreamEmpty, guest, host, len);
            } else if host + stored > end && !self.rules.salvage {
                self.record(CorruptKind::StreamPastEnd, guest, host, len);
            } else {
                self.report.compressed += len;
                if self.claim(CorruptPart::CompressedCluster, guest, host, stored, len) && self.rules.inflate {
                    let stream: Vec<u8> = (host..host + stored).map(|at| self.byte(at)).collect();
                    let filled = oracle::inflate(&stream, &mut vec![0; self.cluster as usize]);
                    // A stream that the end of the file cuts has no flaw in salvage.
                    if host + stored <= end && filled < self.cluster as usize {
                        self.record(CorruptKind::Stream, guest, host, len);
                    }
                }
            }
        } else if !word.is_multiple_of(512) {
            self.record(CorruptKind::ClusterMisaligned, guest, word, len);
        } else {
            let unit = if encrypted { 512 } else { 1 };
            if word + len.next_multiple_of(unit) <= end {
                self.report.data += len;
                self.claim(CorruptPart::Cluster, guest, word, len, len);
                self.own(word + len, self.cluster - len, false, true);
            } else if !self.rules.salvage {
                self.record(CorruptKind::ClusterPastEnd, guest, word, len);
            } else {
                let stored = end.saturating_sub(word) / unit * unit;
                self.report.data += stored;
                self.report.holes += len - stored;
                if stored != 0 {
                    self.claim(CorruptPart::Cluster, guest, word, stored, len);
                    self.own(word + stored, self.cluster - stored, false, true);
                }
            }
        }
    }

    fn byte(&self, at: u64) -> u8 {
        // Not `as`: 32 bits would cut an offset down to one inside the file.
        usize::try_from(at)
            .ok()
            .and_then(|at| self.file.get(at))
            .copied()
            .unwrap_or(0)
    }

    fn bytes(&self, at: u64) -> [u8; 8] {
        std::array::from_fn(|i| self.byte(at + i as u64))
    }

    /// Returns `true` if a part has no other owner.
    fn claim(&mut self, part: CorruptPart, guest: u64, host: u64, len: u64, guest_len: u64) -> bool {
        let end = (host + len).min(self.file.len() as u64);
        let over = |start: u64, len: u64| host.max(start) < end.min(start.saturating_add(len));
        let over_metadata = over(0, self.header_len) || over(self.l1, self.l1_len);
        let is_owned = self.own(host, len, part == CorruptPart::L2Table, false);
        if over_metadata {
            self.record(CorruptKind::OverlapsMetadata(part), guest, host, guest_len);
        } else if is_owned {
            self.record(CorruptKind::Overlap(part), guest, host, guest_len);
        }
        !over_metadata && !is_owned
    }

    /// Gives bytes an owner. Returns `true` if they have one already, compared by sectors.
    fn own(&mut self, start: u64, len: u64, table: bool, shared: bool) -> bool {
        let file_end = self.file.len() as u64;
        let end = start.saturating_add(len).min(file_end);
        if start >= end || !self.rules.overlaps {
            return false;
        }
        let new = Owned {
            start,
            end,
            table,
            shared,
        };
        let fills = |part: &Owned, sector: u64| {
            !part.shared && part.start <= sector && part.end >= (sector + 512).min(file_end)
        };
        let is_owned = self.owned.iter().any(|other| {
            let sectors =
                start.max(other.start / 512 * 512) / 512..end.min(other.end.next_multiple_of(512)).div_ceil(512);
            let shared_sector = sectors.map(|number| number * 512).any(|sector| {
                let touches = |part: &Owned| part.start < sector + 512 && part.end > sector;
                touches(other) && touches(&new) && (fills(other, sector) || fills(&new, sector))
            });
            shared_sector || table && other.table && start / 512 == other.start / 512
        });
        self.owned.push(new);
        is_owned
    }

    fn unreachable(&self) -> u64 {
        let end = self.file.len() as u64;
        let used = |sector: u64| {
            self.owned
                .iter()
                .any(|part| part.start < sector + 512 && part.end > sector)
        };
        let mut all = 0;
        let mut gap = 0;
        for sector in (0..end).step_by(512) {
            if used(sector) {
                all += if gap >= self.cluster { gap } else { 0 };
                gap = 0;
            } else {
                gap += (end - sector).min(512);
            }
        }
        all + if gap >= self.cluster { gap } else { 0 }
    }

    fn record(&mut self, kind: CorruptKind, guest: u64, host: u64, len: u64) {
        if let Some(last) = self.report.flaws.last_mut()
            && last.kind == kind
            && last.guest + last.len == guest
        {
            last.len += len;
            last.count += 1;
        } else {
            self.report.flaws.push(Flaw {
                kind,
                guest,
                host,
                len,
                count: 1,
            });
        }
    }
}

/// Converts a finding of the crate to the simple check's form.
pub fn to_flaw(finding: &Finding) -> Flaw {
    let corrupt: Corrupt = finding.corrupt;
    Flaw {
        kind: corrupt.kind(),
        guest: corrupt.guest_offset().unwrap_or(0),
        host: corrupt.host_offset().unwrap(),
        len: finding.guest_len,
        count: finding.count,
    }
}

/// Joins adjacent flaws of streams: the simple check does not distinguish their kinds.
pub fn join_streams(found: &[Flaw]) -> Vec<Flaw> {
    let mut joined: Vec<Flaw> = Vec::new();
    for one in found {
        match joined.last_mut() {
            Some(last)
                if last.kind == CorruptKind::Stream && one.kind == last.kind && last.guest + last.len == one.guest =>
            {
                last.len += one.len;
                last.count += one.count;
            }
            _ => joined.push(*one),
        }
    }
    joined
}

pub fn agrees(summary: CheckSummary, found: &[Flaw], report: &Report) -> bool {
    join_streams(found) == report.flaws
        && summary.findings == found.len() as u64
        && summary.data_bytes == report.data
        && summary.compressed_bytes == report.compressed
        && summary.hole_bytes == report.holes
        && summary.unreachable_bytes == report.unreachable
}
