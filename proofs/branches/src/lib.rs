//! Calls the functions of `examples/footprint` for an emulator, which plays the device and the
//! cipher.
//!
//! The functions are in another program, which the emulator loads beside this one: their code is
//! that of `examples/footprint` as it is. This program has the types from its sources.
#![no_std]

use core::arch::global_asm;
use core::slice;

use footprint::{Api, Device, DeviceError, Disk, Disks, Memory, Opened, Outcome, Reader, Rest};
use qcow1::{BlockSize, CipherFailed, Error, OpenOptions, SectorCipher, Unsupported};

// The emulator takes the place of these functions. They are in assembler, so the compiler knows
// nothing of what they do.
global_asm!(
    ".section .text.device_read,\"ax\",%progbits",
    ".globl device_read",
    ".type device_read,%function",
    ".thumb_func",
    "device_read: bx lr",
    ".size device_read, . - device_read",
    ".section .text.cipher_decrypt,\"ax\",%progbits",
    ".globl cipher_decrypt",
    ".type cipher_decrypt,%function",
    ".thumb_func",
    "cipher_decrypt: bx lr",
    ".size cipher_decrypt, . - cipher_decrypt",
    ".text",
);

unsafe extern "C" {
    /// Fills `len` bytes with the blocks of the device at `level` that start at `lba`. Returns 0,
    /// or another number if the device failed.
    fn device_read(lba: u64, bytes: *mut u8, len: usize, level: usize) -> u32;
    /// Returns 0, or another number if the cipher failed.
    fn cipher_decrypt() -> u32;
}

/// Reads from the device at `LEVEL`.
fn read<const LEVEL: usize>(lba: u64, buf: &mut [u8]) -> Result<(), DeviceError> {
    // SAFETY: it fills the buffer.
    match unsafe { device_read(lba, buf.as_mut_ptr(), buf.len(), LEVEL) } {
        0 => Ok(()),
        code => Err(DeviceError(code)),
    }
}

/// Leaves the sectors as they are.
struct Cipher;

impl SectorCipher for Cipher {
    fn decrypt(&self, _: u64, _: &mut [u8]) -> Result<(), CipherFailed> {
        // SAFETY: it changes nothing.
        match unsafe { cipher_decrypt() } {
            0 => Ok(()),
            _ => Err(CipherFailed),
        }
    }
}

static CIPHER: Cipher = Cipher;

/// How a device is opened.
#[repr(C)]
struct Request {
    size: u64,
    block_size: u32,
    memory: *mut u8,
    memory_len: usize,
    level: usize,
    how: u32,
}

const WITH_READER: u32 = 0;
const RAW: u32 = 1;
const SALVAGE: u32 = 2;
const OR_RAW: u32 = 4;

/// The tables of the other program, and what was opened with them.
struct State {
    reader: &'static Reader,
    api: &'static Api,
    rest: &'static Rest,
    disk: Option<Disk>,
    chain: Option<Disks>,
}

static mut STATE: Option<State> = None;

/// Returns the state.
fn state() -> Option<&'static mut State> {
    // SAFETY: the program has one thread, and each exported function calls this once.
    unsafe { &mut *(&raw mut STATE) }.as_mut()
}

/// Begins with the tables of the other program.
#[unsafe(no_mangle)]
extern "C" fn branches_begin(reader: &'static Reader, api: &'static Api, rest: &'static Rest) {
    let state = State {
        reader,
        api,
        rest,
        disk: None,
        chain: None,
    };
    // SAFETY: the program has one thread.
    unsafe { STATE = Some(state) };
}

/// Returns the number of an outcome. `branches.py` has their names.
fn number<T>(outcome: Outcome<T>) -> u32 {
    match outcome {
        Ok(_) => 0,
        Err(Error::Io(_)) => 1,
        Err(Error::Empty) => 2,
        Err(Error::NotQcow) => 3,
        Err(Error::Unsupported(Unsupported::Compression)) => 4,
        Err(Error::Unsupported(_)) => 5,
        Err(Error::Corrupt(_)) => 6,
        Err(Error::OutOfRange) => 7,
        Err(Error::MemoryTooSmall { .. }) => 8,
        Err(Error::BackingRequired { .. }) => 9,
        Err(Error::KeyRequired { .. }) => 10,
        Err(Error::CipherFailed { .. }) => 11,
        Err(_) => 12,
    }
}

fn open(state: &State, request: &Request) -> Opened {
    let device = Device {
        block_size: BlockSize::new(request.block_size).unwrap_or(BlockSize::BYTE),
        len: request.size,
        read: match request.level {
            0 => read::<0>,
            1 => read::<1>,
            _ => read::<2>,
        },
    };
    // SAFETY: the emulator lends this memory to one image.
    let memory: Memory = unsafe { slice::from_raw_parts_mut(request.memory, request.memory_len) };
    match request.how {
        WITH_READER => (state.reader.open)(device, memory),
        RAW => (state.api.open_raw)(device, memory),
        how => {
            let options = OpenOptions::new().salvage(how & SALVAGE != 0).or_raw(how & OR_RAW != 0);
            (state.api.open_with)(options, device, memory)
        }
    }
}

/// Opens a device as the disk that [`branches_read`] reads. Returns the number of the outcome.
#[unsafe(no_mangle)]
extern "C" fn branches_open(request: &Request) -> u32 {
    let Some(state) = state() else {
        return u32::MAX;
    };
    let (disk, outcome) = match open(state, request) {
        Ok(disk) => (Some(disk), Ok(())),
        Err(error) => (None, Err(error.into_error())),
    };
    state.disk = disk;
    number(outcome)
}

/// Returns the size of the disk.
#[unsafe(no_mangle)]
extern "C" fn branches_size() -> u64 {
    let disk = state().and_then(|state| state.disk.as_ref());
    disk.map_or(0, Disk::size)
}

/// Reads from the disk.
///
/// # Safety
/// The buffer has as many bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn branches_read(offset: u64, bytes: *mut u8, len: usize) -> u32 {
    // SAFETY: the caller has these bytes.
    let buffer = unsafe { slice::from_raw_parts_mut(bytes, len) };
    match state() {
        Some(State {
            reader,
            disk: Some(disk),
            ..
        }) => number((reader.read_at)(disk, offset, buffer)),
        _ => u32::MAX,
    }
}

/// Gives the disk a cipher.
#[unsafe(no_mangle)]
extern "C" fn branches_set_cipher() {
    if let Some(State {
        rest, disk: Some(disk), ..
    }) = state()
    {
        (rest.set_cipher)(disk, &CIPHER);
    }
}

/// Pushes the disk onto the chain that [`branches_read_chain`] reads. A disk at level 0 begins a
/// new chain. Returns 0 if the chain has taken it.
#[unsafe(no_mangle)]
extern "C" fn branches_push(level: usize) -> u32 {
    let Some(state) = state() else {
        return u32::MAX;
    };
    if level == 0 {
        state.chain = Some((state.api.chain)());
    }
    match (state.disk.take(), &mut state.chain) {
        (Some(disk), Some(chain)) => (state.api.push)(chain, disk).is_err().into(),
        _ => u32::MAX,
    }
}

/// Reads from the chain.
///
/// # Safety
/// The buffer has as many bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn branches_read_chain(offset: u64, bytes: *mut u8, len: usize) -> u32 {
    // SAFETY: the caller has these bytes.
    let buffer = unsafe { slice::from_raw_parts_mut(bytes, len) };
    match state() {
        Some(State {
            api,
            chain: Some(chain),
            ..
        }) => number((api.chain_read_at)(chain, offset, buffer)),
        _ => u32::MAX,
    }
}
