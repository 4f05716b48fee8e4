//! Every image of a small world, read and compared with the oracle.
//!
//! The world is the sum of products: each [`Member`] combines all classes of some properties, and
//! keeps the others as they are.

mod canvas;
mod disk;
mod exercise;
mod sketch;

use std::collections::HashMap;

use qcow1::BlockSize;

use self::canvas::Canvas;
use self::disk::Log;
use self::exercise::{How, Lend, Opened};
use self::sketch::{Drawn, ENDS, L1_PLACES, L1_WORDS, PLACES, SIZES, Sketch, WORDS};
use super::Count;

/// A prime that divides no number of classes, so that each part has every class of each property.
pub const PARTS: u64 = 13;

pub const INPUTS: u64 = {
    let (mut sum, mut at) = (0, 0);
    while at < MEMBERS.len() {
        sum += product(MEMBERS[at].classes);
        at += 1;
    }
    sum
};

/// A product of classes, and the function that runs each image.
struct Member {
    /// The number of classes of each property.
    classes: &'static [u64],
    run: fn(&mut Stage, &mut Digits) -> bool,
}

const MEMBERS: [Member; 8] = [
    Member {
        classes: &[2, 4, 4, 4, 6, 6, 8, 3, 7, 9, 2],
        run: headers,
    },
    Member {
        classes: &[2, 2, WORDS, WORDS, PLACES, ENDS, 5, 2, 3, 2],
        run: words,
    },
    Member {
        classes: &[2, 2, L1_WORDS, L1_WORDS, L1_PLACES, PLACES, ENDS, 3, 2, 3, 2],
        run: tables,
    },
    Member {
        classes: &[2, 2, WORDS, PLACES, SIZES, ENDS, 2, 3, 4, 4],
        run: cuts,
    },
    Member {
        classes: &[2, WORDS, WORDS, 5, 6, 2, 3, 2],
        run: lengths,
    },
    Member {
        classes: &[64, WORDS, PLACES, 4, 8, 2, 4, 4],
        run: geometries,
    },
    Member {
        classes: &[2, 4, 6, 6, 5, 6, 6, 4, 3, 3, 2, 2],
        run: chains,
    },
    Member {
        classes: &[2, WORDS, WORDS, PLACES, 3, 2, 3, 3, 16],
        run: failures,
    },
];

const fn product(classes: &[u64]) -> u64 {
    let (mut product, mut at) = (1, 0);
    while at < classes.len() {
        product *= classes[at];
        at += 1;
    }
    product
}

pub fn run(part: u64) -> Count {
    let mut stage = Stage::default();
    let mut count = Count::default();
    let mut skipped = part;
    for member in MEMBERS {
        let len = product(member.classes);
        let mut index = skipped;
        while index < len {
            let mut digits = Digits {
                left: index,
                classes: member.classes,
            };
            let is_read = (member.run)(&mut stage, &mut digits);
            assert!(
                digits.classes.is_empty(),
                "a member that does not use all of its properties"
            );
            count.inputs += 1;
            count.read += u64::from(is_read);
            index += PARTS;
        }
        // The index continues in the next member, as if all members were one.
        skipped = index - len;
    }
    count
}

/// The number of an image in its member, as its class of each property.
struct Digits {
    left: u64,
    classes: &'static [u64],
}

impl Digits {
    /// Takes the class of the next property, of `classes`.
    fn of(&mut self, classes: u64) -> u64 {
        let (first, rest) = self.classes.split_first().expect("a property");
        assert_eq!(*first, classes);
        self.classes = rest;
        let digit = self.left % classes;
        self.left /= classes;
        digit
    }

    fn pick<T: Copy, const N: usize>(&mut self, choices: [T; N]) -> T {
        choices[self.of(N as u64) as usize]
    }
}

/// What is kept between images.
#[derive(Default)]
struct Stage {
    canvases: HashMap<(u8, u8, u64), Canvas>,
    memory: Vec<u8>,
    memory_below: Vec<u8>,
}

