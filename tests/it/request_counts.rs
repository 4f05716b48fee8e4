//! The number of device requests of long workloads. The counts are exact, so they are tests, not
//! benches.

use qcow1::{BlockSize, Error, Image, Memory, OpenOptions};

use crate::common::qemu_layout::{Order, QemuLayout};
use crate::common::{Broken, ImageBuilder, Log, Random, TestDevice, pattern};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// Returns random offsets of 4 KiB blocks in a disk of 1 GiB.
fn random_blocks(seed: u64) -> impl Iterator<Item = u64> {
    let mut random = Random(seed);
    std::iter::repeat_with(move || random.below(GIB / 4096) * 4096)
}

/// Reads a disk of 1 GiB from start to end, `step` bytes at a time. Returns the number of requests,
/// and of those for data.
fn requests_in_order(order: Order, block_size: BlockSize, memory: usize, step: u64) -> (u64, u64) {
    let mut memory = vec![0; memory];
    let mut device = QemuLayout::new(GIB, order, block_size);
    let mut image = Image::open(&mut device, &mut memory).unwrap();
    let mut buf = vec![0; usize::try_from(step).unwrap()];
    for offset in (0..GIB).step_by(buf.len()) {
        image.read_at(offset, &mut buf).unwrap();
    }
    (device.requests, device.data_requests)
}

/// Returns the number of requests of `count` random reads of 4 KiB, after `warm_up` others.
fn requests_at_random(memory: usize, warm_up: usize, count: usize) -> u64 {
    let mut memory = vec![0; memory];
    let mut device = QemuLayout::new(GIB, Order::Ascending, BlockSize::BYTE);
    let mut image = Image::open(&mut device, &mut memory).unwrap();
    let mut buf = [0; 4096];
    let mut blocks = random_blocks(1);
    for offset in blocks.by_ref().take(warm_up) {
        image.read_at(offset, &mut buf).unwrap();
    }
    let before = requests(&mut image);
    for offset in blocks.take(count) {
        image.read_at(offset, &mut buf).unwrap();
    }
    requests(&mut image) - before
}

fn requests(image: &mut Image<&mut QemuLayout, impl Memory>) -> u64 {
    image.device_mut().requests
}

#[test]
fn a_gigabyte_in_order_reads_each_table_once() {
    let (all, data) = requests_in_order(Order::Ascending, BlockSize::BYTE, 64 << 10, MIB);
    assert!(data <= 1024, "{data} data requests");
    assert!(all <= 1650, "{all} requests");
}

#[test]
fn clusters_that_are_scattered_cost_one_request_each_and_their_tables_no_more_than_in_order() {
    let clusters = GIB / 4096;
    let (all, data) = requests_in_order(Order::Scattered, BlockSize::B512, 64 << 10, MIB);
    assert_eq!(data, clusters);
    assert!(all - data <= 626, "{} requests for tables", all - data);
}

#[test]
fn a_random_read_costs_one_table_request_beside_its_data() {
    let requests = requests_at_random(64 << 10, 0, 10_000);
    assert!(requests <= 21_000, "{requests} requests for 10,000 reads");
}

#[test]
fn two_slots_keep_the_l1_table_while_l2_tables_change() {
    // The bounce buffer, and two slots of a sector with tags of 12 bytes: the minimum memory with more than one slot.
    let mut memory = [0; 512 + 2 * (512 + 12)];
    let mut device = QemuLayout::new(GIB, Order::Ascending, BlockSize::BYTE);
    let mut image = Image::open(&mut device, &mut memory[..]).unwrap();
    let mut buf = [0; 4096];
    image.read_at(0, &mut buf).unwrap();
    let before = requests(&mut image);
    // The first sector has 48 bytes of header and 58 words of the L1 table, so one slot keeps these.
    for span in 1..58 {
        image.read_at(span * 2 * MIB, &mut buf).unwrap();
    }
    assert_eq!(requests(&mut image) - before, 2 * 57);
}

