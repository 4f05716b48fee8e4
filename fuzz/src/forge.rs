//! Builds chains of small images from the fuzzer's bytes. The images are valid at first, and then damaged slightly.

use std::sync::LazyLock;

use arbitrary::{Result, Unstructured};
use qcow1::BlockSize;

use super::KEY;
use super::builder::ImageBuilder;
use super::levels::Level;

/// Mostly the smallest values: larger ones take longer, and reach little more code.
const CLUSTER_BITS: [u8; 16] = [9, 9, 9, 9, 9, 9, 9, 10, 10, 10, 11, 11, 12, 12, 13, 16];
const L2_BITS: [u8; 16] = [6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 7, 7, 7, 8, 8, 9];
const BLOCK_SHIFTS: [u8; 16] = [0, 0, 0, 9, 9, 9, 9, 9, 9, 1, 4, 8, 10, 12, 12, 13];

/// The size in bytes of the largest cluster that is stored whole or deflated.
const WHOLE: u64 = 4096;
/// The length in bytes of a file after which no more clusters are added.
const LONGEST: u64 = 32_768;

/// Builds a chain of up to three files, top first.
pub fn chain(u: &mut Unstructured<'_>) -> Result<Vec<Level>> {
    let shape: u8 = u.arbitrary()?;
    let depth = usize::from(shape % 3) + 1;
    let raw_base = depth > 1 && shape & 0x80 != 0;
    (1..=depth)
        .map(|level| {
            if level == depth && raw_base {
                raw(u)
            } else {
                image(u, level < depth || shape & 0x40 != 0)
            }
        })
        .collect()
}

fn raw(u: &mut Unstructured<'_>) -> Result<Level> {
    let len = u.arbitrary::<u16>()? % 12_000;
    let block_size = block_size(u)?;
    Ok(Level {
        file: contents(0x55, len.into()),
        block_size,
        lend: block_size.bytes() as usize,
        is_raw: true,
    })
}

fn block_size(u: &mut Unstructured<'_>) -> Result<BlockSize> {
    let shift = BLOCK_SHIFTS[usize::from(u.arbitrary::<u8>()? % 16)];
    Ok(BlockSize::new(1 << shift).unwrap())
}

/// Returns `len` bytes that differ in every sector.
fn contents(seed: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    for (i, sector) in bytes.chunks_mut(512).enumerate() {
        sector.fill(seed ^ i as u8);
        sector[0] = seed;
    }
    bytes
}

fn image(u: &mut Unstructured<'_>, has_backing: bool) -> Result<Level> {
    let [bits, flags, clusters, odd] = u.arbitrary::<[u8; 4]>()?;
    let (cluster_bits, l2_bits) = (CLUSTER_BITS[usize::from(bits & 15)], L2_BITS[usize::from(bits >> 4)]);
    let (cluster, span) = (1_u64 << cluster_bits, 1_u64 << (cluster_bits + l2_bits));
    let most = if cluster > WHOLE { 3 } else { 24 };
    let spans = u64::from(clusters >> 5).saturating_sub(5);
    let size = spans * span + u64::from(clusters & 31) % most * cluster + u64::from(odd) * 2 + 2;

    let skew: u8 = u.arbitrary()?;
    let mut image = ImageBuilder::new(size)
        .bits(cluster_bits, l2_bits)
        .tables_off_by((skew & 15).into());
    let is_xen = flags & 0x0e == 0x0e;
    if is_xen {
        image = image.xen((flags >> 4 & 2).into());
    } else {
        image = image.l1_at(64 + u64::from(skew >> 4));
    }
    if has_backing {
        image = image.backing_at(if is_xen { 64 } else { 48 }, b"below");
    }
    if flags & 1 != 0 {
        image = image.encrypted(KEY);
    }
    for _ in 0..u.arbitrary::<u8>()? % 11 {
        let [at, kind, value] = u.arbitrary::<[u8; 3]>()?;
        // One of the first 32 clusters of one of the first 8 spans.
        let guest = u64::from(at >> 5) * span + u64::from(at & 31) * cluster;
        let guest = guest % size / cluster * cluster;
        store(&mut image, u, guest, kind, value)?;
    }
    let mut file = image.build();
    damage(&mut file, u)?;
    let block_size = block_size(u)?;
    let lend = lend(&file, block_size, u.arbitrary()?);
    Ok(Level {
        file,
        block_size,
        lend,
        is_raw: false,
    })
}

