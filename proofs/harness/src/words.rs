//! The table cache on a device that the prover plays.

use core::arch::global_asm;

use crate::device::{BlockRead, BlockSize};
use crate::exports::{In, Out};
use crate::offset::{HostOffset, saturating_usize};
use crate::reader::device_shape::DeviceShape;
use crate::reader::stop::Stop;
use crate::table_cache::{Table, TableCache};

// The prover takes the place of this function. It is in assembler, so the compiler knows nothing of
// what it does.
#[cfg(target_arch = "x86_64")]
global_asm!(
    ".section .text.device_read,\"ax\",@progbits",
    ".globl device_read",
    ".type device_read,@function",
    "device_read: ret",
    ".size device_read, . - device_read",
    ".text",
);
// The library of this target has no such functions. The prover takes their place too.
#[cfg(target_arch = "x86_64")]
global_asm!(
    ".section .text.memcpy,\"ax\",@progbits",
    ".globl memcpy",
    ".type memcpy,@function",
    "memcpy: mov rax, rdi",
    "mov rcx, rdx",
    "rep movsb",
    "ret",
    ".size memcpy, . - memcpy",
    ".section .text.memset,\"ax\",@progbits",
    ".globl memset",
    ".type memset,@function",
    "memset: mov r8, rdi",
    "mov eax, esi",
    "mov rcx, rdx",
    "rep stosb",
    "mov rax, r8",
    "ret",
    ".size memset, . - memset",
    ".text",
);
#[cfg(target_arch = "arm")]
global_asm!(
    ".section .text.device_read,\"ax\",%progbits",
    ".globl device_read",
    ".type device_read,%function",
    ".thumb_func",
    "device_read: bx lr",
    ".size device_read, . - device_read",
    ".text",
);

unsafe extern "C" {
    /// Fills `len` bytes with the blocks that start at `lba`. Returns 0, or another number if the
    /// device failed.
    fn device_read(lba: u64, bytes: *mut u8, len: usize) -> u32;
}

pub(super) struct Device {
    pub(super) block_size: BlockSize,
    pub(super) size: u64,
}

#[derive(Debug)]
pub(super) struct Failed;

impl BlockRead for Device {
    type Error = Failed;

    fn block_size(&self) -> BlockSize {
        self.block_size
    }

    fn size(&mut self) -> Result<u64, Failed> {
        Ok(self.size)
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Failed> {
        // SAFETY: it fills the buffer.
        match unsafe { device_read(lba, buf.as_mut_ptr(), buf.len()) } {
            0 => Ok(()),
            _ => Err(Failed),
        }
    }
}

/// Returns the `len` bytes of memory at an address.
///
/// # Safety
/// The prover has these bytes there, and gives them to nothing else.
pub(super) unsafe fn lent<'a>(address: u64, len: u64) -> &'a mut [u8] {
    // SAFETY: the caller's promise.
    unsafe { core::slice::from_raw_parts_mut(saturating_usize(address) as *mut u8, saturating_usize(len)) }
}

/// Looks up two words of L2 tables in a new cache. In: block size in bytes, device size, the places
/// of the words, the address and the length of the memory.
#[unsafe(no_mangle)]
extern "C" fn two_words(input: &In, out: &mut Out) {
    let [block_size, size, first, second, memory, memory_len, ..] = *input;
    let Some(block_size) = u32::try_from(block_size).ok().and_then(BlockSize::new) else {
        return;
    };
    // SAFETY: the prover has these bytes there.
    let memory = unsafe { lent(memory, memory_len) };
    let Ok(shape) = DeviceShape::new::<Failed>(size, block_size) else {
        return;
    };
    // One slot at the start of the memory, with its tag in the cache: of a sector, or of a word in
    // less memory.
    let slot_shift = if memory.len() < 512 { 3 } else { 9 };
    let mut cache = TableCache::new(shape, memory, 0, 0, slot_shift);
    let mut device = Device { block_size, size };
    for (place, word) in [first, second].into_iter().zip(&mut out[1..]) {
        // Bound: at most two misses for each word.
        while let Err(Stop::Miss) = cache.read_word(Table::L2, HostOffset(place), memory) {
            let (lba, buffer) = cache.pending_request(memory);
            if device.read_blocks(lba, buffer).is_ok() {
                cache.publish(memory);
            }
        }
        *word = cache.last_word();
    }
    out[0] = 1;
}