#[test]
fn a_salvaged_table_word_at_the_end_of_the_file_reads_as_a_hole_without_an_empty_request() {
    let mut builder = ImageBuilder::new(MIB);
    builder.table_at(0, 0x1000).data_at(0, 0x2000, &pattern(1, 4096));
    let mut file = builder.build();
    // 64 words of the table are left, so that of cluster 64 would start at the end.
    file.truncate(0x1200);
    let mut memory = [0; 512];
    // It panics at an empty request.
    let device = TestDevice::new(&file, 1);
    let mut image = Image::open_with(OpenOptions::new().salvage(true), device, &mut memory[..]).unwrap();
    let mut buf = [1; 4096];
    image.read_at(64 * 4096, &mut buf).unwrap();
    assert_eq!(buf, [0; 4096]);
}

#[test]
fn a_random_read_costs_only_its_data_once_all_tables_are_cached() {
    let requests = requests_at_random(4 << 20, 40_000, 10_000);
    assert!(requests <= 10_200, "{requests} requests for 10,000 reads");
}

#[test]
fn a_plain_cluster_whose_read_has_failed_needs_no_table_again() {
    let disk = pattern(1, 8192);
    let mut image = ImageBuilder::new(8192);
    image.data(0, &disk);
    let file = image.build();
    let device = TestDevice::new(&file, 512);
    let log = device.log.clone();
    let mut image = Image::open(device, vec![0; 64 << 10]).unwrap();
    let mut cluster = [0; 4096];
    image.read_at(0, &mut cluster).unwrap();

    log.fail_after(0);
    assert_eq!(image.read_at(4096, &mut cluster), Err(Error::Io(Broken)));

    let before = log.requests();
    image.read_at(4096, &mut cluster).unwrap();
    assert_eq!(log.requests() - before, 1);
    assert!(cluster == disk[4096..]);
}

#[test]
fn a_random_read_misses_at_most_one_time_in_four_if_three_quarters_of_the_tables_fit() {
    // Each L2 table has 4 KiB, and describes 2 MiB.
    let tables = 2;
    let mut memory = vec![0; 8 << 10];
    let mut device = QemuLayout::new(GIB, Order::Ascending, BlockSize::B512);
    let mut image = Image::open(&mut device, &mut memory).unwrap();
    let mut random = Random(1);
    for _ in 0..10_000 {
        image.read_at(random.below(tables * 4096) * 512, &mut [0; 512]).unwrap();
    }
    let requests = requests(&mut image);
    assert!(requests <= 12_500, "{requests} requests for 10,000 reads");
}

const CLUSTER: u64 = 4096;
const STREAMS: u64 = 64;

/// Returns an image whose clusters are all compressed, with adjacent streams in sequence.
fn make_packed() -> Vec<u8> {
    let mut builder = ImageBuilder::new(STREAMS * CLUSTER);
    for i in 0..STREAMS {
        builder.compressed(i * CLUSTER, &pattern(i as u8, CLUSTER as usize));
    }
    builder.build()
}

/// Performs `reads`, pairs of offset and length, on the packed disk with all tables cached. Returns
/// the number of requests and of bytes that they read.
fn requests_of_streams(block_size: u32, memory: usize, reads: impl IntoIterator<Item = (u64, u64)>) -> (u64, u64) {
    let file = make_packed();
    let device = TestDevice::new(&file, block_size);
    let log: Log = device.log.clone();
    let mut memory = vec![0; memory];
    let mut image = Image::open(device, &mut memory).unwrap();
    assert!(image.extents().all(|extent| extent.is_ok()));
    let (requests, bytes) = (log.requests(), log.bytes());
    for (offset, len) in reads {
        image.read_at(offset, &mut vec![0; len as usize]).unwrap();
    }
    (log.requests() - requests, log.bytes() - bytes)
}

