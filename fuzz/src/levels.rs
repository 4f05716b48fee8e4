//! Opens a chain of files three times: on synchronous devices, on asynchronous devices, and with the oracle.

use qcow1::{BlockSize, Chain, Image, Key, OpenOptions, aio};

use super::KEY;
use super::bounds::{self, Shape};
use super::class::class;
use super::device::{Device, Log};
use super::futures::{Slow, finish};
use super::oracle::{Layer, Oracle, Rules};

/// The maximum number of images in a chain.
pub const DEPTH: usize = 3;

/// A file of a chain, and how it is opened.
pub struct Level {
    pub file: Vec<u8>,
    pub block_size: BlockSize,
    /// The memory that is lent to each image of the file, in bytes.
    pub lend: usize,
    pub is_raw: bool,
}

/// The memory and the logs of each level, for both chains.
pub struct Lent {
    memories: [[Vec<u8>; 2]; DEPTH],
    pub logs: [[Log; 2]; DEPTH],
}

impl Lent {
    pub fn new(levels: &[Level]) -> Self {
        let memory = |level: usize| vec![0xdd; levels.get(level).map_or(0, |level| level.lend)];
        Self {
            memories: std::array::from_fn(|level| [memory(level), memory(level)]),
            logs: Default::default(),
        }
    }
}

pub type Sync<'m> = Image<Device<'m>, &'m mut [u8]>;
pub type Slowly<'m> = aio::Image<Slow<Device<'m>>, &'m mut [u8]>;

/// The number of requests of each level of a chain.
pub type Costs = [u64; DEPTH];

/// A chain, opened three times.
pub struct Opened<'m> {
    pub chain: Chain<Sync<'m>, DEPTH>,
    pub slow: Chain<Slowly<'m>, DEPTH>,
    pub layers: Vec<Layer<'m>>,
    /// The shapes of the layers.
    pub shapes: Vec<Shape>,
    /// For each layer, the bytes of memory that its compressed clusters need, if it was lent less.
    pub lacks: [Option<usize>; DEPTH],
    pub logs: &'m [[Log; 2]; DEPTH],
}

impl<'m> Opened<'m> {
    /// Opens levels from the top, until one does not open or does not belong to the chain.
    pub fn new(levels: &'m [Level], lent: &'m mut Lent, salvage: bool) -> Self {
        let Lent { memories, logs } = lent;
        let logs = &*logs;
        let mut all = Self {
            chain: Chain::new(),
            slow: Chain::new(),
            layers: Vec::with_capacity(DEPTH),
            shapes: Vec::with_capacity(DEPTH),
            lacks: [None; DEPTH],
            logs,
        };
        for ((level, memories), logs) in levels.iter().zip(memories).zip(logs) {
            let [ours, theirs] = memories;
            let device = Device::new(&level.file, level.block_size, &logs[0]);
            let slow_device = Slow(Device::new(&level.file, level.block_size, &logs[1]));
            let (image, slow) = if level.is_raw {
                (
                    Image::open_raw(device, &mut ours[..]).map_err(|error| error.into_error()),
                    finish(aio::Image::open_raw(slow_device, &mut theirs[..])).map_err(|error| error.into_error()),
                )
            } else {
                let options = OpenOptions::new().salvage(salvage);
                (
                    Image::open_with(options, device, &mut ours[..]).map_err(|error| error.into_error()),
                    finish(aio::Image::open_with(options, slow_device, &mut theirs[..]))
                        .map_err(|error| error.into_error()),
                )
            };
            let most = if level.is_raw { bounds::OPEN_RAW } else { bounds::OPEN };
            for log in logs {
                assert!(log.requests() <= most, "{} reads to open", log.requests());
            }
            let rules = Rules { salvage };
            let layer = if level.is_raw {
                Ok(Layer::Raw(&level.file[..]))
            } else {
                Oracle::open(&level.file, rules).map(Layer::Qcow)
            };
            let (image, slow, layer) = match (image, slow, layer) {
                (Ok(image), Ok(slow), Ok(layer)) => (image, slow, layer),
                (Err(error), Err(slow), Err(refusal)) => {
                    assert_eq!((class(&error), class(&slow)), (Some(refusal), Some(refusal)));
                    break;
                }
                (image, slow, layer) => panic!("{:?}, {:?}, the oracle {:?}", image.err(), slow.err(), layer.err()),
            };
            let shape = shape(&layer);
            assert_eq!((image.size(), slow.size()), (shape.size, shape.size));
            let needed = image
                .header()
                .map_or(0, |header| header.memory_for(level.block_size, u64::MAX).compressed);
            let pushed = all.chain.push(image).is_ok();
            assert_eq!(pushed, all.slow.push(slow).is_ok());
            if !pushed {
                break;
            }
            all.lacks[all.layers.len()] = (level.lend < needed).then_some(needed);
            all.shapes.push(shape);
            all.layers.push(layer);
        }
        all
    }

    /// Sets the key of the image at `level`.
    pub fn set_key(&mut self, level: usize) {
        let key = Key::from_bytes(KEY);
        self.chain.image_mut(level).unwrap().set_key(&key);
        self.slow.image_mut(level).unwrap().set_key(&key);
        if let Layer::Qcow(oracle) = &mut self.layers[level] {
            oracle.key = Some(KEY);
        }
    }

    /// Returns the numbers of requests of both chains.
    pub fn costs(&self) -> [Costs; 2] {
        [0, 1].map(|side| self.logs.each_ref().map(|logs: &[Log; 2]| logs[side].requests()))
    }

    /// Asserts that each level has made at most `most` requests since `before`, and after a failed one those that try again.
    pub fn cost(&self, before: [Costs; 2], most: impl Fn(usize) -> u64) {
        for (side, (after, before)) in self.costs().iter().zip(before).enumerate() {
            for level in 0..self.layers.len() {
                let cost = after[level] - before[level];
                let failed = u64::from(self.logs[level][side].has_failed());
                let most = most(level) + failed * bounds::AFTER_FAILURE;
                assert!(cost <= most, "{cost} reads of level {level}, not {most}");
            }
        }
    }

    /// Asserts that a read of the chain has cost what its documentation allows.
    pub fn cost_of_read(&self, before: [Costs; 2], offset: u64, len: u64) {
        self.cost(before, |level| bounds::read(&self.shapes[..=level], offset, len));
    }

    /// Asserts that a call for an extent of the chain has cost what its documentation allows.
    pub fn cost_of_extent(&self, before: [Costs; 2], offset: u64, max_len: u64) {
        self.cost(before, |level| bounds::extent(&self.shapes[level], offset, max_len));
    }
}

fn shape(layer: &Layer<'_>) -> Shape {
    match layer {
        Layer::Qcow(oracle) => Shape {
            size: oracle.size,
            bits: Some(oracle.bits()),
        },
        Layer::Raw(bytes) => Shape {
            size: bytes.len() as u64,
            bits: None,
        },
    }
}
