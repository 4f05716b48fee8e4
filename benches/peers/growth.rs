//! Measures how the cost grows with the size of the disk, and with less memory lent.

use std::error::Error;
use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use qcow1::Image;

use crate::random::Random;
use crate::work::{Aligned, BLOCK, Counted, MIB};

type Failure = Box<dyn Error>;

const GIB: u64 = 1 << 30;

/// Disks of 1, 16 and 256 GiB and 8 TiB.
const SIZES: [u64; 4] = [GIB, 16 * GIB, 256 * GIB, 8192 * GIB];

/// The number of evenly spread extents of each disk.
const EXTENTS: u64 = 4096;
const EXTENT: u64 = 64 << 10;

const MEMORY: [usize; 8] = [512, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20];

/// The number of random reads that are timed. The same number of reads comes before them.
const READS: usize = 20_000;

/// The number of runs. Each figure is their median.
const ROUNDS: usize = 5;

/// A time, and the number of device requests.
struct Cost {
    time: Duration,
    requests: u64,
}

impl Cost {
    fn json(&self) -> String {
        format!(
            "{{\"seconds\": {:.9}, \"requests\": {}}}",
            self.time.as_secs_f64(),
            self.requests
        )
    }
}

fn median(mut run: impl FnMut() -> Result<Cost, Failure>) -> Result<Cost, Failure> {
    let mut costs = (0..ROUNDS).map(|_| run()).collect::<Result<Vec<_>, _>>()?;
    costs.sort_by_key(|cost| cost.time);
    Ok(costs.swap_remove(ROUNDS / 2))
}

pub(crate) fn growth(dir: &Path, file: &Path) -> Result<(), Failure> {
    let mut sizes = Vec::new();
    for size in SIZES {
        let path = dir.join(format!("growth-{}.qcow", size / GIB));
        make_sparse(&path, size)?;
        sizes.push(with_size(&path, size)?);
    }
    let mut memory = Vec::new();
    for bytes in MEMORY {
        memory.push(with_memory(file, bytes)?);
    }
    println!(
        "{{\"sizes\": [{}],\n\"memory\": [{}]}}",
        sizes.join(",\n"),
        memory.join(",\n")
    );
    Ok(())
}

/// Writes an image of `size` bytes as QEMU would: clusters of 4 KiB, tables where they are first needed.
///
/// Its data is holes of the file, which cost as much to read as data.
fn make_sparse(path: &Path, size: u64) -> Result<(), Failure> {
    let file = File::create(path)?;
    let mut header = [0; 48];
    header[..4].copy_from_slice(b"QFI\xfb");
    header[4..8].copy_from_slice(&1_u32.to_be_bytes());
    header[24..32].copy_from_slice(&size.to_be_bytes());
    (header[32], header[33]) = (12, 9);
    header[40..48].copy_from_slice(&48_u64.to_be_bytes());
    file.write_all_at(&header, 0)?;

    let cluster = BLOCK as u64;
    let span = cluster << 9;
    let mut end = (48 + size / span * 8).next_multiple_of(cluster);
    // The L1 index of the last table, and its offset.
    let mut table = (u64::MAX, 0);
    for start in (0..EXTENTS).map(|i| size / EXTENTS * i) {
        let index = start / span;
        if index != table.0 {
            table = (index, end);
            file.write_all_at(&end.to_be_bytes(), 48 + index * 8)?;
            end += cluster;
        }
        let words: Vec<u8> = (0..EXTENT / cluster)
            .flat_map(|i| (end + i * cluster).to_be_bytes())
            .collect();
        file.write_all_at(&words, table.1 + start % span / cluster * 8)?;
        end += EXTENT;
    }
    file.set_len(end)?;
    Ok(())
}

type Counter<'m> = Image<Counted<File>, &'m mut [u8]>;

fn open<'m>(path: &Path, memory: &'m mut [u8]) -> Result<Counter<'m>, Failure> {
    let device = Counted::new(File::open(path)?);
    Image::open(device, memory).map_err(|error| error.to_string().into())
}

/// Measures `work` on an open image.
fn cost(image: &mut Counter<'_>, work: impl FnOnce(&mut Counter<'_>) -> Result<(), Failure>) -> Result<Cost, Failure> {
    image.device_mut().requests = 0;
    let start = Instant::now();
    work(image)?;
    Ok(Cost {
        time: start.elapsed(),
        requests: image.device_mut().requests,
    })
}

fn read_all(image: &mut Counter<'_>, offsets: &[u64], buf: &mut [u8]) -> Result<(), Failure> {
    for offset in offsets {
        image.read_at(*offset, buf).map_err(|error| error.to_string())?;
        black_box(&*buf);
    }
    Ok(())
}

fn with_size(path: &Path, size: u64) -> Result<String, Failure> {
    // Filled with ones, so that the system maps it.
    let mut memory = vec![1; 64 << 10];
    let mut buf = Aligned::new(BLOCK);
    let mut random = Random(1);
    let offsets: Vec<u64> = (0..2 * READS)
        .map(|_| {
            let extent = size / EXTENTS * random.below(EXTENTS);
            extent + random.below(EXTENT / BLOCK as u64) * BLOCK as u64
        })
        .collect();
    let (warm_up, timed) = offsets.split_at(READS);

    let opening = median(|| {
        let start = Instant::now();
        let mut image = open(path, &mut memory)?;
        Ok(Cost {
            time: start.elapsed(),
            requests: image.device_mut().requests,
        })
    })?;
    let first = median(|| {
        let mut image = open(path, &mut memory)?;
        cost(&mut image, |image| read_all(image, &[size / 2], &mut buf.get()[..512]))
    })?;
    let random = median(|| {
        let mut image = open(path, &mut memory)?;
        read_all(&mut image, warm_up, buf.get())?;
        cost(&mut image, |image| read_all(image, timed, buf.get()))
    })?;
    let extents = median(|| {
        let mut image = open(path, &mut memory)?;
        cost(&mut image, |image| {
            for extent in image.extents() {
                black_box(extent.map_err(|error| error.to_string())?);
            }
            Ok(())
        })
    })?;
    Ok(format!(
        "{{\"size\": {size}, \"reads\": {READS}, \"open\": {}, \"first\": {}, \"random\": {}, \"extents\": {}}}",
        opening.json(),
        first.json(),
        random.json(),
        extents.json()
    ))
}

fn with_memory(path: &Path, bytes: usize) -> Result<String, Failure> {
    let mut memory = vec![1; bytes];
    let size = open(path, &mut memory)?.size();
    let mut buf = Aligned::new(MIB);
    let in_order: Vec<u64> = (0..size / MIB as u64).map(|i| i * MIB as u64).collect();
    let mut random = Random(1);
    let at_random: Vec<u64> = (0..2 * READS)
        .map(|_| random.below(size / BLOCK as u64) * BLOCK as u64)
        .collect();
    let (warm_up, timed) = at_random.split_at(READS);

    let in_order = median(|| {
        let mut image = open(path, &mut memory)?;
        cost(&mut image, |image| read_all(image, &in_order, buf.get()))
    })?;
    let random = median(|| {
        let mut image = open(path, &mut memory)?;
        read_all(&mut image, warm_up, &mut buf.get()[..BLOCK])?;
        cost(&mut image, |image| read_all(image, timed, &mut buf.get()[..BLOCK]))
    })?;
    Ok(format!(
        "{{\"memory\": {bytes}, \"bytes\": {size}, \"reads\": {READS}, \"in_order\": {}, \"random\": {}}}",
        in_order.json(),
        random.json()
    ))
}
