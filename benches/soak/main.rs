//! Reads, checks and faults over a chain of sparse compressed images of 64 GiB, for a given time.
//!
//! All bytes that are read are compared with what the guest wrote. A line for each interval says
//! how much memory and how many handles the process has, and what a read costs in time and in
//! device reads: none of them may grow.

mod disk;

use std::cell::{Cell, RefCell};
use std::error::Error as _;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use qcow1::{BlockRead, BlockSize, Blocks, Chain, CheckOptions, Error, Image, Key};

use disk::{KEY, LEVELS, Random, SIZE};

/// Reads, checks and faults over a chain of sparse compressed images of 64 GiB.
#[derive(Parser)]
struct Arguments {
    /// How long it runs, in minutes.
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
    /// How many lines the table has.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(4..))]
    lines: u32,
    /// The seed of the random numbers.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Writes the table and the comparison into RESULTS.md.
    #[arg(long)]
    publish: bool,
}

/// The memory lent to each image, in bytes.
const MEMORY: usize = 256 << 10;
/// The longest read, in bytes.
const LONGEST: u64 = 64 << 10;
/// One device read in this many fails.
const FAULTS: u64 = 300;
/// One operation in this many opens all images again.
const REOPEN: u64 = 20_000;
/// One operation in this many checks an image, alternately without and with faults; of eight
/// checks, two inflate all streams.
const CHECK: u64 = 40_000;

type Images<'m, 'a> = Chain<Image<Device<'a>, &'m mut [u8]>, LEVELS>;
type Failure = Error<io::Error>;

/// The kind of the injected errors, which no file returns.
const INJECTED: io::ErrorKind = io::ErrorKind::AddrInUse;

/// A file, some of whose reads fail.
struct Device<'a> {
    file: Blocks<File>,
    faults: &'a Faults,
}

impl BlockRead for Device<'_> {
    type Error = io::Error;

    fn block_size(&self) -> BlockSize {
        self.file.block_size()
    }

    fn size(&mut self) -> io::Result<u64> {
        self.file.size()
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> io::Result<()> {
        if self.faults.next() {
            // A failed transfer may leave any bytes in the buffer.
            buf.fill(0xee);
            return Err(INJECTED.into());
        }
        self.file.read_blocks(lba, buf)
    }
}

/// The counts of the devices, and whether they fail.
struct Faults {
    reads: Cell<u64>,
    is_on: Cell<bool>,
    random: RefCell<Random>,
}

impl Faults {
    fn next(&self) -> bool {
        self.reads.set(self.reads.get() + 1);
        self.is_on.get() && self.random.borrow_mut().below(FAULTS) == 0
    }
}

/// What happened in an interval.
#[derive(Default)]
struct Counts {
    reads: u64,
    bytes: u64,
    device_reads: u64,
    faults: u64,
    extents: u64,
    checks: u64,
    opened: u64,
    /// Nanoseconds of reads that succeeded.
    times: Vec<u32>,
}

/// A line of the table.
struct Line {
    counts: Counts,
    resident: u64,
    handles: usize,
    median: u32,
    slowest: u32,
    device_reads_in_hundredths: u64,
}

/// Opens the chain; each of its images has a part of `memory`.
fn open<'m, 'a>(paths: &[PathBuf], memory: &'m mut [u8], faults: &'a Faults, key: &Key) -> Images<'m, 'a> {
    let mut chain = Chain::new();
    faults.is_on.set(false);
    for (path, memory) in paths.iter().zip(memory.chunks_exact_mut(MEMORY)) {
        let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file = Blocks::new(file, BlockSize::B512);
        let device = Device { file, faults };
        let mut image = Image::open(device, memory).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        image.set_key(key);
        chain
            .push(image)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    faults.is_on.set(true);
    chain
}

/// Ignores an injected error. Panics with any other.
fn fault(error: &Failure, what: &str) {
    let is_asked_for = matches!(error, Error::Io(error) if error.kind() == INJECTED);
    assert!(is_asked_for, "{what}: {error}: {:?}", error.source());
}

/// The work and its buffers, which are allocated once.
struct Soak<'a> {
    faults: &'a Faults,
    random: Random,
    read: Vec<u8>,
    expected: Vec<u8>,
    bitmap: Vec<u8>,
    checks: u64,
}