/// The number of bytes that no image here is lent more than.
const MEMORY: usize = 512 << 10;

const SMALL: [(u8, u8); 2] = [(9, 6), (10, 7)];
const SKEWS: [u64; 2] = [0, 3];
const BLOCKS: [u32; 4] = [1, 512, 4096, 2];
const LENDS: [Lend; 4] = [Lend::Minimum, Lend::AlmostCompressed, Lend::Compressed, Lend::Much];

impl Stage {
    /// Returns the canvas of a geometry, and memory to lend.
    fn canvas(&mut self, cluster_bits: u8, l2_bits: u8, skew: u64) -> (&mut Canvas, &mut [u8]) {
        self.memory.resize(MEMORY, 0xdd);
        let canvas = self.canvases.entry((cluster_bits, l2_bits, skew));
        let canvas = canvas.or_insert_with(|| Canvas::new(cluster_bits, l2_bits, skew));
        (canvas, &mut self.memory)
    }

    /// Draws an image, opens it and makes calls. Returns whether bytes were read.
    fn image(
        &mut self,
        (cluster_bits, l2_bits): (u8, u8),
        skew: u64,
        sketch: Sketch,
        how: How,
        log: &Log,
        calls: impl FnOnce(Opened<'_, '_>, Drawn) -> bool,
    ) -> bool {
        let (canvas, memory) = self.canvas(cluster_bits, l2_bits, skew);
        let drawn = sketch.draw(canvas);
        let file = &canvas.file()[..drawn.end as usize];
        let _context = Context(&sketch, how);
        let opened = exercise::open(file, how, log, memory);
        let is_read = opened.is_some_and(|opened| calls(opened, drawn));
        canvas.wipe();
        is_read
    }
}

/// Prints the image whose calls panicked.
struct Context<'a>(&'a Sketch, How);

impl Drop for Context<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{:?} {:?}", self.0, self.1);
        }
    }
}

fn block(bytes: u32) -> BlockSize {
    BlockSize::new(bytes).expect("a power of two")
}

/// Reads around both clusters and at the end of the disk, and looks up extents.
fn look(mut opened: Opened<'_, '_>, drawn: Drawn) -> bool {
    let Drawn { first, size, .. } = drawn;
    let cluster = opened.cluster_size();
    let inside = |start: u64, end: u64| (start.min(size), end.min(size).saturating_sub(start.min(size)));
    let mut is_read = false;
    for (start, len) in [
        inside(first, first + 2 * cluster),
        inside(first + cluster - 1, first + cluster + 1),
        inside(first + 7, first + 500),
        inside(size.saturating_sub(513), size),
        inside(first + cluster, first + cluster + 512),
        (size - 1, 2),
    ] {
        is_read |= opened.read(start, len);
    }
    opened.extent(first, cluster, 2 * cluster);
    opened.extent(first + cluster - 1, 1, u64::MAX);
    opened.extent(first + 511, 2, cluster);
    opened.extents();
    is_read
}

