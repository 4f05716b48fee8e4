//! A whole read: opens an image on a device that the prover plays, and reads some of its bytes.

use crate::device::{BlockRead, BlockSize};
use crate::error::CorruptKind;
use crate::exports::{In, OK, OTHER, Out, error, rule};
use crate::image::Image;
use crate::offset::{GuestOffset, low_u32, saturating_usize};
use crate::reader::image_state::ImageState;
use crate::reader::stop::Stop;
use crate::words::{Device, lent};

/// Opens an image and reads. In: block size in bytes, device size, offset, the addresses and lengths
/// of the memory and of the caller's buffer, and which byte of the buffer is returned.
#[unsafe(no_mangle)]
extern "C" fn open_and_read(input: &In, out: &mut Out) {
    let [block_size, size, offset, memory, memory_len, dst, dst_len, at] = *input;
    let Some(block_size) = u32::try_from(block_size).ok().and_then(BlockSize::new) else {
        return;
    };
    // SAFETY: the prover has these bytes there.
    let (memory, dst) = unsafe { (lent(memory, memory_len), lent(dst, dst_len)) };
    let mut image = match Image::open(Device { block_size, size }, memory) {
        Ok(image) => image,
        Err(reason) => {
            [out[0], out[1], out[2]] = error(reason.into_error());
            return;
        }
    };
    out[3] = 1;
    match image.read_at(offset, dst) {
        Ok(()) => {
            out[0] = OK;
            out[4] = dst.get(saturating_usize(at)).map_or(0, |byte| (*byte).into());
        }
        Err(reason) => [out[0], out[1], out[2]] = error(reason),
    }
}

/// Opens an image and looks up an offset: once as the fast path does, which reads nothing, and then
/// until nothing is missing. In: block size in bytes, device size, offset, the address and the length
/// of the memory; the bits that are 0 in the place of each L2 table. Out: the outcome, and 1; the start,
/// the length and the target of the L1 entry; the last word.
#[unsafe(no_mangle)]
extern "C" fn look_up(input: &In, out: &mut Out) {
    let [block_size, size, offset, memory, memory_len, zeros, ..] = *input;
    let Some(block_size) = u32::try_from(block_size).ok().and_then(BlockSize::new) else {
        return;
    };
    // SAFETY: the prover has these bytes there.
    let memory = unsafe { lent(memory, memory_len) };
    let Ok(mut image) = Image::open(Device { block_size, size }, memory) else {
        return;
    };
    let Some(geometry) = image.state.geometry().filter(|_| offset < image.size()) else {
        return;
    };
    let at = GuestOffset(offset);
    let _ = image.state.look_up(geometry, at, image.memory);
    let mut found = image.state.look_up(geometry, at, image.memory);
    // Bound: two misses for each of two words.
    while let Err(Stop::Miss) = found {
        if image.state.last_l1_entry().host.0 & zeros != 0 {
            return;
        }
        let (lba, buffer) = image.state.pending_request(image.memory);
        if image.device.read_blocks(lba, buffer).is_ok() {
            image.state.publish(image.memory);
        }
        found = image.state.look_up(geometry, at, image.memory);
    }
    let [start, len, host, word] = result(&image.state);
    if host & zeros != 0 {
        return;
    }
    match found {
        Ok(()) => [out[0], out[1], out[2], out[3], out[4], out[5]] = [OK, 1, start, len, host, word],
        Err(Stop::Corrupt(kind)) => [out[0], out[1], out[2], out[3], out[4]] = [rule(kind), 1, start, len, host],
        Err(_) => out[0] = OTHER,
    }
}

/// Returns what a look-up leaves in a state.
fn result(state: &ImageState) -> [u64; 4] {
    let entry = state.last_l1_entry();
    [entry.start.0, entry.len, entry.host.0, state.last_word()]
}

/// Returns what a look-up returned, as the lowest byte of the register that it returned it in. The
/// other bytes have no value.
fn returned(result: Result<(), Stop>) -> u64 {
    // SAFETY: a tag is in the first byte.
    unsafe { core::ptr::from_ref(&result).cast::<u8>().read() }.into()
}

/// What a look-up leaves in a state. In: the address of the state.
#[unsafe(no_mangle)]
extern "C" fn look_up_result(input: &In, out: &mut Out) {
    // SAFETY: the prover has a state there.
    let state = unsafe { &*(saturating_usize(input[0]) as *const ImageState) };
    [out[0], out[1], out[2], out[3]] = result(state);
}

/// What a look-up returns: for success, a miss, and each flaw that it finds.
#[unsafe(no_mangle)]
extern "C" fn look_up_returns(_: &In, out: &mut Out) {
    [out[0], out[1], out[2], out[3]] = [
        Ok(()),
        Err(Stop::Miss),
        Err(Stop::Corrupt(CorruptKind::L1Bit63Set)),
        Err(Stop::Corrupt(CorruptKind::L2PastEnd)),
    ]
    .map(returned);
}

/// Counts consecutive words if none are wanted. In: the address of the state; any word and step; the
/// address and the length of the memory. Out: 1, and the count.
#[unsafe(no_mangle)]
extern "C" fn count_none(input: &In, out: &mut Out) {
    // The prover has as many bytes there.
    const { assert!(size_of::<ImageState>() <= 512) };
    let [state, word, step, memory, memory_len, ..] = *input;
    // SAFETY: the prover has a state there.
    let state = unsafe { &*(saturating_usize(state) as *const ImageState) };
    // SAFETY: the prover has these bytes there, or a proof that none is read.
    let memory = unsafe { lent(memory, memory_len) };
    let count = state.parts.cache.count_consecutive(word, low_u32(step), 0, memory);
    [out[0], out[1]] = [1, count.into()];
}
