//! Chains of images that are whole, and then damaged a little: the synchronous reader, the asynchronous one and the
//! plain reader of the tests agree.
#![no_main]

#[path = "../../tests/common/builder.rs"]
#[allow(dead_code)]
mod builder;
#[path = "../../tests/common/class.rs"]
mod class;
#[path = "../../tests/common/futures.rs"]
#[allow(dead_code)]
mod futures;
#[path = "../../tests/common/oracle.rs"]
#[allow(dead_code)]
mod oracle;

use arbitrary::Arbitrary;
use builder::ImageBuilder;
use class::class;
use futures::{finish, later};
use libfuzzer_sys::fuzz_target;
use oracle::{Layer, Oracle, Rules};
use qcow1::aio::{self, AsyncBlockRead};
use qcow1::{BlockRead, BlockSize, Blocks, Chain, Key, OpenOptions};

const KEY: [u8; 16] = [7; 16];

#[derive(Arbitrary, Debug)]
struct Input {
    levels: [Level; 3],
    depth: u8,
    raw_base: bool,
    salvage: bool,
    key: bool,
    reads: [(u32, u16); 6],
}

#[derive(Arbitrary, Debug)]
struct Level {
    size: u32,
    cluster_bits: u8,
    l2_bits: u8,
    l1_skew: u8,
    table_skew: u8,
    encrypted: bool,
    xen: Option<u8>,
    clusters: Vec<(u16, Kind)>,
    damage: Vec<(u32, u8)>,
    cut: Option<u16>,
    block_shift: u8,
    memory: u16,
}

#[derive(Arbitrary, Debug)]
enum Kind {
    Data(u8),
    Compressed(u8),
    Word(u64),
    Same(u16),
}

/// The file of a level.
fn file(level: &Level, has_backing: bool) -> Vec<u8> {
    let size = u64::from(level.size % 3_000_000) + 2;
    let (cluster_bits, l2_bits) = (9 + level.cluster_bits % 8, 6 + level.l2_bits % 8);
    let mut image = ImageBuilder::new(size)
        .bits(cluster_bits, l2_bits)
        .tables_off_by((level.table_skew % 16).into());
    if let Some(flags) = level.xen {
        image = image.xen((flags & 3).into());
    } else {
        image = image.l1_at(64 + u64::from(level.l1_skew));
    }
    if has_backing {
        image = image.backing_at(if level.xen.is_some() { 64 } else { 48 }, b"base");
    }
    if level.encrypted {
        image = image.encrypted(KEY);
    }
    let cluster = image.cluster_size();
    for (index, kind) in level.clusters.iter().take(24) {
        let guest = u64::from(*index) * cluster % size / cluster * cluster;
        match *kind {
            Kind::Data(fill) => image.data(guest, &vec![fill; cluster as usize]),
            Kind::Compressed(fill) => image.compressed(guest, &vec![fill; cluster as usize]),
            Kind::Word(word) => image.l2_word(guest, word),
            Kind::Same(sector) => image.l2_word(guest, u64::from(sector) * 512),
        };
    }
    let mut file = image.build();
    for (at, bits) in level.damage.iter().take(4) {
        let at = *at as usize % file.len();
        file[at] ^= bits;
    }
    if let Some(cut) = level.cut {
        file.truncate(file.len().saturating_sub(cut.into()));
    }
    file
}

/// A device whose reads are done at the second asking.
struct Slow<'a>(Blocks<&'a [u8]>);

impl AsyncBlockRead for Slow<'_> {
    type Error = std::convert::Infallible;

    fn block_size(&self) -> BlockSize {
        self.0.block_size()
    }

    async fn size(&mut self) -> Result<u64, Self::Error> {
        self.0.size()
    }

    async fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Self::Error> {
        later().await;
        self.0.read_blocks(lba, buf)
    }
}

fuzz_target!(|input: Input| {
    let depth = usize::from(input.depth % 3) + 1;
    let levels = &input.levels[..depth];
    let files: Vec<_> = (1..)
        .zip(levels)
        .map(|(level, shape)| file(shape, level < depth))
        .collect();
    // Enough for every compressed cluster, and more or less of it for the tables.
    let lend = |level: &Level| vec![0xdd; 300_000 + usize::from(level.memory) * 4];
    let mut memories: Vec<_> = levels.iter().chain(levels).map(lend).collect();
    let (ours, theirs) = memories.split_at_mut(depth);
    let mut chain: Chain<_, 3> = Chain::new();
    let mut slow: aio::Chain<_, 3> = aio::Chain::new();
    let mut layers = Vec::new();
    let options = OpenOptions::new().salvage(input.salvage);
    let rules = Rules {
        salvage: input.salvage,
        no_xen: false,
    };
    let lent = ours.iter_mut().zip(theirs);
    for (level, ((file, shape), (ours, theirs))) in files.iter().zip(levels).zip(lent).enumerate() {
        let device = Blocks::new(&file[..], BlockSize::new(1 << (shape.block_shift % 17)).unwrap());
        let is_raw = input.raw_base && level > 0 && level + 1 == depth;
        let (mut image, mut slow_image, layer) = if is_raw {
            let image = qcow1::Image::open_raw(device, ours);
            let slow_image = finish(aio::Image::open_raw(Slow(device), theirs));
            (image.ok().unwrap(), slow_image.ok().unwrap(), Layer::Raw(&file[..]))
        } else {
            let image = options.open(device, ours);
            let slow_image = finish(aio::Image::open_with(options, Slow(device), theirs));
            let oracle = Oracle::open(file, rules);
            match (image, slow_image, oracle) {
                (Ok(image), Ok(slow_image), Ok(mut oracle)) => {
                    oracle.key = input.key.then_some(KEY);
                    (image, slow_image, Layer::Qcow(oracle))
                }
                (Err(image), Err(slow_image), Err(refusal)) => {
                    assert_eq!(class(image.error()), Some(refusal));
                    assert_eq!(class(slow_image.error()), Some(refusal));
                    break;
                }
                (image, _, oracle) => panic!("{:?}, and the oracle {:?}", image.err(), oracle.err()),
            }
        };
        if input.key {
            image.set_key(&Key::from_bytes(KEY));
            slow_image.set_key(&Key::from_bytes(KEY));
        }
        assert_eq!(chain.push(image).is_ok(), slow.push(slow_image).is_ok());
        if chain.images().len() == layers.len() {
            break;
        }
        layers.push(layer);
    }
    if layers.is_empty() {
        return;
    }
    for (start, len) in input.reads {
        let start = u64::from(start) % chain.size();
        let len = u64::from(len).min(chain.size() - start) as usize;
        let mut bytes = vec![0xcc; len];
        let mut slow_bytes = vec![0xcc; len];
        let read = chain.read_at(start, &mut bytes);
        let slow_read = finish(slow.read_at(start, &mut slow_bytes));
        assert_eq!(read, slow_read);
        match (read, oracle::read(&layers, start, len)) {
            (Ok(()), Ok(right)) => assert!(bytes == right && slow_bytes == right),
            (Err(error), Err(refusal)) => assert_eq!(class(&error), Some(refusal), "{error}"),
            (read, right) => panic!("{read:?}, and the oracle {:?}", right.err()),
        }
    }
});
