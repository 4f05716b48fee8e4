//! The guest's disk, as a function of the offset, and the files that hold it.

use std::io;
use std::path::{Path, PathBuf};

#[path = "../../tests/common/builder.rs"]
#[allow(dead_code, reason = "a part of it is used")]
mod builder;
#[path = "../../tests/common/random.rs"]
#[allow(dead_code, reason = "a part of it is used")]
mod random;

use builder::ImageBuilder;
pub use random::Random;

/// The guest's disk in bytes.
pub const SIZE: u64 = 64 << 30;
/// The images of the chain.
pub const LEVELS: usize = 3;
pub const KEY: [u8; 16] = *b"0123456789abcdef";

/// How an image of the chain is laid out, and how many of its clusters exist.
struct Level {
    name: &'static str,
    cluster_bits: u8,
    l2_bits: u8,
    /// One table in this many exists.
    tables: u64,
    /// One cluster in this many of an existing table exists.
    clusters: u64,
    /// One cluster in this many is stored plain, that is, encrypted.
    plain: u64,
    encrypted: bool,
}

/// Top first: clusters of three sizes, tables of three lengths, and a key in the middle.
const CHAIN: [Level; LEVELS] = [
    Level {
        name: "top.qcow",
        cluster_bits: 9,
        l2_bits: 12,
        tables: 32,
        clusters: 64,
        plain: 2,
        encrypted: false,
    },
    Level {
        name: "middle.qcow",
        cluster_bits: 16,
        l2_bits: 13,
        tables: 1,
        clusters: 256,
        plain: 8,
        encrypted: true,
    },
    Level {
        name: "base.qcow",
        cluster_bits: 12,
        l2_bits: 9,
        tables: 4,
        clusters: 32,
        plain: 8,
        encrypted: false,
    },
];

impl Level {
    fn cluster_size(&self) -> u64 {
        1 << self.cluster_bits
    }

    fn has(&self, cluster: u64) -> bool {
        let table = cluster >> self.l2_bits;
        mix(u64::from(self.l2_bits) << 56 | table).is_multiple_of(self.tables)
            && self.key(cluster).is_multiple_of(self.clusters)
    }

    /// A number of its own for each cluster of each image.
    fn key(&self, cluster: u64) -> u64 {
        mix(u64::from(self.cluster_bits) << 56 | 1 << 55 | cluster)
    }

    /// Fills `dst` with the bytes of a cluster that start at `within`. They differ from group to
    /// group and deflate well.
    fn fill(&self, cluster: u64, within: u64, dst: &mut [u8]) {
        let key = (self.key(cluster) | 1).to_le_bytes();
        for (byte, at) in dst.iter_mut().zip(within..) {
            *byte = key[(at & 7) as usize] ^ (at >> 6) as u8;
        }
    }
}

/// The finalizer of MurmurHash3, which scatters well.
fn mix(n: u64) -> u64 {
    let n = (n ^ n >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let n = (n ^ n >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    n ^ n >> 33
}

/// Writes the images into a folder, and returns their paths, top first.
pub fn write(folder: &Path) -> io::Result<[PathBuf; LEVELS]> {
    for (i, level) in CHAIN.iter().enumerate() {
        let mut image = ImageBuilder::new(SIZE).bits(level.cluster_bits, level.l2_bits);
        if let Some(below) = CHAIN.get(i + 1) {
            image = image.backing_at(48, below.name.as_bytes()).l1_at(512);
        }
        if level.encrypted {
            image = image.encrypted(KEY);
        }
        let mut bytes = vec![0; 1 << level.cluster_bits];
        for cluster in (0..SIZE >> level.cluster_bits).filter(|cluster| level.has(*cluster)) {
            level.fill(cluster, 0, &mut bytes);
            let guest = cluster << level.cluster_bits;
            if (level.key(cluster) >> 32).is_multiple_of(level.plain) {
                image.data(guest, &bytes);
            } else {
                image.compressed(guest, &bytes);
            }
        }
        std::fs::write(folder.join(level.name), image.build())?;
    }
    Ok(CHAIN.map(|level| folder.join(level.name)))
}

/// Fills `dst` with the guest's bytes that start at `offset`.
pub fn expected(offset: u64, dst: &mut [u8]) {
    let mut at = offset;
    let mut rest = dst;
    // The smallest clusters are sectors: within one, all bytes come from one image.
    while !rest.is_empty() {
        let len = (512 - at % 512).min(rest.len() as u64);
        let (sector, after) = rest.split_at_mut(len as usize);
        sector.fill(0);
        for level in &CHAIN {
            let cluster = at >> level.cluster_bits;
            if level.has(cluster) {
                level.fill(cluster, at % level.cluster_size(), sector);
                break;
            }
        }
        at += len;
        rest = after;
    }
}

/// Returns an offset of the disk, at random: of three, one is anywhere and two are near the bytes
/// of some image.
pub fn place(random: &mut Random) -> u64 {
    let anywhere = random.below(SIZE);
    let Some(level) = CHAIN.get(random.below(4) as usize) else {
        return anywhere;
    };
    let first = anywhere >> level.cluster_bits;
    // Bound: tables that do not exist are passed over at once, and others have a cluster soon.
    let mut cluster = first;
    let end = SIZE >> level.cluster_bits;
    for _ in 0..4096 {
        if cluster >= end {
            return anywhere;
        }
        if level.has(cluster) {
            let near = (cluster << level.cluster_bits) + random.below(level.cluster_size());
            return near.saturating_sub(random.below(2) * random.below(4096));
        }
        let table = cluster >> level.l2_bits;
        let table_exists = mix(u64::from(level.l2_bits) << 56 | table).is_multiple_of(level.tables);
        cluster = if table_exists {
            cluster + 1
        } else {
            (table + 1) << level.l2_bits
        };
    }
    anywhere
}

/// Returns a generator for a seed, which may be any number.
pub fn random(seed: u64) -> Random {
    Random(mix(seed.wrapping_add(1)) | 1)
}
