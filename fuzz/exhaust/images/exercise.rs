//! Opens an image, makes calls, and compares each result with the oracle.

use std::fmt::Debug;
use std::ops::Range;

use qcow1::{BlockSize, Chain, Error, ExtentKind, Header, Image, Key, OpenOptions};
use qcow1_fuzz::bounds::{self, Shape};
use qcow1_fuzz::class::class;
use qcow1_fuzz::compare;
use qcow1_fuzz::oracle::{self, Cluster, Layer, Oracle, Rules};

use super::canvas::KEY;
use super::disk::{Disk, Log};

/// The memory that is lent to an image.
#[derive(Clone, Copy, Debug)]
pub enum Lend {
    Minimum,
    /// A byte less than compressed clusters need.
    AlmostCompressed,
    Compressed,
    /// Enough for the fast decoder, for several slots of the largest size, and for reading ahead.
    Much,
}

/// How an image is opened.
#[derive(Clone, Copy, Debug)]
pub struct How {
    pub salvage: bool,
    pub has_key: bool,
    pub block_size: BlockSize,
    pub lend: Lend,
}

/// An image that is open, and what the oracle makes of it.
pub struct Opened<'a, 'm> {
    pub image: Image<Disk<'a>, &'m mut [u8]>,
    pub layer: Layer<'a>,
    pub shape: Shape,
    /// The bytes of memory that its compressed clusters need, if it was lent less.
    pub lack: Option<usize>,
    pub log: &'a Log,
    file: &'a [u8],
    salvage: bool,
    block_size: BlockSize,
}

/// Opens an image, if the oracle does.
pub fn open<'a, 'm>(file: &'a [u8], how: How, log: &'a Log, memory: &'m mut [u8]) -> Option<Opened<'a, 'm>> {
    let minimum = 512.max(how.block_size.bytes() as usize);
    let needs = Header::parse(file)
        .ok()
        .map(|header| header.memory_for(how.block_size, file.len() as u64));
    let needed = needs.map_or(minimum, |needs| needs.compressed);
    let lent = match (how.lend, needs) {
        (Lend::Minimum, _) | (_, None) => minimum,
        (Lend::AlmostCompressed, Some(needs)) => needs.compressed - 1,
        (Lend::Compressed, Some(needs)) => needs.compressed,
        (Lend::Much, Some(needs)) => needs.compressed_fast + (40 << 10),
    };
    let options = OpenOptions::new().salvage(how.salvage);
    let disk = Disk {
        file,
        block_size: how.block_size,
        log,
    };
    let opened = Image::open_with(options, disk, &mut memory[..lent]).map_err(|error| error.into_error());
    let requests = log.requests.get();
    assert!(requests <= bounds::OPEN, "{requests} reads to open");
    let (mut image, mut oracle) = match (opened, Oracle::open(file, Rules { salvage: how.salvage })) {
        (Ok(image), Ok(oracle)) => (image, oracle),
        (Err(error), Err(refusal)) => {
            assert_eq!(class(&error), Some(refusal), "{error:?}");
            return None;
        }
        (image, oracle) => panic!("{:?}, the oracle {:?}", image.err(), oracle.err()),
    };
    if how.has_key {
        image.set_key(&Key::from_bytes(KEY));
        oracle.key = Some(KEY);
    }
    assert_eq!(image.size(), oracle.size);
    assert_eq!(image.header().map(Header::has_backing), Some(oracle.names_backing));
    Some(Opened {
        shape: Shape {
            size: oracle.size,
            bits: Some(oracle.bits()),
        },
        lack: (lent < needed).then_some(needed),
        image,
        layer: Layer::Qcow(oracle),
        log,
        file,
        salvage: how.salvage,
        block_size: how.block_size,
    })
}

/// Opens a raw disk.
pub fn open_raw<'a, 'm>(file: &'a [u8], how: How, log: &'a Log, memory: &'m mut [u8]) -> Opened<'a, 'm> {
    let disk = Disk {
        file,
        block_size: how.block_size,
        log,
    };
    let lent = how.block_size.bytes() as usize;
    Opened {
        image: Image::open_raw(disk, &mut memory[..lent]).expect("a raw disk"),
        layer: Layer::Raw(file),
        shape: Shape {
            size: file.len() as u64,
            bits: None,
        },
        lack: None,
        log,
        file,
        salvage: false,
        block_size: how.block_size,
    }
}

