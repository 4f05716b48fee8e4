//! Opens a chain once and makes many calls, on devices that sometimes fail and leave garbage in the buffer.
//!
//! Each call is made on a synchronous chain and on an asynchronous chain. Some futures of the latter are dropped before
//! they end. The results must be those of the oracle, which has no cache, and the number of requests must be within the
//! documented bounds. As long as no future has been dropped, both chains must make the same requests.

use std::fmt::Debug;

use arbitrary::Unstructured;
use embedded_io::{Read, Seek, SeekFrom};
use embedded_io_async::{Read as _, Seek as _};
use qcow1::{CheckOptions, CheckSummary, Cursor, Error, Key, OpenOptions, aio};

use super::KEY;
use super::bounds;
use super::compare;
use super::device::{Device, Failed, Fault, Log};
use super::forge;
use super::futures::{Slow, finish, poll};
use super::levels::{Costs, Lent, Level, Opened};
use super::oracle::Layer;

/// The maximum number of calls.
const STEPS: u8 = 10;

pub fn session(bytes: &[u8]) -> bool {
    run(&mut Unstructured::new(bytes)).unwrap_or(false)
}

/// One call.
struct Step {
    what: u8,
    place: u16,
    len: u8,
    level: u8,
    fault: u8,
}

fn run(u: &mut Unstructured<'_>) -> arbitrary::Result<bool> {
    let [flags, count] = u.arbitrary::<[u8; 2]>()?;
    let steps: Vec<Step> = (0..count % STEPS + 1)
        .map(|_| {
            let [what, low, high, len, level, fault] = u.arbitrary::<[u8; 6]>()?;
            Ok(Step {
                what,
                place: u16::from_le_bytes([low, high]),
                len,
                level,
                fault,
            })
        })
        .collect::<arbitrary::Result<_>>()?;
    let levels = forge::chain(u)?;
    let mut lent = Lent::new(&levels);
    let salvage = flags & 1 != 0;
    let opened = Opened::new(&levels, &mut lent, salvage);
    if opened.layers.is_empty() {
        return Ok(false);
    }
    let mut session = Session {
        opened,
        levels: &levels,
        salvage,
        is_in_step: true,
    };
    for step in &steps {
        session.step(step);
    }
    Ok(true)
}

/// The result of [`compare::totals`].
type Totals = Option<([u64; 3], bool)>;

struct Session<'m> {
    opened: Opened<'m>,
    /// The files, and how they were opened.
    levels: &'m [Level],
    salvage: bool,
    /// Whether all calls so far were made on both chains, and none was dropped.
    is_in_step: bool,
}

