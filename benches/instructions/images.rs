//! The images: full disks as QEMU lays them out, and overlays.

use crate::builder::ImageBuilder;
use crate::device::Device;
use crate::{CLUSTER, KIB, MIB};

/// Tables are at multiples of this, after the header and every L1 table here.
const TABLES: u64 = 64 * KIB;

/// The sequence in which the clusters of a disk were written.
#[derive(Clone, Copy)]
pub enum Order {
    /// From first to last: neighbors are adjacent.
    Ascending,
    /// Random: no two neighbors are adjacent in the file.
    Scattered,
}

/// Makes a disk of `size` bytes, all of them data.
pub fn full(size: u64, order: Order) -> Device {
    let clusters = size / CLUSTER;
    image(ImageBuilder::new(size), size, 512, |guest| match order {
        Order::Ascending => Some(guest),
        // An odd factor permutes a power of two.
        Order::Scattered => Some(guest / CLUSTER * 0x9e37_79b1 % clusters * CLUSTER),
    })
}

/// Makes an overlay of `size` bytes that stores 64 KiB of each MiB, starting at `start`.
pub fn overlay(size: u64, start: u64) -> Device {
    let image_of = ImageBuilder::new(size).overlay_on(b"base.qcow");
    image(image_of, size, 4096, |guest| {
        (start..start + 64 * KIB).contains(&(guest % MIB)).then_some(guest)
    })
}

/// Makes an image whose tables have `entries` entries. `place` returns the offset of a guest
/// offset's data, after the tables.
fn image(mut image: ImageBuilder, size: u64, entries: u64, place: impl Fn(u64) -> Option<u64>) -> Device {
    let cluster = image.cluster_size();
    let span = cluster * entries;
    let data = TABLES + size / span * entries * 8;
    for (index, start) in (0..size).step_by(usize::try_from(span).unwrap()).enumerate() {
        let table = TABLES + index as u64 * entries * 8;
        let words = (0..entries).flat_map(|entry| {
            place(start + entry * cluster)
                .map_or(0, |host| data + host)
                .to_be_bytes()
        });
        image.table_at(start, table).raw(table, &words.collect::<Vec<_>>());
    }
    Device::new(image.build(), data + size)
}