impl Opened<'_, '_> {
    /// Reads, and compares the bytes or the error, its offsets, and the number of requests. If a
    /// request fails, the result may be that failure. Returns whether bytes were read.
    pub fn read(&mut self, offset: u64, len: u64) -> bool {
        let mut bytes = vec![0xcc; len as usize];
        let before = self.log.requests.get();
        let read = self.image.read_at(offset, &mut bytes);
        let may_fail = self.may_fail(before);
        let cost = self.log.requests.get() - before;
        let most = bounds::read(&[self.shape], offset, len) + if may_fail { bounds::AFTER_FAILURE } else { 0 };
        assert!(cost <= most, "{cost} reads, not {most}");
        if matches!(read, Err(Error::Io(_))) && may_fail {
            let bad = &self.log.bad;
            assert!(
                bad.is_empty() || self.depends_on(bad, offset, len),
                "{bad:?} loses {len} bytes at {offset:#x}"
            );
            return false;
        }
        compare::read(std::slice::from_ref(&self.layer), &[self.lack], offset, &bytes, &read);
        if let Err(error) = &read {
            self.judge_offsets(error, offset, len);
        }
        read.is_ok() && len != 0
    }

    /// Looks up an extent, in one call and in two, and compares each.
    pub fn extent(&mut self, offset: u64, first: u64, max_len: u64) {
        let whole = self.extent_at(offset, max_len);
        let (Some(Ok(whole)), Some(Ok(mut start))) = (whole, self.extent_at(offset, first)) else {
            return;
        };
        let Some(Ok(rest)) = self.extent_at(start.end(), max_len.saturating_sub(start.len)) else {
            return;
        };
        let is_cut = whole.len > start.len && !matches!(start.kind, ExtentKind::Compressed { .. });
        let right = if is_cut { whole } else { start };
        assert_eq!(start.join(&rest), is_cut, "{whole:?} and {rest:?}");
        assert_eq!(start, right);
    }

    /// Returns the extent, or `None` if a request failed.
    fn extent_at(&mut self, offset: u64, max_len: u64) -> Option<Result<qcow1::Extent, ()>> {
        let before = self.log.requests.get();
        let found = self.image.extent_at(offset, max_len);
        let failed = self.may_fail(before);
        let cost = self.log.requests.get() - before;
        let most = bounds::extent(&self.shape, offset, max_len) + if failed { bounds::AFTER_FAILURE } else { 0 };
        assert!(cost <= most, "{cost} reads, not {most}");
        if failed && matches!(found, Err(Error::Io(_))) {
            return None;
        }
        compare::extent(&self.layer, offset, max_len, &found, failed);
        if let Err(error) = &found {
            self.judge_offsets(error, offset, 1);
        }
        (!failed).then_some(found.map_err(|_| ()))
    }

    /// Returns the number of bytes in a cluster.
    pub fn cluster_size(&self) -> u64 {
        self.shape.bits.map_or(0, |(cluster_bits, _)| 1 << cluster_bits)
    }

    /// Iterates over the first extents, and compares each.
    pub fn extents(&mut self) {
        let mut end = 0;
        for extent in self.image.extents().take(4) {
            compare::extent(&self.layer, end, u64::MAX, &extent, false);
            let Ok(extent) = extent else {
                break;
            };
            end = extent.end();
        }
    }

    /// Reads the backing file's name.
    pub fn name(&mut self) {
        let Layer::Qcow(oracle) = &self.layer else { return };
        let mut name = [0xcc; 1023];
        assert_eq!(
            self.image.backing_name(&mut name).unwrap(),
            oracle.backing_name().as_deref()
        );
    }

    /// Returns whether a request of the device has failed since `before`, or can.
    fn may_fail(&self, before: u64) -> bool {
        let log = self.log;
        !log.bad.is_empty()
            || log
                .fails_at
                .is_some_and(|at| (before..log.requests.get()).contains(&at))
    }

    /// Asserts that an error has the guest offset where the read of `len` bytes at `offset` meets
    /// the flaw, and the host offset in the word that is wrong.
    fn judge_offsets<E: Debug>(&self, error: &Error<E>, offset: u64, len: u64) {
        let Layer::Qcow(oracle) = &self.layer else { return };
        let (guest, host) = match error {
            Error::Corrupt(corrupt) => (corrupt.guest_offset(), corrupt.host_offset()),
            Error::KeyRequired { guest_offset } | Error::BackingRequired { guest_offset } => {
                (Some(*guest_offset), None)
            }
            _ => return,
        };
        let layers = std::slice::from_ref(&self.layer);
        let cluster = oracle.cluster_size();
        let ends = (offset / cluster + 1..=(offset + len).div_ceil(cluster)).map(|number| number * cluster);
        // The first byte of each cluster of the read.
        let starts = std::iter::once(offset).chain(ends.filter(|&end| end < offset + len));
        let first = starts.into_iter().find(|&at| {
            let len = (cluster - at % cluster).min(offset + len - at);
            oracle::read(layers, at, len as usize).is_err()
        });
        let first = first.expect("a cluster that the oracle refuses");
        if !matches!(error, Error::Corrupt(_)) {
            let guest = guest.expect("an offset");
            assert!(
                first <= guest && guest < offset + len && guest / cluster == first / cluster,
                "{error:?}"
            );
            return;
        }
        let right = self.flaw(oracle, first);
        assert_eq!(
            (guest, host),
            (Some(right.0), Some(right.1)),
            "{error:?} at {offset:#x}"
        );
    }