fn store(image: &mut ImageBuilder, u: &mut Unstructured<'_>, guest: u64, kind: u8, value: u8) -> Result<()> {
    let cluster = image.cluster_size();
    if image.free(1) > LONGEST {
        image.l2_word(guest, u64::from(value) * 512);
        return Ok(());
    }
    match kind % 8 {
        // The rest of the cluster may be past the end of the file.
        0..=5 if cluster > WHOLE => {
            image.l2_word(guest, 0);
            let host = image.free(512);
            image.raw(host, &contents(value, 1024)).l2_word(guest, host)
        }
        0..=2 => image.data(guest, &contents(value, cluster as usize)),
        3 | 4 => {
            let stream = &STREAMS[cluster.trailing_zeros() as usize - 9][usize::from(value % 4)];
            image.l2_word(guest, 0);
            let host = image.free(1);
            image.stream_at(guest, host, stream, stream.len() as u64)
        }
        // The word states another length than the stream has.
        5 => {
            let stream = &STREAMS[cluster.trailing_zeros() as usize - 9][usize::from(value % 4)];
            image.l2_word(guest, 0);
            let host = image.free(1);
            let len = (stream.len() as u64 + u64::from(value >> 2)).saturating_sub(20);
            image.stream_at(guest, host, stream, len.min(cluster - 1))
        }
        6 => image.l2_word(guest, u64::from(value) * 512),
        _ => image.l2_word(guest, u.arbitrary()?),
    };
    Ok(())
}

fn damage(file: &mut Vec<u8>, u: &mut Unstructured<'_>) -> Result<()> {
    let marks: u8 = u.arbitrary()?;
    for _ in 0..marks & 3 {
        let (at, bits): (u16, u8) = u.arbitrary()?;
        let len = file.len();
        file[usize::from(at) % len] ^= bits;
    }
    if marks & 4 != 0 {
        let cut: u16 = u.arbitrary()?;
        file.truncate(file.len().saturating_sub(cut.into()));
    }
    Ok(())
}

/// Returns the memory to lend: the minimum or what compressed clusters need, and up to 4,064 bytes more.
fn lend(file: &[u8], block_size: BlockSize, value: u8) -> usize {
    let more = usize::from(value & 0x7f) * 32;
    match qcow1::Header::parse(file) {
        Ok(header) if value & 0x80 == 0 => header.memory_for(block_size, u64::MAX).compressed + more,
        _ => 512.max(block_size.bytes() as usize) + more,
    }
}

/// Deflated clusters of each size from 2^9 to [`WHOLE`]: fixed and dynamic codes, runs, and far matches.
static STREAMS: LazyLock<[[Vec<u8>; 4]; 4]> = LazyLock::new(|| {
    std::array::from_fn(|shift| {
        let len = 512 << shift;
        let lines = || {
            (0..)
                .flat_map(|line: u32| format!("line {line:03}\n").into_bytes())
                .take(len)
        };
        let mut far: Vec<u8> = lines().map(|byte| byte.wrapping_mul(167)).take(len / 2).collect();
        far.extend_from_within(..);
        [vec![9; len], contents(3, len), lines().collect(), far].map(|bytes| {
            let stream = miniz_oxide::deflate::compress_to_vec(&bytes, 6);
            assert!(stream.len() < len);
            stream
        })
    })
});
