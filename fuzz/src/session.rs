//! Opens a chain once and makes many calls, on devices that sometimes fail and leave garbage in the buffer.
//!
//! Each call is made on a synchronous chain and on an asynchronous chain. Some futures of the latter are dropped before
//! they end. The results must be those of the oracle, which has no cache, and the number of requests must be within the
//! documented bounds. As long as no future has been dropped, both chains must make the same requests.

use std::fmt::Debug;

use arbitrary::Unstructured;
use embedded_io::{Read, Seek, SeekFrom};
use embedded_io_async::{Read as _, Seek as _};
use qcow1::aio::AsyncGuestRead;
use qcow1::{CheckOptions, Error};

use super::bounds;
use super::compare;
use super::device::{Failed, Fault, Log};
use super::forge;
use super::futures::{finish, poll};
use super::levels::{DEPTH, Lent, Opened};
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
    let opened = Opened::new(&levels, &mut lent, flags & 1 != 0);
    if opened.layers.is_empty() {
        return Ok(false);
    }
    let mut session = Session {
        opened,
        is_in_step: true,
    };
    for step in &steps {
        session.step(step);
    }
    Ok(true)
}

struct Session<'m> {
    opened: Opened<'m>,
    /// Whether all calls so far were made on both chains, and none was dropped.
    is_in_step: bool,
}

