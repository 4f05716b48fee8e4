//! Runs the calls of the proof on a Cortex-M4 with 256 KiB of flash, which holds the images, and 64 KiB of RAM.
//!
//! It prints the sha256 of each guest disk, which the host compares, and the stack that each call used.
#![no_std]
#![no_main]

use core::fmt;

use cortex_m::singleton;
use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hprintln};
use footprint::{API, Device, DeviceError, Disk, Disks};
use qcow1::BlockSize;
use sha2::{Digest, Sha256};

/// The flash after the program, in four partitions. Each image's device is its whole partition, because the length of
/// the image file is not known here.
const PLAIN: (usize, usize) = (0, 32 * 1024);
const COMPRESSED: (usize, usize) = (32 * 1024, 32 * 1024);
const MIDDLE: (usize, usize) = (64 * 1024, 64 * 1024);
const TOP: (usize, usize) = (128 * 1024, 64 * 1024);

fn images() -> &'static [u8] {
    unsafe extern "C" {
        static __images: [u8; 192 * 1024];
    }
    // SAFETY: the linker script puts this symbol at the start of 192 KiB of flash that contain nothing else and are
    // never written.
    unsafe { &__images }
}

/// The driver of NOR flash, which is byte-addressable.
fn flash<const START: usize>(lba: u64, buf: &mut [u8]) -> Result<(), DeviceError> {
    let from = usize::try_from(lba)
        .ok()
        .and_then(|lba| images().get(START..)?.get(lba..)?.get(..buf.len()));
    buf.copy_from_slice(from.ok_or(DeviceError(1))?);
    Ok(())
}

fn device((_, len): (usize, usize), read: fn(u64, &mut [u8]) -> Result<(), DeviceError>) -> Device {
    Device {
        block_size: BlockSize::BYTE,
        len: len as u64,
        read,
    }
}

#[entry]
fn main() -> ! {
    match run() {
        Ok(()) => debug::exit(debug::EXIT_SUCCESS),
        Err(reason) => {
            hprintln!("failed: {}", reason);
            debug::exit(debug::EXIT_FAILURE);
        }
    }
    loop {
        cortex_m::asm::wfi();
    }
}

type Failure = qcow1::Error<DeviceError>;

fn run() -> Result<(), Failure> {
    let memory = singleton!(: [u8; 2 * 1024] = [0; 2 * 1024]).ok_or(Failure::OutOfRange)?;
    let mut disk = open("plain", device(PLAIN, flash::<{ PLAIN.0 }>), memory)?;
    digest("plain", API.size, API.reader.read_at, &mut disk)?;
    let memory = singleton!(: [u8; 20 * 1024] = [0; 20 * 1024]).ok_or(Failure::OutOfRange)?;
    let mut disk = open("compressed", device(COMPRESSED, flash::<{ COMPRESSED.0 }>), memory)?;
    digest("compressed", API.size, API.reader.read_at, &mut disk)?;

    // The minimum memory that opens an image.
    let [top, middle, base] = singleton!(: [[u8; 512]; 3] = [[0; 512]; 3]).ok_or(Failure::OutOfRange)?;
    let mut disks = (API.chain)();
    let mut push = |disk| (API.push)(&mut disks, disk).map_err(|_| Failure::OutOfRange);
    push(open("top", device(TOP, flash::<{ TOP.0 }>), top)?)?;
    push(open("middle", device(MIDDLE, flash::<{ MIDDLE.0 }>), middle)?)?;
    push(open("base", device(PLAIN, flash::<{ PLAIN.0 }>), base)?)?;
    digest::<Disks>("chain of three", API.chain_size, API.chain_read_at, &mut disks)
}

fn open(name: &str, device: Device, memory: &'static mut [u8]) -> Result<Disk, Failure> {
    let (disk, stack) = stack_of(|| (API.reader.open)(device, memory));
    hprintln!("{}: opened with {} bytes of stack", name, stack);
    disk.map_err(|error| error.into_error())
}

fn digest<G>(
    name: &str,
    len: fn(&G) -> u64,
    read_at: fn(&mut G, u64, &mut [u8]) -> Result<(), Failure>,
    disk: &mut G,
) -> Result<(), Failure> {
    let mut hash = Sha256::new();
    let mut deepest = 0;
    let mut offset = 0;
    // An odd size, so that reads start and end at any alignment.
    let mut buf = [0; 3333];
    while offset < len(disk) {
        let left = usize::try_from(len(disk) - offset).unwrap_or(usize::MAX);
        let part = &mut buf[..left.min(3333)];
        let (read, stack) = stack_of(|| read_at(disk, offset, part));
        read?;
        deepest = deepest.max(stack);
        hash.update(&*part);
        offset += part.len() as u64;
    }
    hprintln!("{}: sha256 {}", name, Hex(&hash.finalize()));
    hprintln!("{}: read with {} bytes of stack", name, deepest);
    Ok(())
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Returns the result of a call, and the number of bytes of stack that it used, including the driver's: it paints the
/// stack below before the call, and looks for changes after it.
#[inline(never)]
fn stack_of<T>(call: impl FnOnce() -> T) -> (T, usize) {
    const PAINT: u32 = 0xa5a5_5a5a;
    /// More than any call here uses.
    const WORDS: usize = 6 * 1024;
    // A little below the stack pointer, so that this function's own frame stays whole.
    let top = (cortex_m::register::msp::read() as usize - 64) as *mut u32;
    for word in 1..=WORDS {
        // SAFETY: the stack grows down from the end of 64 KiB of RAM, of which the statics have 25 KiB and the callers
        // less than 8 KiB. The memory below the stack pointer is unused until the next call, and no interrupt is
        // enabled.
        unsafe { top.sub(word).write_volatile(PAINT) };
    }
    let result = call();
    // SAFETY: as above; these words were written there.
    let untouched = |word: &usize| unsafe { top.sub(*word).read_volatile() } == PAINT;
    let painted = (1..=WORDS).rev().take_while(untouched).count();
    (result, (WORDS - painted) * 4 + 64)
}

/// The symbol that the proof leaves undefined. Here it ends this program after a panic of its own code.
#[unsafe(no_mangle)]
extern "C" fn a_panic_path_is_left() -> ! {
    hprintln!("failed: panicked");
    debug::exit(debug::EXIT_FAILURE);
    loop {
        cortex_m::asm::wfi();
    }
}