impl Session<'_> {
    fn step(&mut self, step: &Step) {
        let level = usize::from(step.level) % self.opened.layers.len();
        self.prepare(step.fault, level);
        let size = self.opened.chain.size();
        let offset = compare::place(step.place, size.max(1));
        let len = match step.len {
            0..=9 => u64::from(step.len),
            10..=249 => (u64::from(step.len) - 9) * 24,
            // Sometimes one byte past the end.
            _ => size.saturating_sub(offset).min(8192) + u64::from(step.len & 1),
        };
        match step.what % 16 {
            0..=3 => self.read(offset, len),
            4 => self.read_of_one(level, step.place, len),
            5 => self.drop_a_read(step, level, offset, len),
            6 => self.extent(offset, len << (step.level % 40)),
            7 => self.extent_of_one(level, step.place, len << (step.level % 40)),
            8 => self.extents(level, None),
            9 => self.name(level, len),
            10 => self.check(level, step.len),
            11 | 12 => self.cursor(step, len),
            13 => self.opened.set_key(level),
            14 => self.without_the_lowest(offset, len),
            _ => self.drop_a_look(step, level, offset, len),
        }
        for log in self.opened.logs.iter().flatten() {
            log.settle();
        }
        if self.is_in_step {
            for logs in self.opened.logs {
                assert_eq!(logs[0].digest(), logs[1].digest(), "other requests");
            }
        }
    }

    /// Sets a failure for a request of both chains, in one step of four.
    fn prepare(&mut self, fault: u8, level: usize) {
        if fault >= 64 {
            return;
        }
        let fault = Fault {
            after: fault & 3,
            half: fault & 4 != 0,
            garbage: fault >> 3,
        };
        for log in &self.opened.logs[level] {
            log.fail(fault);
        }
    }

    /// Returns whether a request of the synchronous chain has failed, and whether one of the asynchronous chain has.
    fn failed(&self) -> [bool; 2] {
        let mut failed = [false; 2];
        for logs in self.opened.logs {
            for (failed, log) in failed.iter_mut().zip(logs) {
                *failed |= log.has_failed();
            }
        }
        failed
    }

    /// Asserts that the image at `level` has made at most `most` requests since `before`, and the others none.
    fn cost_of_one(&self, before: [Costs; 2], level: usize, most: u64) {
        self.opened.cost(before, |at| if at == level { most } else { 0 });
    }

    /// Asserts that a call returned the device's error only if a request failed. Returns `true` if so. A failed read of tables
    /// or ahead of a stream may have been tried again for less.
    fn io<T: Debug>(result: &Result<T, Error<Failed>>, failed: bool) -> bool {
        let is_io = matches!(result, Err(Error::Io(Failed)));
        assert!(failed || !is_io, "{result:?}");
        is_io
    }

    fn read(&mut self, offset: u64, len: u64) {
        let before = self.opened.costs();
        let mut bytes = vec![0xcc; len as usize];
        let mut slow_bytes = bytes.clone();
        let read = self.opened.chain.read_at(offset, &mut bytes);
        let slow_read = finish(self.opened.slow.read_at(offset, &mut slow_bytes));
        if self.opened.layers.is_empty() {
            assert_eq!((read, slow_read), (Err(Error::OutOfRange), Err(Error::OutOfRange)));
            return;
        }
        self.opened.cost_of_read(before, offset, len);
        self.judge(offset, [&bytes, &slow_bytes], [&read, &slow_read]);
    }

    /// Compares what both chains have read with the oracle.
    fn judge(&self, offset: u64, bytes: [&[u8]; 2], reads: [&Result<(), Error<Failed>>; 2]) {
        let failed = self.failed();
        for ((bytes, read), failed) in bytes.into_iter().zip(reads).zip(failed) {
            if !Self::io(read, failed) {
                compare::read(&self.opened.layers, &self.opened.lacks, offset, bytes, read);
            }
        }
        if failed == [false; 2] {
            assert_eq!(reads[0], reads[1]);
        }
    }

    /// Reads one image of the chain without the others.
    fn read_of_one(&mut self, level: usize, place: u16, len: u64) {
        let before = self.opened.costs();
        let offset = compare::place(place, self.opened.shapes[level].size.max(1));
        let mut bytes = vec![0xcc; len as usize];
        let mut slow_bytes = bytes.clone();
        let read = self.opened.chain.image_mut(level).unwrap().read_at(offset, &mut bytes);
        let slow_read = finish(
            self.opened
                .slow
                .image_mut(level)
                .unwrap()
                .read_at(offset, &mut slow_bytes),
        );
        let shapes = &self.opened.shapes[level..=level];
        self.cost_of_one(before, level, bounds::read(shapes, offset, len));
        let layers = &self.opened.layers[level..=level];
        let sides = [(&bytes, &read), (&slow_bytes, &slow_read)];
        for ((bytes, read), failed) in sides.into_iter().zip(self.failed()) {
            if !Self::io(read, failed) {
                compare::read(layers, &self.opened.lacks[level..], offset, bytes, read);
            }
        }
    }

    /// Starts a call of the asynchronous chain that reads bytes, and drops its future after some polls. A call that ended
    /// is compared.
    fn drop_a_read(&mut self, step: &Step, level: usize, offset: u64, len: u64) {
        let polls = usize::from(step.level % 8) + 1;
        let before = self.opened.costs();
        self.is_in_step = false;
        let mut bytes = vec![0xcc; len as usize];
        let read = match step.level >> 3 & 3 {
            0 => poll(self.opened.slow.read_at(offset, &mut bytes), polls),
            1 => {
                // Unlike `read_at`, a cursor reads up to the end of the disk.
                bytes.truncate(self.opened.chain.size().saturating_sub(offset) as usize);
                self.drop_a_cursor(offset, &mut bytes, polls)
            }
            2 => {
                bytes.truncate(64);
                let name = poll(
                    self.opened.slow.image_mut(level).unwrap().backing_name(&mut bytes),
                    polls,
                );
                self.cost_of_one(before, level, bounds::BACKING_NAME);
                if let Some(name) = name {
                    self.judge_name(level, len.min(64) as usize, &name, self.failed()[1]);
                }
                return;
            }
            _ => return self.drop_a_check(level, step.len, polls),
        };
        self.opened.cost_of_read(before, offset, len);
        if let Some(read) = read
            && !Self::io(&read, self.failed()[1])
        {
            compare::read(&self.opened.layers, &self.opened.lacks, offset, &bytes, &read);
        }
    }

    /// Starts to read the bytes at `offset`, all inside the disk, with a cursor. Its position stays the same if the future is
    /// dropped.
    fn drop_a_cursor(&mut self, offset: u64, bytes: &mut [u8], polls: usize) -> Option<Result<(), Error<Failed>>> {
        let mut cursor = self.opened.slow.cursor();
        assert_eq!(finish(cursor.seek(SeekFrom::Start(offset))), Ok(offset));
        let read = poll(cursor.read(bytes), polls);
        let moved = match read {
            Some(Ok(count)) => count,
            _ => 0,
        };
        assert_eq!(cursor.position(), offset + moved as u64);
        Some(read?.map(|count| assert_eq!(count, bytes.len())))
    }

    /// Starts a check of an image of the asynchronous chain, and drops its future after some polls.
    fn drop_a_check(&mut self, level: usize, how: u8, polls: usize) {
        let before = self.opened.costs();
        let inflate = how & 2 != 0;
        let image = &mut self.opened.slow.image_mut(level).unwrap();
        let mut bitmap = vec![0xdd; image.check_bitmap_len()];
        let mut options = CheckOptions::new().inflate(inflate);
        if how & 1 != 0 {
            options = options.bitmap(&mut bitmap);
        }
        let mut found = 0;
        let summary = poll(image.check_with(options, |_| found += 1), polls);
        let totals = self.totals(level);
        self.cost_of_check(before, level, inflate, totals);
        if let Some(summary) = summary {
            self.judge_check(level, inflate, totals, &summary, found, self.failed()[1]);
        }
    }

    /// Starts a call of the asynchronous chain that looks at tables, and drops its future after some polls.
    fn drop_a_look(&mut self, step: &Step, level: usize, offset: u64, len: u64) {
        let polls = usize::from(step.level % 8) + 1;
        self.is_in_step = false;
        match step.level >> 3 & 3 {
            0 => {
                let before = self.opened.costs();
                let found = poll(self.opened.slow.extent_at(offset, len), polls);
                self.opened.cost_of_extent(before, offset, len);
                let failed = self.failed()[1];
                if let Some(found) = found
                    && !Self::io(&found, failed)
                {
                    compare::chain_extent(&self.opened.layers, offset, len, &found, failed);
                }
            }
            1 => self.extents(level, Some(polls)),
            _ => self.drop_an_open(level, polls, step.place, len),
        }
    }

    /// Starts to open a file of the chain, and drops the future after some polls. Then it opens the file with the same
    /// device and the same memory, and reads.
    fn drop_an_open(&self, level: usize, polls: usize, place: u16, len: u64) {
        let Level {
            file,
            block_size,
            lend,
            is_raw,
        } = &self.levels[level];
        let log = Log::default();
        let mut device = Slow(Device::new(file, *block_size, &log));
        let mut memory = vec![0xdd; *lend];
        let options = OpenOptions::new().salvage(self.salvage);
        let most = if *is_raw { bounds::OPEN_RAW } else { bounds::OPEN };
        // Only the size and the first bytes are waited for.
        for polls in [polls, 3] {
            let before = log.requests();
            let image = if *is_raw {
                poll(aio::Image::open_raw(&mut device, &mut memory), polls)
            } else {
                poll(aio::Image::open_with(options, &mut device, &mut memory), polls)
            };
            assert!(log.requests() - before <= most);
            let Some(image) = image else {
                assert!(polls < 3);
                continue;
            };
            let mut image = image.unwrap();
            let (shape, layer) = (&self.opened.shapes[level], &self.opened.layers[level]);
            if matches!(layer, Layer::Qcow(oracle) if oracle.key.is_some()) {
                image.set_key(&Key::from_bytes(KEY));
            }
            let offset = compare::place(place, shape.size.max(1));
            let mut bytes = vec![0xcc; len as usize];
            let read = finish(image.read_at(offset, &mut bytes));
            let layers = std::slice::from_ref(layer);
            compare::read(layers, &self.opened.lacks[level..], offset, &bytes, &read);
        }
    }

    fn extent(&mut self, offset: u64, len: u64) {
        let before = self.opened.costs();
        let found = self.opened.chain.extent_at(offset, len);
        let slow_found = finish(self.opened.slow.extent_at(offset, len));
        for (found, failed) in [found, slow_found].iter().zip(self.failed()) {
            if !Self::io(found, failed) {
                compare::chain_extent(&self.opened.layers, offset, len, found, failed);
            }
        }
        self.opened.cost_of_extent(before, offset, len);
    }

    fn extent_of_one(&mut self, level: usize, place: u16, len: u64) {
        let before = self.opened.costs();
        let offset = compare::place(place, self.opened.shapes[level].size.max(1));
        let found = self.opened.chain.image_mut(level).unwrap().extent_at(offset, len);
        let slow_found = finish(self.opened.slow.image_mut(level).unwrap().extent_at(offset, len));
        for (found, failed) in [found, slow_found].iter().zip(self.failed()) {
            if !Self::io(found, failed) {
                compare::extent(&self.opened.layers[level], offset, len, found, failed);
            }
        }
        self.cost_of_one(before, level, bounds::extent(&self.opened.shapes[level], offset, len));
    }

    /// Compares the first extents of an image. On the asynchronous side, each future is dropped after `polls` polls, if
    /// that is set, and the next call must return the same run.
    fn extents(&mut self, level: usize, polls: Option<usize>) {
        for side in 0..2 {
            let before = self.opened.costs();
            let mut end = 0;
            let (shape, layer) = (&self.opened.shapes[level], &self.opened.layers[level]);
            let log = &self.opened.logs[level][side];
            let mut sync = self.opened.chain.image_mut(level).unwrap().extents();
            let mut slow = self.opened.slow.image_mut(level).unwrap().extents();
            let mut most = 0;
            for _ in 0..6 {
                let before = log.requests();
                let most_of_next = bounds::extent(shape, end, u64::MAX);
                let mut calls = 1;
                let item = match polls {
                    _ if side == 0 => sync.next(),
                    None => finish(slow.next()),
                    Some(polls) => poll(slow.next(), polls).unwrap_or_else(|| {
                        calls = 2;
                        finish(slow.next())
                    }),
                };
                let Some(item) = item else {
                    assert_eq!(end, shape.size);
                    break;
                };
                most += calls * most_of_next;
                assert!(log.requests() - before <= calls * most_of_next);
                if !Self::io(&item, log.has_failed()) {
                    compare::extent(layer, end, u64::MAX, &item, log.has_failed());
                }
                let Ok(extent) = item else {
                    let next = if side == 0 { sync.next() } else { finish(slow.next()) };
                    assert_eq!(next, None);
                    break;
                };
                end = extent.end();
            }
            self.cost_of_one(before, level, most);
        }
    }

    fn name(&mut self, level: usize, len: u64) {
        let before = self.opened.costs();
        let len = (len % 64) as usize;
        let mut buf = vec![0xcc; len];
        let mut slow_buf = buf.clone();
        let name = self.opened.chain.image_mut(level).unwrap().backing_name(&mut buf);
        let slow_name = finish(self.opened.slow.image_mut(level).unwrap().backing_name(&mut slow_buf));
        self.cost_of_one(before, level, bounds::BACKING_NAME);
        for (name, failed) in [name, slow_name].iter().zip(self.failed()) {
            self.judge_name(level, len, name, failed);
        }
    }

    /// Compares a backing file's name that was read into `len` bytes.
    fn judge_name(&self, level: usize, len: usize, name: &Result<Option<&[u8]>, Error<Failed>>, failed: bool) {
        if Self::io(name, failed) {
            return;
        }
        let right = match &self.opened.layers[level] {
            Layer::Qcow(image) => image.backing_name(),
            Layer::Raw(_) => None,
        };
        match name {
            Ok(name) => assert_eq!(*name, right.as_deref()),
            Err(Error::MemoryTooSmall { needed }) => {
                assert!(right.is_some_and(|name| name.len() == *needed && len < *needed));
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn check(&mut self, level: usize, how: u8) {
        let before = self.opened.costs();
        let (has_map, inflate) = (how & 1 != 0, how & 2 != 0);
        let Opened { chain, slow, .. } = &mut self.opened;
        let (image, slow) = (
            &mut chain.image_mut(level).unwrap(),
            &mut slow.image_mut(level).unwrap(),
        );
        let map = || vec![0xdd; if has_map { image.check_bitmap_len() } else { 0 }];
        let (mut bitmap, mut slow_bitmap) = (map(), map());
        let options = |bitmap| {
            let options = CheckOptions::new().inflate(inflate);
            if has_map { options.bitmap(bitmap) } else { options }
        };
        let mut found = [0_u64; 2];
        let [told, slow_told] = &mut found;
        let summary = image.check_with(options(&mut bitmap), |_| *told += 1);
        let slow_summary = finish(slow.check_with(options(&mut slow_bitmap), |_| *slow_told += 1));

        let totals = self.totals(level);
        self.cost_of_check(before, level, inflate, totals);
        let failed = self.failed();
        if failed == [false; 2] {
            assert_eq!((summary, found[0]), (slow_summary, found[1]));
        }
        for ((summary, found), failed) in [summary, slow_summary].iter().zip(found).zip(failed) {
            self.judge_check(level, inflate, totals, summary, found, failed);
        }
    }

    /// Returns the totals of [`compare::totals`].
    fn totals(&self, level: usize) -> Totals {
        match &self.opened.layers[level] {
            Layer::Qcow(oracle) => compare::totals(oracle),
            Layer::Raw(bytes) => Some(([bytes.len() as u64, 0, 0], false)),
        }
    }

    fn cost_of_check(&self, before: [Costs; 2], level: usize, inflate: bool, totals: Totals) {
        let words = match &self.opened.layers[level] {
            Layer::Qcow(oracle) => {
                let file_len = self.levels[level].file.len() as u64;
                bounds::words_of_check(oracle.bits(), oracle.l1_words(), file_len)
            }
            Layer::Raw(_) => 0,
        };
        let compressed = match (&self.opened.layers[level], totals) {
            (Layer::Qcow(oracle), Some((totals, _))) => totals[1].div_ceil(oracle.cluster_size()),
            (Layer::Qcow(oracle), None) => oracle.size.div_ceil(oracle.cluster_size()),
            (Layer::Raw(_), _) => 0,
        };
        let most = bounds::check(words, if inflate { compressed } else { 0 });
        self.cost_of_one(before, level, most);
    }

    /// Compares the summary of a check with the oracle. `found` is the number of findings that were reported.
    fn judge_check(
        &self,
        level: usize,
        inflate: bool,
        totals: Totals,
        summary: &Result<CheckSummary, Error<Failed>>,
        found: u64,
        failed: bool,
    ) {
        if Self::io(summary, failed) {
            return;
        }
        match summary {
            Ok(summary) => {
                assert_eq!(summary.findings, found);
                if let Some((totals, is_corrupt)) = totals {
                    assert!(found > 0 || !is_corrupt);
                    let bytes = [summary.data_bytes, summary.compressed_bytes, summary.hole_bytes];
                    assert!(found > 0 || bytes == totals, "{bytes:?}, the oracle {totals:?}");
                }
            }
            Err(Error::MemoryTooSmall { needed }) => {
                assert!(inflate && self.opened.lacks[level] == Some(*needed));
                assert!(totals.is_none_or(|(totals, _)| totals[1] > 0), "{totals:?}");
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Seeks a cursor, and reads from it twice.
    fn cursor(&mut self, step: &Step, len: u64) {
        let size = self.opened.chain.size();
        let place = u64::from(step.place);
        let seek = match step.level >> 6 {
            0 => SeekFrom::End(-i64::from(step.place)),
            1 => SeekFrom::Current(i64::from(step.place)),
            _ => SeekFrom::Start(compare::place(step.place, size.max(1))),
        };
        let right = match seek {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(_) => size.checked_sub(place),
            SeekFrom::Current(_) => Some(place),
        };
        let mut buffers = [const { Vec::new() }; 4];
        buffers.fill_with(|| vec![0xcc; len as usize]);
        let [first, slow_first, second, slow_second] = &mut buffers;

        let before = self.opened.costs();
        let mut cursor = self.opened.chain.cursor();
        let mut slow_cursor = Cursor::new(&mut self.opened.slow);
        let sought = Seek::seek(&mut cursor, seek);
        assert_eq!(sought.ok(), right);
        assert_eq!(finish(slow_cursor.seek(seek)), sought);
        let start = right.unwrap_or(0);
        let counts = [Read::read(&mut cursor, first), finish(slow_cursor.read(slow_first))];
        let between = [cursor.position(), slow_cursor.position()];
        let second_counts = [Read::read(&mut cursor, second), finish(slow_cursor.read(slow_second))];
        let ends = [cursor.position(), slow_cursor.position()];

        // The first read may fail, and leave the position where it was.
        let lens = [start, between[0], start, between[1]].map(|at| size.saturating_sub(at).min(len));
        self.opened.cost(before, |level| {
            let most = |side: usize| {
                let shapes = &self.opened.shapes[..=level];
                bounds::read(shapes, start, lens[2 * side]) + bounds::read(shapes, between[side], lens[2 * side + 1])
            };
            most(0).max(most(1))
        });
        let failed = self.failed();
        let buffers = [(&*first, &*second), (&*slow_first, &*slow_second)];
        for side in 0..2 {
            let reads = [
                (start, &counts[side], buffers[side].0, between[side]),
                (between[side], &second_counts[side], buffers[side].1, ends[side]),
            ];
            for (start, count, bytes, end) in reads {
                let given = size.saturating_sub(start).min(len) as usize;
                match count {
                    Ok(count) => assert_eq!((*count, end), (given, start + given as u64)),
                    Err(_) => assert_eq!(end, start),
                }
                let read = count.map(|_| ());
                if !Self::io(&read, failed[side]) && given > 0 {
                    let bytes = &bytes[..given];
                    compare::read(&self.opened.layers, &self.opened.lacks, start, bytes, &read);
                }
            }
        }
    }

    /// Removes the lowest image of both chains, reads, and puts it back.
    fn without_the_lowest(&mut self, offset: u64, len: u64) {
        let (image, slow) = (self.opened.chain.pop().unwrap(), self.opened.slow.pop().unwrap());
        let (layer, shape) = (self.opened.layers.pop().unwrap(), self.opened.shapes.pop().unwrap());
        self.read(offset, len);
        assert!(self.opened.chain.push(image).is_ok() && self.opened.slow.push(slow).is_ok());
        self.opened.layers.push(layer);
        self.opened.shapes.push(shape);
    }
}