/// The number of requests of each level of a chain.
type Costs = [u64; DEPTH];

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
            5 => self.give_up(offset, len, step.level),
            6 => self.extent(offset, len << (step.level % 40)),
            7 => self.extent_of_one(level, step.place, len << (step.level % 40)),
            8 => self.extents(level),
            9 => self.name(level, len),
            10 => self.check(level, step.len),
            11 | 12 => self.cursor(step, len),
            13 => self.opened.set_key(level),
            14 => self.without_the_lowest(offset, len),
            _ => self.give_up_extent(offset, len, step.level),
        }
        // This cancels a failure that has not happened.
        self.failed();
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

    /// Returns the numbers of requests of both chains.
    fn costs(&self) -> [Costs; 2] {
        [0, 1].map(|side| self.opened.logs.each_ref().map(|logs: &[Log; 2]| logs[side].requests()))
    }

    /// Asserts that each level has made at most `most` requests since `before`.
    fn cost(&self, before: [Costs; 2], most: impl Fn(usize) -> u64) {
        for (after, before) in self.costs().iter().zip(before) {
            for level in 0..self.opened.layers.len() {
                let cost = after[level] - before[level];
                assert!(
                    cost <= most(level),
                    "{cost} reads of level {level}, not {}",
                    most(level)
                );
            }
        }
    }

    /// Asserts that a call returned the device's error if and only if a request failed. Returns `failed`.
    fn io<T: Debug>(result: &Result<T, Error<Failed>>, failed: bool) -> bool {
        assert_eq!(matches!(result, Err(Error::Io(Failed))), failed, "{result:?}");
        failed
    }

    fn read(&mut self, offset: u64, len: u64) {
        let before = self.costs();
        let mut bytes = vec![0xcc; len as usize];
        let mut slow_bytes = bytes.clone();
        let read = self.opened.chain.read_at(offset, &mut bytes);
        let slow_read = finish(self.opened.slow.read_at(offset, &mut slow_bytes));
        if self.opened.layers.is_empty() {
            assert_eq!((read, slow_read), (Err(Error::OutOfRange), Err(Error::OutOfRange)));
            return;
        }
        self.judge(offset, [&bytes, &slow_bytes], [&read, &slow_read]);
        self.cost(before, |level| {
            bounds::chain_read(&self.opened.shapes, level, offset, len)
        });
    }

    /// Compares what both chains have read with the oracle.
    fn judge(&self, offset: u64, bytes: [&[u8]; 2], reads: [&Result<(), Error<Failed>>; 2]) {
        let failed = self.failed();
        for ((bytes, read), failed) in bytes.into_iter().zip(reads).zip(failed) {
            if !Self::io(read, failed) && !read.as_ref().is_err_and(|error| self.opened.is_too_small(error)) {
                compare::read(&self.opened.layers, offset, bytes, read);
            }
        }
        if failed == [false; 2] {
            assert_eq!(reads[0], reads[1]);
        }
    }

    /// Reads one image of the chain without the others.
    fn read_of_one(&mut self, level: usize, place: u16, len: u64) {
        let before = self.costs();
        let offset = compare::place(place, self.opened.shapes[level].size.max(1));
        let mut bytes = vec![0xcc; len as usize];
        let mut slow_bytes = bytes.clone();
        let read = self.opened.chain.images_mut()[level].read_at(offset, &mut bytes);
        let slow_read = finish(self.opened.slow.images_mut()[level].read_at(offset, &mut slow_bytes));
        let layers = &self.opened.layers[level..=level];
        let sides = [(&bytes, &read), (&slow_bytes, &slow_read)];
        for ((bytes, read), failed) in sides.into_iter().zip(self.failed()) {
            if !Self::io(read, failed) && !read.as_ref().is_err_and(|error| self.opened.is_too_small(error)) {
                compare::read(layers, offset, bytes, read);
            }
        }
        let shapes = &self.opened.shapes[level..=level];
        let most = bounds::chain_read(shapes, 0, offset, len);
        self.cost(before, |at| if at == level { most } else { 0 });
    }

    /// Starts a read of the asynchronous chain, and drops its future after some polls.
    fn give_up(&mut self, offset: u64, len: u64, polls: u8) {
        let mut bytes = vec![0xcc; len as usize];
        let read = poll(self.opened.slow.read_at(offset, &mut bytes), usize::from(polls % 8) + 1);
        self.is_in_step = false;
        if let Some(read) = read
            && !Self::io(&read, self.failed()[1])
            && !read.as_ref().is_err_and(|error| self.opened.is_too_small(error))
        {
            compare::read(&self.opened.layers, offset, &bytes, &read);
        }
    }

    fn give_up_extent(&mut self, offset: u64, len: u64, polls: u8) {
        let found = poll(self.opened.slow.extent_at(offset, len), usize::from(polls % 8) + 1);
        self.is_in_step = false;
        if let Some(found) = found
            && !Self::io(&found, self.failed()[1])
        {
            compare::chain_extent(&self.opened.layers, offset, len, &found);
        }
    }

    fn extent(&mut self, offset: u64, len: u64) {
        let before = self.costs();
        let found = self.opened.chain.extent_at(offset, len);
        let slow_found = finish(self.opened.slow.extent_at(offset, len));
        for (found, failed) in [found, slow_found].iter().zip(self.failed()) {
            if !Self::io(found, failed) {
                compare::chain_extent(&self.opened.layers, offset, len, found);
            }
        }
        self.cost(before, |level| bounds::extent(&self.opened.shapes[level], offset, len));
    }

    fn extent_of_one(&mut self, level: usize, place: u16, len: u64) {
        let before = self.costs();
        let offset = compare::place(place, self.opened.shapes[level].size.max(1));
        let found = self.opened.chain.images_mut()[level].extent_at(offset, len);
        let slow_found = finish(self.opened.slow.images_mut()[level].extent_at(offset, len));
        for (found, failed) in [found, slow_found].iter().zip(self.failed()) {
            if !Self::io(found, failed) {
                compare::extent(&self.opened.layers[level], offset, len, found);
            }
        }
        let most = bounds::extent(&self.opened.shapes[level], offset, len);
        self.cost(before, |at| if at == level { most } else { 0 });
    }

    /// Compares the first extents of an image.
    fn extents(&mut self, level: usize) {
        for side in 0..2 {
            let mut end = 0;
            let (shape, layer) = (&self.opened.shapes[level], &self.opened.layers[level]);
            let log = &self.opened.logs[level][side];
            let mut sync = self.opened.chain.images_mut()[level].extents();
            let mut slow = self.opened.slow.images_mut()[level].extents();
            for _ in 0..6 {
                let before = log.requests();
                let item = if side == 0 { sync.next() } else { finish(slow.next()) };
                let Some(item) = item else {
                    assert_eq!(end, shape.size);
                    break;
                };
                assert!(log.requests() - before <= bounds::extent(shape, end, u64::MAX));
                if matches!(item, Err(Error::Io(Failed))) {
                    assert!(log.has_failed());
                    break;
                }
                assert!(!log.has_failed());
                compare::extent(layer, end, u64::MAX, &item);
                let Ok(extent) = item else {
                    break;
                };
                end = extent.end();
            }
        }
    }

    fn name(&mut self, level: usize, len: u64) {
        let before = self.costs();
        let len = (len % 64) as usize;
        let mut buf = vec![0xcc; len];
        let mut slow_buf = buf.clone();
        let name = self.opened.chain.images_mut()[level].backing_name(&mut buf);
        let slow_name = finish(self.opened.slow.images_mut()[level].backing_name(&mut slow_buf));
        let right = match &self.opened.layers[level] {
            Layer::Qcow(image) => image.backing_name(),
            Layer::Raw(_) => None,
        };
        for (name, failed) in [name, slow_name].iter().zip(self.failed()) {
            if Self::io(name, failed) {
                continue;
            }
            match name {
                Ok(name) => assert_eq!(*name, right.as_deref()),
                Err(Error::MemoryTooSmall { needed }) => {
                    assert!(
                        right
                            .as_ref()
                            .is_some_and(|name| name.len() == *needed && len < *needed)
                    );
                }
                Err(error) => panic!("{error}"),
            }
        }
        self.cost(before, |at| if at == level { bounds::BACKING_NAME } else { 0 });
    }

    fn check(&mut self, level: usize, how: u8) {
        let before = self.costs();
        let (has_map, inflate) = (how & 1 != 0, how & 2 != 0);
        let Opened { chain, slow, .. } = &mut self.opened;
        let (image, slow) = (&mut chain.images_mut()[level], &mut slow.images_mut()[level]);
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

        let (layer, shape) = (&self.opened.layers[level], &self.opened.shapes[level]);
        let (words, totals) = match layer {
            Layer::Qcow(oracle) => (shape.words(oracle.l1_words()), compare::totals(oracle)),
            Layer::Raw(bytes) => (0, Some(([bytes.len() as u64, 0, 0], false))),
        };
        let clusters = (shape.size >> shape.cluster_bits) + 1;
        let most = bounds::check(words, if inflate { clusters } else { 0 });
        self.cost(before, |at| if at == level { most } else { 0 });
        let failed = self.failed();
        if failed == [false; 2] {
            assert_eq!((summary, found[0]), (slow_summary, found[1]));
        }
        for ((summary, found), failed) in [summary, slow_summary].iter().zip(found).zip(failed) {
            if Self::io(summary, failed) {
                continue;
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
                Err(error) => assert!(inflate && self.opened.is_too_small(error), "{error}"),
            }
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

        let mut cursor = self.opened.chain.cursor();
        let mut slow_cursor = AsyncGuestRead::cursor(&mut self.opened.slow);
        let sought = Seek::seek(&mut cursor, seek);
        assert_eq!(sought.ok(), right);
        assert_eq!(finish(slow_cursor.seek(seek)), sought);
        let start = right.unwrap_or(0);
        let counts = [Read::read(&mut cursor, first), finish(slow_cursor.read(slow_first))];
        let between = [cursor.position(), slow_cursor.position()];
        let second_counts = [Read::read(&mut cursor, second), finish(slow_cursor.read(slow_second))];
        let ends = [cursor.position(), slow_cursor.position()];

        let failed = self.failed();
        let buffers = [(&*first, &*second), (&*slow_first, &*slow_second)];
        for side in 0..2 {
            let reads = [
                (start, &counts[side], buffers[side].0, between[side]),
                (between[side], &second_counts[side], buffers[side].1, ends[side]),
            ];
            let mut has_failed = false;
            for (start, count, bytes, end) in reads {
                let given = size.saturating_sub(start).min(len) as usize;
                match count {
                    Ok(count) => assert_eq!((*count, end), (given, start + given as u64)),
                    Err(_) => assert_eq!(end, start),
                }
                has_failed |= matches!(count, Err(Error::Io(Failed)));
                let read = count.map(|_| ());
                if !matches!(read, Err(Error::Io(_)))
                    && !read.is_err_and(|error| self.opened.is_too_small(&error))
                    && given > 0
                {
                    compare::read(&self.opened.layers, start, &bytes[..given], &read);
                }
            }
            assert_eq!(has_failed, failed[side]);
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
