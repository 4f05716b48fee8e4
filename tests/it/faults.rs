//! Each request of a call fails once, in every way in which devices fail, and the next call returns
//! the right bytes.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;

use crate::common::checker::{self, agrees, to_flaw};
use crate::common::{Broken, ImageBuilder, Layer, Oracle, Random, Rules, class, oracle, pattern};
use qcow1::{BlockRead, BlockSize, Blocks, CheckOptions, Error, Image, Key, Memory, OpenOptions};

#[derive(Clone, Copy, PartialEq, Debug)]
enum Failure {
    /// An error that leaves garbage in the whole buffer.
    Whole,
    /// An error that leaves garbage in the second half of the buffer.
    Short,
    /// No error, and a buffer of ones, which are neither a valid table nor a valid stream.
    Garbage,
}

/// A device over bytes that fails one request.
struct Failing<'a> {
    device: Blocks<&'a [u8]>,
    failure: Failure,
    /// The number of requests that succeed before the one that fails; `None` after it, or if none
    /// fails.
    before: Rc<Cell<Option<u64>>>,
}

impl BlockRead for Failing<'_> {
    type Error = Broken;

    fn block_size(&self) -> BlockSize {
        self.device.block_size()
    }

    fn size(&mut self) -> Result<u64, Broken> {
        self.device.size().map_err(|never| match never {})
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Broken> {
        let Ok(()) = self.device.read_blocks(lba, buf);
        match self.before.get() {
            None => Ok(()),
            Some(0) => {
                self.before.set(None);
                let from = if self.failure == Failure::Short {
                    buf.len() / 2
                } else {
                    0
                };
                buf[from..].fill(if self.failure == Failure::Garbage { 0xff } else { 0xee });
                if self.failure == Failure::Garbage {
                    Ok(())
                } else {
                    Err(Broken)
                }
            }
            Some(left) => {
                self.before.set(Some(left - 1));
                Ok(())
            }
        }
    }
}

/// Returns small images with their names: those that QEMU made, and two with properties that QEMU
/// does not write.
fn images() -> Vec<(String, Vec<u8>)> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut images: Vec<_> = std::fs::read_dir(data)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "qcow"))
        .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
        .collect();
    let mut odd = ImageBuilder::new(70_001).bits(10, 6).l1_at(61).tables_off_by(5);
    odd.data(1024, &pattern(3, 30_000));
    for cluster in 40..50 {
        odd.compressed(cluster * 1024, &pattern(cluster as u8, 1024));
    }
    images.push(("odd".into(), odd.build()));
    let mut xen = ImageBuilder::new(3 << 20).xen(0);
    xen.data(4096, &pattern(4, 9000)).data(2 << 20, &pattern(5, 100));
    images.push(("Xen".into(), xen.build()));
    images
}

/// The number of requests that succeed before one fails.
type Before = Rc<Cell<Option<u64>>>;

/// Opens an image. The handle sets the number of requests that succeed before one fails.
fn open<'m>(
    file: &'m [u8],
    memory: &'m mut [u8],
    block: u32,
    salvage: bool,
    failure: Failure,
) -> (Image<Failing<'m>, &'m mut [u8]>, Before) {
    let before = Rc::new(Cell::new(None));
    let device = Failing {
        device: Blocks::new(file, BlockSize::new(block).unwrap()),
        failure,
        before: before.clone(),
    };
    let mut image = Image::open_with(OpenOptions::new().salvage(salvage), device, memory).unwrap();
    image.set_key(&Key::from_passphrase(b"any"));
    (image, before)
}

/// Reads `len` bytes at `offset`. An overlay is opened without its base, so holes fail with the
/// same error each time.
fn read(image: &mut Image<Failing<'_>, impl Memory>, offset: u64, len: usize) -> Result<Vec<u8>, Error<Broken>> {
    let mut bytes = vec![0xcc; len];
    image.read_at(offset, &mut bytes).map(|()| bytes)
}

/// Returns the oracle over a file, with the key of [`open`].
fn oracle_of(file: &[u8], salvage: bool) -> [Layer<'_>; 1] {
    let mut oracle = Oracle::open(file, Rules { salvage }).unwrap();
    oracle.key = Some(*b"any\0\0\0\0\0\0\0\0\0\0\0\0\0");
    [Layer::Qcow(oracle)]
}