/// Returns the total length in bytes of the streams of some clusters.
fn count_stored(clusters: impl IntoIterator<Item = u64>) -> u64 {
    let stored = |i| miniz_oxide::deflate::compress_to_vec(&pattern(i as u8, CLUSTER as usize), 6).len() as u64;
    clusters.into_iter().map(stored).sum()
}

#[test]
fn streams_in_order_are_read_as_many_at_a_time_as_the_caller_reads_bytes() {
    let all = count_stored(0..STREAMS);
    let longest = (0..STREAMS).map(|i| count_stored([i])).max().unwrap();
    for block_size in [1, 512] {
        let in_order = (0..STREAMS).map(|i| (i * CLUSTER, CLUSTER));
        let (requests, _) = requests_of_streams(block_size, 128 << 10, in_order);
        // The first read reads one stream. Each later request reads a cluster's length, whose last
        // stream may be cut off.
        let most = 1 + all.div_ceil(CLUSTER - longest);
        assert!(
            most < STREAMS / 8 && requests <= most,
            "{requests} requests, {most} at most"
        );

        let (requests, _) = requests_of_streams(block_size, 1 << 20, [(0, STREAMS * CLUSTER)]);
        assert!(requests <= 2, "{requests} requests for the whole disk");
    }
}

#[test]
fn in_64_kib_streams_in_order_are_read_by_more_than_16_kib_at_a_time() {
    let all = count_stored(0..STREAMS);
    let longest = (0..STREAMS).map(|i| count_stored([i])).max().unwrap();
    for block_size in [1, 512] {
        let (requests, _) = requests_of_streams(block_size, 64 << 10, [(0, STREAMS * CLUSTER)]);
        // The first request reads one stream, and the last stream of each may be cut off.
        let most = 1 + all.div_ceil((16 << 10) - longest);
        assert!(requests <= most, "{requests} requests, {most} at most");
    }
}

#[test]
fn streams_out_of_order_are_read_alone() {
    for (name, clusters) in [
        ("backwards", (0..STREAMS).rev().collect::<Vec<_>>()),
        ("every second one", (0..STREAMS).step_by(2).collect()),
        ("one in the middle", vec![STREAMS / 2]),
    ] {
        let reads = clusters.iter().map(|i| (i * CLUSTER, CLUSTER));
        let taken = requests_of_streams(1, 128 << 10, reads);
        assert_eq!(taken, (clusters.len() as u64, count_stored(clusters)), "{name}");
    }
}

#[test]
fn a_stream_is_read_once_for_all_parts_of_its_cluster() {
    let parts = (0..CLUSTER).step_by(512).map(|within| (7 * CLUSTER + within, 512));
    assert_eq!(requests_of_streams(1, 128 << 10, parts), (1, count_stored([7])));
}

/// Returns the table of device requests by memory lent on the documentation's front page, measured
/// anew.
fn table() -> String {
    let mut table = String::from(
        "//! | memory | sequential, 1 MiB per read: requests per MiB | random, 4 KiB per read: requests per read |\n\
         //! |---:|---:|---:|\n",
    );
    for (name, memory) in [("512 B", 512), ("64 KiB", 64 << 10), ("4 MiB", 4 << 20)] {
        let (in_order, _) = requests_in_order(Order::Ascending, BlockSize::BYTE, memory, MIB);
        let at_random = requests_at_random(memory, 40_000, 10_000);
        // In hundredths, as integers, so that the comparison is exact.
        let (in_order, at_random) = (in_order * 100 / 1024, at_random / 100);
        table += &format!(
            "//! | {name} | {}.{:02} | {}.{:02} |\n",
            in_order / 100,
            in_order % 100,
            at_random / 100,
            at_random % 100
        );
    }
    table
}

#[test]
fn the_front_page_shows_the_requests_that_are_counted() {
    let page = include_str!("../../src/lib.rs");
    let table = table();
    assert!(page.contains(&table), "the table in src/lib.rs should be:\n{table}");
}