/// Fields of the header at their limits, and disks of any size.
fn headers(stage: &mut Stage, digits: &mut Digits) -> bool {
    let magic = u64::from(u32::from_be_bytes(*b"QFI\xfb")) << 32;
    let first = digits.pick([magic | 1, magic | 2]);
    let (cluster_bits, l2_bits) = (digits.pick([9, 16, 8, 17]), digits.pick([6, 13, 5, 14]));
    let crypt_method = digits.pick([0, 1, 2, 1 << 16]);
    let span = 1 << (cluster_bits + l2_bits);
    let name_len = digits.pick([0, 1, 1023, 1024, 1 << 31, u64::from(u32::MAX)]);
    let size = digits.pick([1, 2, span, span + 1, u64::MAX - span, u64::MAX - span + 1]);
    let (l1, name, place) = (digits.of(8), digits.of(3), digits.of(7));
    let end = digits.pick([0x2a00, 0, 7, 8, 47, 48, 63, 64, 0x1000]);
    let how = How {
        salvage: digits.pick([false, true]),
        has_key: true,
        block_size: BlockSize::B512,
        lend: Lend::Minimum,
    };
    // Where a part starts that ends with the file, and a byte further.
    let at_end = |len: u64| (end - len.min(end), end - len.min(end) + 1);
    let (l1_at_end, l1_past_end) = at_end(size.div_ceil(span).saturating_mul(8));
    let (name_at_end, name_past_end) = at_end(name_len);
    let l1_at = [64, 0, l1_at_end, l1_past_end, u64::MAX - 7, u64::MAX - 63, 1 << 63, end][l1 as usize];
    let name_at = [0, name_at_end, name_past_end][name as usize];
    // The eighth word of the last L1 table is at 2^64, and the ninth would be in the header.
    let read_at = [0, 1, span, 8 * span, 9 * span, size / 2, size.saturating_sub(600)][place as usize];

    let (canvas, memory) = stage.canvas(9, 6, 0);
    let bits = cluster_bits << 56 | l2_bits << 48 | crypt_method;
    for (at, field) in (0..)
        .step_by(8)
        .zip([first, name_at, name_len << 32, size, bits, l1_at])
    {
        canvas.draw(at, field.to_be_bytes());
    }
    for (at, table) in (64..).step_by(8).zip(canvas.tables) {
        canvas.draw(at, table.to_be_bytes());
    }
    let (file, log) = (&canvas.file()[..end as usize], Log::default());
    let opened = exercise::open(file, how, &log, memory);
    let is_read = opened.is_some_and(|mut opened| {
        opened.name();
        let start = read_at.min(size);
        opened.extent(start, 1, 700);
        opened.read(start, (size - start).min(600))
    });
    canvas.wipe();
    is_read
}

/// Returns a way to open an image without a key.
fn without_key(digits: &mut Digits) -> How {
    How {
        salvage: digits.pick([false, true]),
        block_size: block(digits.pick([1, 512, 4096])),
        lend: digits.pick([Lend::Minimum, Lend::Much]),
        has_key: false,
    }
}

/// Two words beside each other, in one table or in two.
fn words(stage: &mut Stage, digits: &mut Digits) -> bool {
    let (geometry, skew) = (digits.pick(SMALL), digits.pick(SKEWS));
    let sketch = Sketch {
        words: [digits.of(WORDS), digits.of(WORDS)],
        l1: [0, 1],
        place: digits.of(PLACES),
        end: digits.of(ENDS),
        size: digits.pick([0, 5, 9, 11, 13]),
        ..Sketch::default()
    };
    let how = without_key(digits);
    stage.image(geometry, skew, sketch, how, &Log::default(), look)
}

/// Two L1 words beside each other, anywhere in the file.
fn tables(stage: &mut Stage, digits: &mut Digits) -> bool {
    let (geometry, skew) = (digits.pick(SMALL), digits.pick(SKEWS));
    let sketch = Sketch {
        l1: [digits.of(L1_WORDS), digits.of(L1_WORDS)],
        l1_place: digits.of(L1_PLACES),
        place: digits.of(PLACES),
        end: digits.of(ENDS),
        size: digits.pick([0, 10, 13]),
        words: [1, 7],
        ..Sketch::default()
    };
    let how = without_key(digits);
    stage.image(geometry, skew, sketch, how, &Log::default(), |mut opened, drawn| {
        opened.name();
        look(opened, drawn)
    })
}

