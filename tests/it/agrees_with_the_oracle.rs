//! Random images, valid and damaged, read the same through the crate and through the oracle.

use crate::common::{ImageBuilder, Layer, Oracle, Random, Rules, TestDevice, class, oracle};
use qcow1::{Chain, Error, Image, OpenOptions};

/// Returns an image with random geometry and contents. One in three is damaged, one in six is
/// truncated.
fn image(random: &mut Random, backing: bool) -> Vec<u8> {
    let cluster_bits = 9 + random.below(4) as u8;
    let l2_bits = 6 + random.below(3) as u8;
    let size = 2 + random.below(6 << (cluster_bits + l2_bits));
    let mut builder = ImageBuilder::new(size)
        .bits(cluster_bits, l2_bits)
        .tables_off_by(random.below(3) * random.below(512));
    if backing {
        builder = builder.backing_at(48, b"base").l1_at(56);
    }
    if random.below(8) == 0 {
        builder = builder.xen(random.below(4) as u32);
    } else {
        let odd = random.below(2) * random.below(200);
        builder = builder.l1_at(56 + odd);
    }
    let key = random.below(4) == 0;
    if key {
        builder = builder.encrypted(KEY);
    }
    let cluster = builder.cluster_size();
    let clusters = size.div_ceil(cluster);
    for _ in 0..random.below(8) {
        let first = random.below(clusters);
        let count = 1 + random.below((clusters - first).min(20));
        match random.below(4) {
            0 => {
                let bytes = crate::common::pattern(random.next() as u8, cluster as usize);
                builder.compressed(first * cluster, &bytes);
            }
            _ => {
                let bytes = random.bytes((count * cluster) as usize);
                builder.data(first * cluster, &bytes);
            }
        }
    }
    let mut file = builder.build();
    // Half of the flipped bits are in the first 128 bytes, so that the header and the tables are
    // hit too.
    if random.below(3) == 0 {
        for _ in 0..1 + random.below(4) {
            let end = if random.below(2) == 0 {
                128.min(file.len())
            } else {
                file.len()
            };
            let at = random.below(end as u64) as usize;
            file[at] ^= 1 << random.below(8);
        }
    }
    if random.below(6) == 0 {
        file.truncate(random.below(file.len() as u64 + 1) as usize);
    }
    file
}

const KEY: [u8; 16] = *b"sixteen bytes...";

/// Reads one image or a chain at random offsets, and compares with the oracle.
fn compare(seed: u64) {
    let mut random = Random(seed | 1);
    let depth = 1 + random.below(3) as usize;
    let raw_base = random.below(3) == 0;
    let files: Vec<Vec<u8>> = (0..depth)
        .map(|level| match level {
            _ if level > 0 && level + 1 == depth && raw_base => random.bytes(30_000),
            _ => {
                let missing = random.below(8) == 0;
                image(&mut random, level + 1 < depth || missing)
            }
        })
        .collect();
    let rules = Rules {
        salvage: random.below(3) == 0,
    };
    let key = random.below(4) != 0;
    let options = OpenOptions::new().salvage(rules.salvage);
    let block_size = 1_u32 << random.below(14);
    let memory_size = 512.max(block_size as usize) + random.below(60_000) as usize;
    let mut memories: Vec<Vec<u8>> = files.iter().map(|_| vec![0xdd; memory_size]).collect();

    let mut chain: Chain<_, 3> = Chain::new();
    let mut layers = Vec::new();
    for (level, (file, memory)) in files.iter().zip(&mut memories).enumerate() {
        let device = TestDevice::new(file, block_size);
        let raw = level > 0 && level + 1 == depth && raw_base;
        let (mut opened, oracle) = if raw {
            (Image::open_raw(device, memory).unwrap(), Ok(Layer::Raw(file)))
        } else {
            let oracle = Oracle::open(file, rules).map(|mut oracle| {
                oracle.key = key.then_some(KEY);
                Layer::Qcow(oracle)
            });
            match Image::open_with(options, device, memory) {
                Ok(image) => (image, oracle),
                Err(error) => {
                    let error = error.into_error();
                    assert_eq!(class(&error), oracle.err(), "opening, seed {seed}: {error}");
                    return;
                }
            }
        };
        let layer = oracle.unwrap_or_else(|refusal| panic!("opened, not refused as {refusal:?}, seed {seed}"));
        if key {
            opened.set_key(&qcow1::Key::from_bytes(KEY));
        }
        layers.push(layer);
        if chain.push(opened).is_err() {
            // The damage removed the name of the backing file.
            layers.pop();
            break;
        }
    }

    for _ in 0..30 {
        let len = match random.below(4) {
            0 => random.below(40),
            1 => random.below(1500),
            _ => random.below(20_000),
        };
        let offset = random
            .below(chain.size().min(1 << 40) + 10)
            .saturating_sub(random.below(len + 1));
        let mut bytes = vec![0xcc; len as usize];
        let result = chain.read_at(offset, &mut bytes);
        match (result, oracle::read(&layers, offset, len as usize)) {
            (Ok(()), Ok(right)) => assert!(bytes == right, "{len} bytes at {offset}, seed {seed}"),
            (Err(Error::MemoryTooSmall { needed }), _) => assert!(memory_size < needed, "seed {seed}"),
            // If several things are wrong, either reader may report any of them.
            (Err(error), Err(_)) => assert!(class(&error).is_some(), "{error}, seed {seed}"),
            (ours, theirs) => panic!(
                "{len} bytes at {offset}, seed {seed}: {ours:?}, the oracle {:?}",
                theirs.map(drop)
            ),
        }
    }
}

#[test]
fn random_images_and_chains_read_the_same() {
    for seed in 1..4_000 {
        compare(seed * 0x9e37_79b9);
    }
}