impl Soak<'_> {
    fn read(&mut self, chain: &mut Images<'_, '_>, counts: &mut Counts) {
        let offset = disk::place(&mut self.random);
        let longest = LONGEST >> self.random.below(8);
        let len = (1 + self.random.below(longest)).min(SIZE - offset);
        let read = &mut self.read[..len as usize];
        let device_reads = self.faults.reads.get();
        let start = Instant::now();
        let result = chain.read_at(offset, read);
        let time = start.elapsed();
        if let Err(error) = result {
            counts.faults += 1;
            return fault(&error, "a read");
        }
        counts.device_reads += self.faults.reads.get() - device_reads;
        counts.reads += 1;
        counts.bytes += len;
        if counts.times.len() < counts.times.capacity() {
            counts.times.push(u32::try_from(time.as_nanos()).unwrap_or(u32::MAX));
        }
        let expected = &mut self.expected[..len as usize];
        disk::expected(offset, expected);
        assert!(read == expected, "wrong bytes in the {len} bytes at {offset}");
    }

    fn extent(&mut self, chain: &mut Images<'_, '_>, counts: &mut Counts) {
        let offset = disk::place(&mut self.random);
        match chain.extent_at(offset, LONGEST) {
            Ok((level, extent)) => {
                assert!(
                    level < LEVELS && extent.start == offset && extent.len != 0,
                    "{extent:?}"
                );
                counts.extents += 1;
            }
            Err(error) => {
                counts.faults += 1;
                fault(&error, "an extent");
            }
        }
    }

    /// Checks one image, with faults or without.
    fn check(&mut self, chain: &mut Images<'_, '_>, counts: &mut Counts) {
        let (level, is_failing) = (self.checks as usize / 2 % LEVELS, self.checks % 2 == 1);
        let image = &mut chain.image_mut(level).unwrap();
        let bitmap = &mut self.bitmap[..image.check_bitmap_len()];
        let options = CheckOptions::new().bitmap(bitmap).inflate(self.checks % 8 >= 6);
        self.faults.is_on.set(is_failing);
        let mut findings = 0_u64;
        let result = image.check_with(options, |_| findings += 1);
        self.faults.is_on.set(true);
        assert_eq!(findings, 0, "findings in image {level}");
        match result {
            Ok(_) => counts.checks += 1,
            Err(error) => {
                assert!(is_failing, "a check: {error}");
                counts.faults += 1;
                fault(&error, "a check");
            }
        }
        self.checks += 1;
    }
}

/// Returns the memory of this process that is in use, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the status of this process");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let value = line
        .and_then(|line| line.split_whitespace().nth(1))
        .and_then(|value| value.parse().ok());
    value.expect("a line of VmRSS")
}

fn handles() -> usize {
    // Less the one that counts.
    std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count().saturating_sub(1))
}

