//! What makes an image: each property is one of a few classes, most of which are next to a limit.

use super::canvas::Canvas;

/// The number of classes of each property.
pub const WORDS: u64 = 20;
pub const L1_WORDS: u64 = 10;
pub const PLACES: u64 = 3;
pub const SIZES: u64 = 14;
pub const ENDS: u64 = 20;
pub const L1_PLACES: u64 = 8;

/// Where the name of the backing file is.
const NAME: u64 = 0x1f00;

/// An image, by classes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sketch {
    /// The words of the L1 table for the first two spans.
    pub l1: [u64; 2],
    pub l1_place: u64,
    /// The words of two clusters that follow each other.
    pub words: [u64; 2],
    /// Where these clusters are.
    pub place: u64,
    /// The end of the disk.
    pub size: u64,
    /// The end of the file.
    pub end: u64,
    pub is_encrypted: bool,
    pub names_backing: bool,
}

/// Where the two clusters and the end of the disk are, and the file's length.
#[derive(Clone, Copy, Debug)]
pub struct Drawn {
    pub first: u64,
    pub size: u64,
    pub end: u64,
}

impl Sketch {
    /// Draws the image on a canvas.
    pub fn draw(&self, canvas: &mut Canvas) -> Drawn {
        let (l1_at, xen) = self.l1_at();
        let end = self.end(canvas, l1_at);
        let entries = 1_u64 << canvas.l2_bits;
        // The tables and entries of both words, and the guest's number of the first cluster.
        let (places, first) = match self.place {
            0 => ([(0, 0), (0, 1)], 0),
            1 => ([(0, entries - 1), (1, 0)], entries - 1),
            _ => ([(0, entries / 2 - 1), (0, entries / 2)], entries / 2 - 1),
        };
        let first = first << canvas.cluster_bits;
        let size = self.size(canvas, first);
        for (&class, (table, entry)) in self.words.iter().zip(places) {
            let word = word(class, canvas, end);
            canvas.draw(canvas.tables[table] + 8 * entry, word.to_be_bytes());
        }
        for (&class, at) in self.l1.iter().zip([l1_at, l1_at + 8]) {
            let word = l1_word(class, canvas, end);
            canvas.draw(
                at,
                if xen == Some(0) {
                    word.to_le_bytes()
                } else {
                    word.to_be_bytes()
                },
            );
        }
        let name: u64 = if self.names_backing { NAME } else { 0 };
        canvas.draw(NAME, *b"below it");
        let bits = u64::from(canvas.cluster_bits) << 56 | u64::from(canvas.l2_bits) << 48;
        let header = [
            u64::from(u32::from_be_bytes(*b"QFI\xfb")) << 32 | 1,
            name,
            8 << 32,
            size,
            bits | u64::from(self.is_encrypted),
            l1_at,
        ];
        for (at, word) in (0..).step_by(8).zip(header) {
            canvas.draw(at, word.to_be_bytes());
        }
        if let Some(flags) = xen {
            canvas.draw(48, *b"XEN\xfb\0\0\0\0");
            canvas.draw(56, flags.to_be_bytes());
        }
        Drawn { first, size, end }
    }

    /// Returns where the L1 table is, and the flags of Xen's extension.
    fn l1_at(&self) -> (u64, Option<u64>) {
        match self.l1_place {
            0 => (64, None),
            1 => (65, None),
            // Its second word is in another piece; its first one is in two.
            2 => (0x1000 - 8, None),
            3 => (0x1000 - 4, None),
            4 => (0x1000, Some(0)),
            5 => (0x1000, Some(2)),
            // Written as little-endian, but not read so: it does not start at a page.
            6 => (0x1200, Some(0)),
            _ => (0x1800, None),
        }
    }

    fn end(&self, canvas: &Canvas, l1_at: u64) -> u64 {
        let l1_end = l1_at + 16;
        let [a, b] = canvas.tables.map(|table| table + canvas.table());
        let (data, cluster) = (canvas.data, canvas.cluster());
        let [s0, s1] = canvas.streams;
        match self.end {
            0 => canvas.len(),
            1 => l1_end - 1,
            2 => l1_end,
            3 => a - 1,
            4 => a,
            5 => a + 1,
            6 => b,
            7 => data + 1,
            8 => data + 511,
            9 => data + 512,
            10 => data + 513,
            11 => data + cluster - 1,
            12 => data + cluster,
            13 => data + cluster + 1,
            14 => data + 2 * cluster - 1,
            15 => data + 2 * cluster,
            16 => s0 + 1,
            17 => s1 - 1,
            18 => s1,
            _ => s1 + canvas.stream_lens[1],
        }
    }

    fn size(&self, canvas: &Canvas, first: u64) -> u64 {
        let cluster = canvas.cluster();
        first
            + match self.size {
                0 => 2 * cluster,
                1 => 1.max(2_u64.saturating_sub(first)),
                2 => 2,
                3 => 511,
                4 => 512,
                5 => 513,
                6 => cluster - 1,
                7 => cluster,
                8 => cluster + 1,
                9 => cluster + 511,
                10 => cluster + 513,
                11 => 2 * cluster - 1,
                12 => 2 * cluster + 1,
                _ => 2 * canvas.span() - first,
            }
    }
}

fn word(class: u64, canvas: &Canvas, end: u64) -> u64 {
    let (data, cluster) = (canvas.data, canvas.cluster());
    let [s0, s1] = canvas.streams;
    let [len0, len1] = canvas.stream_lens;
    let shift = 63 - canvas.cluster_bits;
    let stream = |host: u64, len: u64| 1 << 63 | len << shift | host & ((1 << shift) - 1);
    match class {
        0 => 0,
        1 => data,
        // What follows it in the file, and what follows it by a sector.
        2 => data + cluster,
        3 => data + 512,
        4 => data + 256,
        5 => data + 1,
        6 => stream(s0, len0),
        7 => stream(s1, len1),
        8 => stream(s0, len0 - 1),
        9 => stream(s1, cluster - 1),
        10 => stream(s0, 0),
        11 => stream(data, 100),
        // At the end of the file.
        12 => end.saturating_sub(cluster) & !511,
        13 => (end.saturating_sub(cluster) & !511) + 512,
        14 => end.next_multiple_of(512),
        15 => stream(end - 40, 40),
        16 => stream(end - 40, 41),
        // Far past it.
        17 => 1 << 62,
        18 => (1 << 63) - 512,
        _ => stream(u64::MAX, 1),
    }
}

fn l1_word(class: u64, canvas: &Canvas, end: u64) -> u64 {
    let [a, b] = canvas.tables;
    match class {
        0 => a,
        1 => b,
        2 => 0,
        3 => a | 1 << 63,
        4 => 1 << 63,
        5 => 1 << 62,
        6 => (1 << 63) - 1,
        // At the end of the file, and a byte further.
        7 => end.saturating_sub(canvas.table()),
        8 => end.saturating_sub(canvas.table()) + 1,
        // In the header.
        _ => 16,
    }
}