/// The ends of the file, of the disk and of a cluster, plain and encrypted.
fn cuts(stage: &mut Stage, digits: &mut Digits) -> bool {
    let (geometry, skew) = (digits.pick(SMALL), digits.pick(SKEWS));
    let mut sketch = Sketch {
        words: [digits.of(WORDS), 1],
        l1: [0, 1],
        place: digits.of(PLACES),
        size: digits.of(SIZES),
        end: digits.of(ENDS),
        names_backing: true,
        ..Sketch::default()
    };
    let salvage = digits.pick([false, true]);
    let (is_encrypted, has_key) = digits.pick([(false, false), (true, false), (true, true)]);
    sketch.is_encrypted = is_encrypted;
    let how = How {
        salvage,
        has_key,
        block_size: block(digits.pick(BLOCKS)),
        lend: digits.pick(LENDS),
    };
    stage.image(geometry, skew, sketch, how, &Log::default(), |mut opened, drawn| {
        opened.name();
        look(opened, drawn)
    })
}

/// Reads and extents between any two of the places where something ends.
fn lengths(stage: &mut Stage, digits: &mut Digits) -> bool {
    let geometry = digits.pick([(9, 6), (10, 6)]);
    let mut sketch = Sketch {
        words: [digits.of(WORDS), digits.of(WORDS)],
        l1: [0, 1],
        place: 1,
        size: digits.pick([0, 5, 9, 12, 13]),
        end: digits.pick([0, 6, 10, 13, 15, 18]),
        ..Sketch::default()
    };
    sketch.is_encrypted = digits.pick([false, true]);
    let how = How {
        salvage: true,
        has_key: true,
        block_size: block(digits.pick([1, 512, 1024])),
        lend: digits.pick([Lend::Minimum, Lend::Much]),
    };
    stage.image(geometry, 0, sketch, how, &Log::default(), |mut opened, drawn| {
        let Drawn { first, size, .. } = drawn;
        let cluster = opened.cluster_size();
        let ends = [
            0,
            1,
            511,
            512,
            513,
            cluster - 1,
            cluster,
            cluster + 1,
            cluster + 512,
            2 * cluster,
        ];
        let mut places: Vec<u64> = ends.into_iter().map(|end| (first + end).min(size)).collect();
        places.extend([first - 1, size]);
        places.sort_unstable();
        places.dedup();
        let mut is_read = false;
        for (at, &start) in places.iter().enumerate() {
            for &end in &places[at..] {
                is_read |= opened.read(start, end - start);
                opened.extent(start, end - start, 2 * cluster);
            }
        }
        is_read
    })
}

/// Every geometry.
fn geometries(stage: &mut Stage, digits: &mut Digits) -> bool {
    let geometry = digits.of(64) as u8;
    let geometry = (9 + geometry / 8, 6 + geometry % 8);
    let sketch = Sketch {
        words: [digits.of(WORDS), 6],
        l1: [0, 1],
        place: digits.of(PLACES),
        size: digits.pick([0, 8, 11, 13]),
        end: digits.pick([0, 4, 5, 11, 12, 13, 18, 19]),
        ..Sketch::default()
    };
    let how = How {
        salvage: digits.pick([false, true]),
        block_size: block(digits.pick(BLOCKS)),
        lend: digits.pick(LENDS),
        has_key: false,
    };
    stage.image(geometry, 3, sketch, how, &Log::default(), |mut opened, drawn| {
        let Drawn { first, size, .. } = drawn;
        let cluster = opened.cluster_size();
        let mut is_read = false;
        for start in [first, first + cluster - 256, size.saturating_sub(700)] {
            let start = start.min(size);
            is_read |= opened.read(start, (size - start).min(700));
            opened.extent(start, cluster, 2 * cluster);
        }
        is_read
    })
}