    /// Returns the offsets of a flaw in the cluster of `at`, or in its span if the L1 word is wrong.
    fn flaw(&self, oracle: &Oracle<'_>, at: u64) -> (u64, u64) {
        let (cluster_bits, span_bits) = oracle.bits();
        let (_, l1) = self.l1_word(at >> span_bits);
        let table_size = 8 << (span_bits - cluster_bits);
        let is_inside = (l1 & !(1 << 63)).saturating_add(table_size) <= self.file.len() as u64;
        if l1 >> 63 != 0 || !is_inside && !self.salvage {
            return (at >> span_bits << span_bits, l1 & !(1 << 63));
        }
        let index = at >> cluster_bits & ((1 << (span_bits - cluster_bits)) - 1);
        let l2 = self.word(l1 + 8 * index);
        let host = if l2 >> 63 == 0 {
            l2
        } else {
            l2 & ((1 << (63 - cluster_bits)) - 1)
        };
        (at >> cluster_bits << cluster_bits, host)
    }

    /// Returns whether any of the bytes of the file on which a read depends is in `bad`, or in one
    /// sector or block with it.
    fn depends_on(&self, bad: &Range<u64>, offset: u64, len: u64) -> bool {
        let Layer::Qcow(oracle) = &self.layer else { return false };
        let (cluster_bits, span_bits) = oracle.bits();
        let unit = 512.max(u64::from(self.block_size.bytes()));
        let is_bad = |start: u64, len: u64| {
            let end = start
                .saturating_add(len)
                .checked_next_multiple_of(unit)
                .unwrap_or(u64::MAX);
            start / unit * unit < bad.end && bad.start < end
        };
        let mut at = offset;
        while at < offset + len {
            let end = (((at >> cluster_bits) + 1) << cluster_bits).min(offset + len);
            let (l1_at, l1) = self.l1_word(at >> span_bits);
            let l2_at = l1 + 8 * (at >> cluster_bits & ((1 << (span_bits - cluster_bits)) - 1));
            let is_lost = match oracle.cluster(at) {
                Ok(Cluster::Data(host)) => is_bad(host + at % oracle.cluster_size(), end - at),
                Ok(Cluster::Compressed(host, len)) => is_bad(host, len),
                Ok(Cluster::Hole) | Err(_) => false,
            };
            if is_lost || is_bad(l1_at, 8) || l1 != 0 && l1 >> 63 == 0 && is_bad(l2_at, 8) {
                return true;
            }
            at = end;
        }
        false
    }

    /// Returns the word of the file at `at`. Past its end are zeros.
    fn word(&self, at: u64) -> u64 {
        let mut word = [0; 8];
        let stored = self.file.get(at as usize..).unwrap_or_default();
        let len = stored.len().min(8);
        word[..len].copy_from_slice(&stored[..len]);
        u64::from_be_bytes(word)
    }

    /// Returns where the L1 word of a span is, and the word.
    fn l1_word(&self, span: u64) -> (u64, u64) {
        let l1 = self.word(40);
        let at = l1.saturating_add(8 * span);
        let word = self.word(at);
        let is_little_endian = l1.is_multiple_of(4096) && self.word(48) >> 32 == 0x5845_4efb && self.word(56) & 2 == 0;
        (at, if is_little_endian { word.swap_bytes() } else { word })
    }
}

/// Reads from a chain of images, and compares.
pub fn chain<'a, 'm>(levels: [Opened<'a, 'm>; 2], reads: &[(u64, u64)]) -> bool {
    let mut chain: Chain<_, 2> = Chain::new();
    let (mut layers, mut shapes, mut lacks, mut logs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for level in levels {
        if chain.push(level.image).is_err() {
            break;
        }
        layers.push(level.layer);
        shapes.push(level.shape);
        lacks.push(level.lack);
        logs.push(level.log);
    }
    let mut is_read = false;
    for &(offset, len) in reads {
        let mut bytes = vec![0xcc; len as usize];
        logs.iter().for_each(|log| log.requests.set(0));
        let read = chain.read_at(offset, &mut bytes);
        for (level, log) in logs.iter().enumerate() {
            let most = bounds::read(&shapes[..=level], offset, len);
            assert!(
                log.requests.get() <= most,
                "{} reads of level {level}",
                log.requests.get()
            );
        }
        compare::read(&layers, &lacks, offset, &bytes, &read);
        is_read |= read.is_ok();
        let extent = chain.extent_at(offset, len.max(1));
        compare::chain_extent(&layers, offset, len.max(1), &extent, false);
    }
    is_read
}
