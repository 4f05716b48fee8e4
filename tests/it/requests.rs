//! The number of device requests of single calls.

use crate::common::{ImageBuilder, Log, TestDevice, pattern};
use qcow1::{ExtentKind, Image};

/// Opens `file` with `memory` bytes, and passes the image and the log of its requests to `work`.
fn with_image(file: &[u8], memory: usize, work: impl FnOnce(&mut Image<TestDevice<'_>, &mut [u8]>, &Log)) {
    let mut memory = vec![0; memory];
    let device = TestDevice::new(file, 512);
    let log = device.log.clone();
    work(&mut Image::open(device, &mut memory[..]).unwrap(), &log);
}

#[test]
fn opening_costs_one_request() {
    with_image(&ImageBuilder::new(1 << 40).build(), 512, |_, log| {
        assert_eq!(log.requests(), 1);
    });
}

#[test]
fn a_sector_right_after_opening_costs_three_requests_and_then_one() {
    let mut builder = ImageBuilder::new(64 << 20);
    builder.data(33 << 20, &pattern(3, 8192));
    for memory in [2048, 4096, 65_536] {
        with_image(&builder.build(), memory, |image, log| {
            let opened = log.requests();
            let mut sector = [0; 512];
            image.read_at(33 << 20, &mut sector).unwrap();
            assert!(log.requests() - opened <= 3, "{} requests", log.requests() - opened);
            let cold = log.requests();
            image.read_at((33 << 20) + 4096, &mut sector).unwrap();
            assert_eq!(log.requests() - cold, 1);
        });
    }
}

#[test]
fn a_megabyte_of_adjacent_clusters_costs_one_data_request_straight_to_the_buffer() {
    let mut builder = ImageBuilder::new(64 << 20);
    let bytes = pattern(5, 1 << 20);
    builder.data(8 << 20, &bytes);
    with_image(&builder.build(), 65_536, |image, log| {
        let mut read = vec![0; 1 << 20];
        image.read_at(8 << 20, &mut read[..1]).unwrap();
        let (requests, transferred) = (log.requests(), log.bytes());
        image.read_at(8 << 20, &mut read).unwrap();
        assert!(read == bytes);
        let table = 256 * 8;
        assert!(log.requests() - requests <= 2);
        assert!(log.bytes() - transferred <= (1 << 20) + table + 512);
    });
}

#[test]
fn a_hole_of_a_whole_l1_span_costs_no_table() {
    let image = ImageBuilder::new(64 << 20);
    with_image(&image.build(), 4096, |image, log| {
        let opened = log.requests();
        let mut bytes = vec![0xcc; 64 << 20];
        image.read_at(0, &mut bytes).unwrap();
        assert!(bytes.iter().all(|byte| *byte == 0));
        // Only the L1 table, of 32 words.
        assert_eq!(log.requests() - opened, 1);
    });
}

#[test]
fn the_extents_of_an_empty_terabyte_cost_its_l1_alone() {
    with_image(&ImageBuilder::new(1 << 40).build(), 65_536, |image, log| {
        let mut end = 0;
        for extent in image.extents() {
            let extent = extent.unwrap();
            assert_eq!((extent.start, extent.kind), (end, ExtentKind::Zero));
            end = extent.end();
        }
        assert_eq!(end, 1 << 40);
        let l1_bytes = (1 << 40 >> 21) * 8;
        assert!(log.bytes() <= l1_bytes + 8192, "{} bytes", log.bytes());
    });
}

#[test]
fn a_cluster_read_again_in_parts_is_inflated_once() {
    let mut builder = ImageBuilder::new(1 << 20);
    builder.compressed(0, &pattern(6, 4096));
    with_image(&builder.build(), 65_536, |image, log| {
        let mut bytes = [0; 100];
        image.read_at(10, &mut bytes).unwrap();
        let first = log.requests();
        for offset in [200, 4000 - 4, 10] {
            image.read_at(offset, &mut bytes).unwrap();
        }
        assert_eq!(log.requests(), first);
    });
}

#[test]
fn compressed_clusters_side_by_side_are_read_together() {
    let mut builder = ImageBuilder::new(1 << 20);
    let bytes = pattern(6, 256 << 10);
    for (i, cluster) in bytes.chunks(4096).enumerate() {
        builder.compressed(i as u64 * 4096, cluster);
    }
    with_image(&builder.build(), 1 << 20, |image, log| {
        let opened = log.requests();
        let mut read = vec![0; bytes.len()];
        image.read_at(0, &mut read).unwrap();
        assert!(read == bytes);
        assert!(
            log.requests() - opened < 12,
            "{} requests for 64 clusters",
            log.requests() - opened
        );
    });
}