/// Reads without a failure. Asserts that the bytes, or the error, are the oracle's.
fn read_right(
    image: &mut Image<Failing<'_>, impl Memory>,
    layers: &[Layer<'_>],
    offset: u64,
    len: usize,
) -> Result<Vec<u8>, Error<Broken>> {
    let read = read(image, offset, len);
    match (&read, oracle::read(layers, offset, len)) {
        (Ok(bytes), Ok(right)) => assert!(*bytes == right, "{len} bytes at {offset:#x}"),
        (Err(Error::MemoryTooSmall { .. }), Ok(_)) => {}
        (Err(error), Err(refusal)) => assert_eq!(class(error), Some(refusal), "{error}"),
        (read, right) => panic!("{len} bytes at {offset:#x}: {read:?}, the oracle {:?}", right.err()),
    }
    read
}

#[test]
fn after_any_failure_of_any_request_the_next_read_is_right() {
    for (name, file) in images() {
        for (block, memory) in [(1, 30_000), (512, 30_000), (4096, 400_000)] {
            for salvage in [false, true] {
                let mut memories = [vec![0; memory], vec![0; memory]];
                let [first, second] = &mut memories;
                let (mut whole, _) = open(&file, first, block, salvage, Failure::Whole);
                let layers = oracle_of(&file, salvage);
                let size = whole.size();
                // Runs of all kinds, but few enough for the test to be short.
                let mut starts: Vec<u64> = whole
                    .extents()
                    .map_while(Result::ok)
                    .map(|extent| extent.start)
                    .collect();
                starts.truncate(12);
                for failure in [Failure::Whole, Failure::Short, Failure::Garbage] {
                    for &offset in &starts {
                        let len = (size - offset).min(9000) as usize;
                        let right = read_right(&mut whole, &layers, offset, len);
                        for k in 0.. {
                            let (mut image, before) = open(&file, second, block, salvage, failure);
                            before.set(Some(k));
                            let failed = read(&mut image, offset, len);
                            if before.take().is_some() {
                                // The read makes fewer than k requests.
                                assert_eq!(failed, right, "{name}");
                                break;
                            }
                            if failure != Failure::Garbage {
                                // A read of tables or ahead of a stream is tried again for less.
                                assert!(failed == right || failed == Err(Error::Io(Broken)), "{name}");
                            } else if failed.is_ok() {
                                // Salvage takes the garbage for a truncated cluster.
                                continue;
                            }
                            let again = read(&mut image, offset, len);
                            assert!(again == right, "{name}, {failure:?} of request {k} at {offset:#x}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn after_any_failure_of_any_request_the_next_check_is_right() {
    for (name, file) in images() {
        for (block, memory) in [(1, 30_000), (512, 30_000), (4096, 400_000)] {
            let mut memory = vec![0; memory];
            let check = |image: &mut Image<Failing<'_>, &mut [u8]>| {
                let mut bitmap = vec![0; image.check_bitmap_len()];
                let mut found = Vec::new();
                let options = CheckOptions::new().bitmap(&mut bitmap);
                let summary = image.check_with(options, |finding| found.push(finding));
                summary.map(|summary| (summary, found))
            };
            let right = check(&mut open(&file, &mut memory, block, false, Failure::Whole).0).unwrap();
            let rules = checker::Rules {
                salvage: false,
                overlaps: true,
                inflate: false,
            };
            let found: Vec<_> = right.1.iter().map(to_flaw).collect();
            let report = checker::check(&file, rules);
            assert!(agrees(right.0, &found, &report), "{name}: {right:?} {report:?}");
            for failure in [Failure::Whole, Failure::Short, Failure::Garbage] {
                for k in 0.. {
                    let (mut image, before) = open(&file, &mut memory, block, false, failure);
                    before.set(Some(k));
                    let failed = check(&mut image);
                    if before.take().is_some() {
                        // The read makes fewer than k requests.
                        assert_eq!(failed, Ok(right.clone()), "{name}");
                        break;
                    }
                    match failure {
                        Failure::Garbage => assert_ne!(failed.unwrap().1, [], "{name}, request {k}"),
                        _ => assert!(
                            failed == Ok(right.clone()) || failed == Err(Error::Io(Broken)),
                            "{name}"
                        ),
                    }
                    assert_eq!(
                        check(&mut image),
                        Ok(right.clone()),
                        "{name}, {failure:?} of request {k}"
                    );
                }
            }
        }
    }
}

#[test]
fn reads_between_random_failures_are_right() {
    let images = images();
    arbtest::arbtest(|u| {
        let (name, file) = u.choose(&images)?;
        let failure = *u.choose(&[Failure::Whole, Failure::Short])?;
        let block = 1 << u.int_in_range(0..=12)?;
        let mut memories = [vec![0; 40_000], vec![0; u.int_in_range(4096..=100_000)?]];
        let [first, second] = &mut memories;
        let mut random = Random(u.arbitrary::<u64>()? | 1);
        let (mut whole, _) = open(file, first, block, false, failure);
        let layers = oracle_of(file, false);
        let (mut image, before) = open(file, second, block, false, failure);
        for _ in 0..30 {
            let offset = random.below(whole.size());
            let len = random.below((whole.size() - offset).min(20_000) + 1) as usize;
            before.set((random.below(3) == 0).then(|| random.below(4)));
            let result = read(&mut image, offset, len);
            match (&result, before.take()) {
                (Err(Error::Io(Broken) | Error::MemoryTooSmall { .. }), _) => {}
                _ => assert!(result == read_right(&mut whole, &layers, offset, len), "{name}"),
            }
        }
        Ok(())
    });
}
