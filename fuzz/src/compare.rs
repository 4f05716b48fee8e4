//! Compares results of the crate with those of the oracle.

use std::fmt::Debug;

use qcow1::{Error, Extent, ExtentKind};

use super::class::class;
use super::oracle::{self, Cluster, Layer, Oracle, Refusal, Stored};

/// The maximum number of clusters for which the oracle follows a run. A longer extent must only reach that far.
const FOLLOWED: usize = 200;

/// Compares a read. Must not be called if the device failed.
///
/// `lacks` holds, for each layer, the bytes of memory that its compressed clusters need, if it was lent less.
pub fn read<E: Debug>(
    layers: &[Layer<'_>],
    lacks: &[Option<usize>],
    offset: u64,
    bytes: &[u8],
    read: &Result<(), Error<E>>,
) {
    if let Some((at, needed)) = lack(layers, lacks, offset, bytes.len() as u64)
        && oracle::read(layers, offset, (at - offset) as usize).is_ok()
    {
        let is_right = matches!(read, Err(Error::MemoryTooSmall { needed: told }) if *told == needed);
        assert!(
            is_right,
            "{read:?} at {offset:#x}, of {needed} bytes that {at:#x} needs"
        );
        return;
    }
    match (read, oracle::read(layers, offset, bytes.len())) {
        (Ok(()), Ok(right)) => assert!(bytes == right, "other bytes at {offset:#x}"),
        (Err(error), Err(refusal)) => assert_eq!(class(error), Some(refusal), "{error}"),
        (read, right) => panic!("{read:?} at {offset:#x}, the oracle {:?}", right.err()),
    }
}

/// Returns the first of `len` bytes that is in a compressed cluster for which its layer lacks memory, and the bytes of
/// memory that this layer needs. Returns `None` if the range is not inside the disk.
fn lack(layers: &[Layer<'_>], lacks: &[Option<usize>], offset: u64, len: u64) -> Option<(u64, usize)> {
    let end = offset
        .checked_add(len)
        .filter(|&end| layers.first().is_some_and(|top| end <= size(top)))?;
    if lacks.iter().all(Option::is_none) {
        return None;
    }
    let starts = (offset / 512 + 1..end.div_ceil(512)).map(|sector| sector * 512);
    [offset]
        .into_iter()
        .filter(|&at| at < end)
        .chain(starts)
        .find_map(|at| Some((at, lack_at(layers, lacks, at)?)))
}

fn lack_at(layers: &[Layer<'_>], lacks: &[Option<usize>], at: u64) -> Option<usize> {
    for (layer, lack) in layers.iter().zip(lacks) {
        let Layer::Qcow(image) = layer else {
            return None;
        };
        if at >= image.size {
            return None;
        }
        match image.cluster(at) {
            Ok(Cluster::Compressed(..)) => return *lack,
            Ok(Cluster::Hole) if image.names_backing => {}
            _ => return None,
        }
    }
    None
}

/// Compares an extent of an image. It may end early if a request `failed`.
pub fn extent<E: Debug>(layer: &Layer<'_>, offset: u64, max_len: u64, found: &Result<Extent, Error<E>>, failed: bool) {
    let whole = run(layer, offset, max_len);
    match (found, &whole) {
        (Ok(extent), Ok(run)) => agree(extent, offset, run, failed),
        (Err(error), Err(refusal)) => assert_eq!(class(error), Some(*refusal), "{error}"),
        _ => panic!("{found:?} at {offset:#x}, the oracle {whole:?}"),
    }
}

/// Compares an extent of a chain.
pub fn chain_extent<E: Debug>(
    layers: &[Layer<'_>],
    offset: u64,
    max_len: u64,
    found: &Result<(usize, Extent), Error<E>>,
    failed: bool,
) {
    let right = descend(layers, offset, max_len);
    match (found, &right) {
        (Ok((level, extent)), Ok((right_level, run))) => {
            assert_eq!(level, right_level, "{extent:?}");
            agree(extent, offset, run, failed);
        }
        (Err(error), Err(refusal)) => assert_eq!(class(error), Some(*refusal), "{error}"),
        _ => panic!("{found:?} at {offset:#x}, the oracle {right:?}"),
    }
}

/// A run as the oracle finds it.
#[derive(Debug)]
struct Run {
    stored: Stored,
    end: u64,
    /// Whether the oracle followed the run to its end.
    is_whole: bool,
}

fn agree(extent: &Extent, offset: u64, run: &Run, failed: bool) {
    let stored = match extent.kind {
        ExtentKind::Zero => Stored::Zero,
        ExtentKind::Backing => Stored::Backing,
        ExtentKind::Data { host_offset } => Stored::Data(host_offset),
        ExtentKind::Compressed {
            host_offset,
            stored_len,
        } => Stored::Compressed(host_offset, stored_len.into()),
        _ => panic!("a new kind of extent"),
    };
    let is_as_long = match (run.is_whole, failed) {
        (true, false) => extent.end() == run.end,
        (true, true) => extent.len != 0 && extent.end() <= run.end,
        (false, false) => extent.end() >= run.end,
        (false, true) => extent.len != 0,
    };
    assert!(
        extent.start == offset && stored == run.stored && is_as_long,
        "{extent:?}, the oracle {run:?}"
    );
}

fn size(layer: &Layer<'_>) -> u64 {
    match layer {
        Layer::Qcow(image) => image.size,
        Layer::Raw(bytes) => bytes.len() as u64,
    }
}

fn run(layer: &Layer<'_>, offset: u64, max_len: u64) -> Result<Run, Refusal> {
    let end = size(layer).min(offset.saturating_add(max_len));
    if offset >= end {
        return Err(Refusal::OutOfRange);
    }
    let Layer::Qcow(image) = layer else {
        return Ok(Run {
            stored: Stored::Data(offset),
            end,
            is_whole: true,
        });
    };
    let (stored, run_end) = image.run(offset, end, FOLLOWED)?;
    Ok(Run {
        stored,
        end: run_end,
        is_whole: run_end - offset < FOLLOWED as u64 * image.cluster_size(),
    })
}

fn descend(layers: &[Layer<'_>], offset: u64, max_len: u64) -> Result<(usize, Run), Refusal> {
    let mut found: Option<(usize, Run)> = None;
    for (level, layer) in layers.iter().enumerate() {
        match &mut found {
            None => found = Some((level, run(layer, offset, max_len)?)),
            Some((reached, above)) if above.stored == Stored::Backing => {
                *reached = level;
                if offset >= size(layer) {
                    above.stored = Stored::Zero;
                    break;
                }
                let below = run(layer, offset, above.end - offset)?;
                // A run that reaches the end of the one above is as whole as that; a shorter one has its own end.
                if below.end < above.end {
                    above.is_whole = below.is_whole;
                }
                (above.stored, above.end) = (below.stored, below.end);
            }
            Some(_) => break,
        }
    }
    found.ok_or(Refusal::OutOfRange)
}

/// Returns the numbers of guest bytes that are stored as data, compressed, and as holes, and whether any cluster is
/// corrupt. Returns `None` for an image of more than 1,000 clusters.
pub fn totals(image: &Oracle<'_>) -> Option<([u64; 3], bool)> {
    if image.size.div_ceil(image.cluster_size()) > 1000 {
        return None;
    }
    let mut totals = [0; 3];
    let mut at = 0;
    let mut is_corrupt = false;
    while at < image.size {
        let cluster_end = (at - at % image.cluster_size() + image.cluster_size()).min(image.size);
        match image.run(at, cluster_end, 1) {
            Ok((stored, end)) => {
                let kind = match stored {
                    Stored::Data(_) => 0,
                    Stored::Compressed(..) => 1,
                    Stored::Zero | Stored::Backing => 2,
                };
                totals[kind] += end - at;
                at = end;
            }
            Err(_) => {
                is_corrupt = true;
                at = cluster_end;
            }
        }
    }
    Some((totals, is_corrupt))
}

/// Returns an offset in a disk of `size` bytes: near its start, near its end, or anywhere. `size` must not be 0.
pub fn place(value: u16, size: u64) -> u64 {
    let low = u64::from(value & 0x3fff);
    let scaled = ((u128::from(low) * u128::from(size)) >> 14) as u64;
    match value >> 14 {
        0 => low % size,
        1 => size - 1 - low % size,
        // A multiple of a sector.
        2 => scaled & !511,
        _ => scaled,
    }
}
