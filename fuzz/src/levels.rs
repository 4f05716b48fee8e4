//! Opens a chain of files three times: on synchronous devices, on asynchronous devices, and with the oracle.

use qcow1::{BlockSize, Chain, Error, Header, Image, Key, OpenOptions, aio};

use super::KEY;
use super::bounds;
use super::class::class;
use super::device::{Device, Failed, Log};
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

/// The properties of an image on which the bounds of its calls depend.
pub struct Shape {
    pub size: u64,
    /// log2 of the cluster size in bytes. A raw disk is one cluster.
    pub cluster_bits: u32,
    /// log2 of the number of bytes that an L1 entry covers.
    pub span_bits: u32,
    pub is_raw: bool,
    /// The memory that was lent, in bytes.
    pub lent: usize,
    /// The memory that compressed clusters need, in bytes.
    pub needed: usize,
    file_len: u64,
}

impl Shape {
    /// Returns the maximum number of table words that a check reads: those of the L1, and those of as many tables as
    /// the file has room for, plus one table.
    pub fn words(&self, l1_words: u64) -> u64 {
        let entries = self.span_bits - self.cluster_bits;
        let tables = l1_words.min((self.file_len >> (entries + 3)) + 1);
        l1_words + (tables << entries)
    }
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

pub type Sync<'m> = Image<'m, Device<'m>>;
pub type Slowly<'m> = aio::Image<'m, Slow<Device<'m>>>;

/// A chain, opened three times.
pub struct Opened<'m> {
    pub chain: Chain<Sync<'m>, DEPTH>,
    pub slow: Chain<Slowly<'m>, DEPTH>,
    pub layers: Vec<Layer<'m>>,
    pub shapes: Vec<Shape>,
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
            logs,
        };
        for ((level, memories), logs) in levels.iter().zip(memories).zip(logs) {
            let [ours, theirs] = memories;
            let device = Device::new(&level.file, level.block_size, &logs[0]);
            let slow_device = Slow(Device::new(&level.file, level.block_size, &logs[1]));
            let (image, slow) = if level.is_raw {
                (
                    Image::open_raw(device, ours).map_err(|error| error.into_error()),
                    finish(aio::Image::open_raw(slow_device, theirs)).map_err(|error| error.into_error()),
                )
            } else {
                let options = OpenOptions::new().salvage(salvage);
                (
                    options.open(device, ours).map_err(|error| error.into_error()),
                    finish(aio::Image::open_with(options, slow_device, theirs)).map_err(|error| error.into_error()),
                )
            };
            for log in logs {
                assert!(log.requests() <= bounds::OPEN);
            }
            let rules = Rules { salvage, no_xen: false };
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
            all.shapes.push(shape(&image, level));
            let pushed = all.chain.push(image).is_ok();
            assert_eq!(pushed, all.slow.push(slow).is_ok());
            if !pushed {
                all.shapes.pop();
                break;
            }
            all.layers.push(layer);
        }
        all
    }

    /// Sets the key of the image at `level`.
    pub fn set_key(&mut self, level: usize) {
        let key = Key::from_bytes(KEY);
        self.chain.images_mut()[level].set_key(&key);
        self.slow.images_mut()[level].set_key(&key);
        if let Layer::Qcow(oracle) = &mut self.layers[level] {
            oracle.key = Some(KEY);
        }
    }

    /// Returns whether an error is `MemoryTooSmall`. Asserts that an image was lent less than its compressed clusters
    /// need.
    pub fn is_too_small(&self, error: &Error<Failed>) -> bool {
        let Error::MemoryTooSmall { needed } = *error else {
            return false;
        };
        let lacks = |shape: &Shape| shape.lent < needed && shape.needed == needed;
        assert!(self.shapes.iter().any(lacks), "{needed} bytes are needed");
        true
    }
}

fn shape(image: &Sync<'_>, level: &Level) -> Shape {
    let size = image.size();
    let lent = level.lend;
    let file_len = level.file.len() as u64;
    match image.header() {
        Some(header) => Shape {
            size,
            cluster_bits: header.cluster_bits().get().into(),
            span_bits: (header.cluster_bits().get() + header.l2_bits().get()).into(),
            is_raw: false,
            lent,
            needed: Header::memory_for(header, level.block_size).compressed,
            file_len,
        },
        None => Shape {
            size,
            cluster_bits: 63,
            span_bits: 63,
            is_raw: true,
            lent,
            needed: 0,
            file_len,
        },
    }
}