/// An image above another one, with other clusters and another end.
fn chains(stage: &mut Stage, digits: &mut Digits) -> bool {
    let classes = [0, 1, 2, 6, 7, 13];
    let geometry = digits.pick([(9, 6), (10, 6)]);
    // The last is a raw disk.
    let below_geometry = digits.pick([Some((9, 7)), Some((9, 6)), Some((10, 6)), None]);
    let place = 1;
    let mut top = Sketch {
        words: [digits.pick(classes), digits.pick(classes)],
        l1: [0, digits.pick([0, 1, 2, 3, 5])],
        place,
        size: digits.pick([0, 3, 7, 9, 12, 13]),
        names_backing: true,
        ..Sketch::default()
    };
    let below_word = digits.pick(classes);
    let below = Sketch {
        words: [below_word, 1],
        l1: [0, digits.pick([0, 1, 2, 5])],
        place,
        size: digits.pick([5, 9, 13]),
        ..Sketch::default()
    };
    let (block_size, below_block_size) = digits.pick([(1, 512), (512, 1), (512, 4096)]);
    top.is_encrypted = digits.pick([false, true]);
    let how = How {
        salvage: digits.pick([false, true]),
        has_key: true,
        block_size: block(block_size),
        lend: Lend::Much,
    };
    // Another canvas than that above, which is borrowed.
    let (cluster_bits, l2_bits) = below_geometry.unwrap_or((9, 6));
    let key = (cluster_bits, l2_bits, 8);
    let canvas = stage.canvases.remove(&key);
    let mut canvas = canvas.unwrap_or_else(|| Canvas::new(key.0, key.1, key.2));
    let mut memory = std::mem::take(&mut stage.memory_below);
    memory.resize(MEMORY, 0xdd);
    let drawn_below = below.draw(&mut canvas);
    let (log, log_below) = (Log::default(), Log::default());
    let is_read = {
        let how_below = How {
            block_size: block(below_block_size),
            ..how
        };
        let file = &canvas.file()[..drawn_below.end as usize];
        let opened_below = match below_geometry {
            Some(_) => exercise::open(file, how_below, &log_below, &mut memory).expect("an image"),
            None => {
                let raw = &file[..drawn_below.size.min(drawn_below.end) as usize];
                exercise::open_raw(raw, how_below, &log_below, &mut memory)
            }
        };
        stage.image(geometry, 0, top, how, &log, |opened, drawn| {
            let cluster = opened.cluster_size();
            let Drawn { first, size, .. } = drawn;
            let mut reads = Vec::new();
            for start in [
                first,
                first + cluster - 1,
                opened_below.shape.size.saturating_sub(600),
                size.saturating_sub(600),
            ] {
                let start = start.min(size);
                for len in [1, 513, 3 * cluster] {
                    reads.push((start, len.min(size - start)));
                }
            }
            exercise::chain([opened, opened_below], &reads)
        })
    };
    canvas.wipe();
    stage.canvases.insert(key, canvas);
    stage.memory_below = memory;
    is_read
}

/// A device that fails once, or that has a part that it never reads.
fn failures(stage: &mut Stage, digits: &mut Digits) -> bool {
    let geometry = digits.pick([(9, 6), (10, 7)]);
    let sketch = Sketch {
        words: [digits.of(WORDS), digits.of(WORDS)],
        l1: [0, 1],
        place: digits.of(PLACES),
        end: digits.pick([0, 15, 18]),
        size: 9,
        ..Sketch::default()
    };
    let how = How {
        salvage: digits.pick([false, true]),
        block_size: block(digits.pick([1, 512, 1024])),
        lend: digits.pick([Lend::Minimum, Lend::Compressed, Lend::Much]),
        has_key: false,
    };
    let failure = digits.of(16);
    let bad = 0x2000 + (failure.saturating_sub(8)) * 512;
    let log = Log {
        fails_at: (failure < 8).then_some(1 + failure / 2),
        misleads: failure % 2 == 1,
        bad: if failure < 8 { 0..0 } else { bad..bad + 512 },
        ..Log::default()
    };
    stage.image(geometry, 3, sketch, how, &log, |mut opened, drawn| {
        let first = drawn.first;
        let cluster = opened.cluster_size();
        let mut is_read = false;
        for _ in 0..2 {
            is_read |= opened.read(first + cluster - 300, 600.min(drawn.size - (first + cluster - 300)));
            opened.extent(first, cluster, 2 * cluster);
            is_read |= opened.read(first, cluster);
            is_read |= opened.read(first + cluster, 511);
        }
        is_read
    })
}