/// Works until `end`.
fn interval(
    soak: &mut Soak<'_>,
    paths: &[PathBuf],
    memory: &mut [u8],
    key: &Key,
    mut counts: Counts,
    end: Instant,
) -> Line {
    'open: loop {
        let mut chain = open(paths, memory, soak.faults, key);
        counts.opened += 1;
        for operation in 1..=REOPEN {
            if operation % 64 == 0 && Instant::now() >= end {
                break 'open;
            }
            match soak.random.below(100) {
                0..5 => soak.extent(&mut chain, &mut counts),
                _ => soak.read(&mut chain, &mut counts),
            }
            if soak.random.below(CHECK) == 0 {
                soak.check(&mut chain, &mut counts);
            }
        }
    }
    counts.times.sort_unstable();
    let at = |percent: usize| {
        counts
            .times
            .get(counts.times.len() * percent / 100)
            .copied()
            .unwrap_or(0)
    };
    Line {
        resident: resident(),
        handles: handles(),
        median: at(50),
        slowest: at(99),
        device_reads_in_hundredths: counts.device_reads * 100 / counts.reads.max(1),
        counts,
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir().expect("a folder for the images");
    let paths = disk::write(folder.path()).expect("images");
    for path in &paths {
        let len = path.metadata().map_or(0, |file| file.len());
        eprintln!("{}: {} MiB", path.display(), len >> 20);
    }

    let faults = Faults {
        reads: Cell::new(0),
        is_on: Cell::new(false),
        random: RefCell::new(disk::random(!arguments.seed)),
    };
    let key = Key::from_passphrase(&KEY);
    let mut memory = vec![0xff; MEMORY * LEVELS];
    let bitmap = open(&paths, &mut memory, &faults, &key)
        .images()
        .iter()
        .map(Image::check_bitmap_len)
        .max();
    let mut soak = Soak {
        faults: &faults,
        random: disk::random(arguments.seed),
        read: vec![0xff; LONGEST as usize],
        expected: vec![0xff; LONGEST as usize],
        bitmap: vec![0xff; bitmap.unwrap_or(0)],
        checks: 0,
    };

    let mut table = String::new();
    let mut print = |line: &str| {
        println!("{line}");
        table.push_str(line);
        table.push('\n');
    };
    print(
        "| minute | reads | MiB | faults | extents | checks | opened | memory, KiB | handles | median, µs | 99 %, µs | device reads a read |\n\
         |---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    );
    let start = Instant::now();
    let step = Duration::from_secs_f64(arguments.minutes * 60.0 / f64::from(arguments.lines));
    let mut lines: Vec<Line> = Vec::with_capacity(arguments.lines as usize);
    // Mapped now, so that it does not look like growth.
    let mut times = vec![u32::MAX; 4 << 20];
    for number in 1..=arguments.lines {
        times.clear();
        let counts = Counts {
            times,
            ..Counts::default()
        };
        let mut line = interval(&mut soak, &paths, &mut memory, &key, counts, start + step * number);
        times = std::mem::take(&mut line.counts.times);
        let Counts {
            reads,
            bytes,
            faults,
            extents,
            checks,
            opened,
            ..
        } = line.counts;
        print(&format!(
            "| {:.1} | {reads} | {} | {faults} | {extents} | {checks} | {opened} | {} | {} | {:.1} | {:.1} | {}.{:02} |",
            start.elapsed().as_secs_f64() / 60.0,
            bytes >> 20,
            line.resident,
            line.handles,
            f64::from(line.median) / 1000.0,
            f64::from(line.slowest) / 1000.0,
            line.device_reads_in_hundredths / 100,
            line.device_reads_in_hundredths % 100,
        ));
        lines.push(line);
    }
    let (comparison, is_steady) = compare(&lines);
    print!("\n{comparison}");
    if arguments.publish {
        publish(&format!("\n{table}\n```text\n{comparison}```\n"));
    }
    if is_steady {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// A figure of a line of the table.
type Measure = fn(&Line) -> u64;

/// Returns a comparison of the last quarter of the lines with the first, and whether nothing grew.
fn compare(lines: &[Line]) -> (String, bool) {
    let quarter = lines.len() / 4;
    let of = |lines: &[Line], value: fn(&Line) -> u64| lines.iter().map(value).sum::<u64>() / lines.len().max(1) as u64;
    let (first, last) = (&lines[..quarter], &lines[lines.len() - quarter..]);
    let mut is_steady = true;
    // The maximum of a value at the end, in hundredths of its value at the start.
    let measures: [(&str, Measure, u64); 4] = [
        ("memory, KiB", |line| line.resident, 102),
        ("handles", |line| line.handles as u64, 100),
        ("median time of a read, ns", |line| line.median.into(), 125),
        (
            "hundredths of device reads for each read",
            |line| line.device_reads_in_hundredths,
            105,
        ),
    ];
    let mut comparison = String::new();
    for (name, value, most) in measures {
        let (before, after) = (of(first, value), of(last, value));
        let is_kept = after * 100 <= before * most;
        is_steady &= is_kept;
        let growth = if is_kept { "" } else { ": it grows" };
        comparison.push_str(&format!("{name}: {before} at first, {after} at last{growth}\n"));
    }
    (comparison, is_steady)
}

/// Replaces the results in RESULTS.md, which follow a comment.
fn publish(results: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/RESULTS.md");
    let text = std::fs::read_to_string(path).expect("RESULTS.md beside this file");
    let begin = "<!-- results -->\n";
    let (before, _) = text.split_once(begin).expect("a comment before the results");
    std::fs::write(path, [before, begin, results].concat()).expect("RESULTS.md can be written");
}
