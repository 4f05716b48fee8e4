//! Decodes raw DEFLATE (RFC 1951) from one whole input slice to one whole output slice, without
//! allocation, `unsafe` code or panics.
//!
//! It is made for the compressed clusters of a disk image and for similar blocks: the output has
//! 512 bytes to 64 KiB, its length is known beforehand, and building the tables of a block costs
//! about as much as decoding it.
//!
//! ```
//! use qcow1_inflate::{Workspace, inflate};
//!
//! let stream = [0x4b, 0x4c, 0x84, 0x01, 0x00]; // ten times `a`
//! let mut memory = [0; Workspace::FAST];
//! let mut workspace = Workspace::new(&mut memory).ok_or("too little memory")?;
//! let mut output = [0; 10];
//! inflate(&stream, &mut output, &mut workspace)?;
//! assert_eq!(output, *b"aaaaaaaaaa");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! No state is kept between calls, so one stream never changes what another decodes to.
//!
//! Decoding stops as soon as the output is full. Later input is neither read nor checked. zlib,
//! which reads a symbol further, may refuse a stream there; this is the only difference.
//!
//! # Memory
//! A [`Workspace`] is memory that the caller lends: [`Workspace::SMALL`] bytes, or
//! [`Workspace::FAST`] bytes, which save half to four fifths of the instructions if the build has
//! the feature `fast`. Both give the same bytes and the same errors.
//!
//! # Work
//! The symbols of a stream are bounded by its input and output: each takes a bit or more of the
//! input, and writes a byte or more of the output or ends a block. Besides, only the headers of
//! dynamic blocks take time.
//!
//! A stream has at most one dynamic block for each 10 bytes of input; a broken last block may add
//! one. Its header is read in 796 steps or fewer: a step writes a code length, a symbol or a table
//! entry, or up to eight equal code lengths. Tables are filled in 3,276 steps or fewer, for the
//! first dynamic block and at most once for each 42 bytes of input after it: a block that follows a
//! short one gets tables only if it is not short itself. So a byte of input costs fewer than 160
//! steps. Fixed and stored blocks have no header and no tables.
//!
//! # Features
//! - `fast`, which is on by default: decoding with tables.
//! - `defmt`: `defmt::Format` for [`InflateError`].
#![no_std]
#![forbid(unsafe_code)]
#![warn(unreachable_pub)]
#![cfg_attr(docsrs, feature(doc_cfg))]
// Nothing here may panic, wrap or lose bits. Tests may: a test fails by a panic.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

#[cfg(test)]
extern crate std;

/// Runs the README's code as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod bits;
mod compact;
mod copy;
mod error;
#[cfg(feature = "fast")]
mod fast;
mod lengths;
mod order;
mod symbols;
mod tables;
#[cfg(test)]
mod tests;
mod work;
mod workspace;

pub use error::InflateError;
pub use workspace::Workspace;

use InflateError::{BadBlockType, EndsEarly, InputEnded, StoredLengthMismatch};
use bits::Bits;
use compact::Compact;
use symbols::Stop;

/// Whether the headers of blocks are read by more code in less time. On a 32-bit machine, symbols
/// take most of the time.
const FAST_HEADERS: bool = cfg!(all(feature = "fast", target_pointer_width = "64"));

/// Whether the build has neither tables nor a bit buffer. Less code is then worth more time.
const SMALL_BUILD: bool = cfg!(not(feature = "fast"));

/// A block of this many bytes of input is long: the next one gets tables at once.
const LONG_BLOCK: usize = 256;

/// The number of symbols that are decoded without tables, if the block before was not long.
const SHORT_BLOCK: usize = 256;

/// Decodes `input`, a raw DEFLATE stream, until `output` is full.
///
/// `workspace` may have any content. On failure the content of `output` is unspecified.
///
/// # Errors
/// Returns why `output` could not be filled. Each variant of [`InflateError`] says its cause.
pub fn inflate(input: &[u8], output: &mut [u8], workspace: &mut Workspace<'_>) -> Result<(), InflateError> {
    let mut bits = Bits::new(input);
    let result = inflate_blocks(&mut bits, output, workspace);
    // After the end of the input the bit reader supplies zeros: a result that used them is not
    // valid.
    if bits.is_overrun() { Err(InputEnded) } else { result }
}

/// Decodes blocks until `output` is full.
fn inflate_blocks(bits: &mut Bits<'_>, output: &mut [u8], workspace: &mut Workspace<'_>) -> Result<(), InflateError> {
    let Workspace { small, tables } = workspace;
    let mut at = 0;
    let mut header = 0;
    let mut may_be_long = true;
    // Bound: a turn takes three bits of the input or more. The zeros after the end of the input are
    // no block.
    while at < output.len() {
        if header & 1 != 0 {
            return Err(EndsEarly);
        }
        let start = bits.bytes_taken();
        bits.refill();
        header = bits.take(3);
        let kind = header >> 1;
        if kind == 0 {
            at = copy_stored_block(bits, output, at)?;
        } else {
            let (codes, limit) = match kind {
                1 => (Compact::Fixed, usize::MAX),
                2 => {
                    // Tables pay off in a long block only, and cost more time than all else in a
                    // block of a few bytes. So if the block may not be long, its first symbols are
                    // decoded without tables.
                    small.read_header(bits, tables.as_deref_mut().filter(|_| may_be_long))?;
                    let limit = match tables {
                        Some(_) if may_be_long => 0,
                        Some(_) => SHORT_BLOCK,
                        None => usize::MAX,
                    };
                    (Compact::Dynamic(small), limit)
                }
                _ => return Err(BadBlockType),
            };
            let (end, stop) = symbols::decode(bits, output, at, &codes, limit);
            let (end, stop) = match tables {
                Some(tables) if stop == Stop::Full && end < output.len() => {
                    tables.fill(small);
                    tables.decode(bits, output, end)
                }
                _ => (end, stop),
            };
            if let Stop::Error(error) = stop {
                return Err(error);
            }
            at = end;
        }
        may_be_long = bits.bytes_taken().wrapping_sub(start) >= LONG_BLOCK;
    }
    Ok(())
}

/// Copies a stored block to `at`, truncated to the space left. Returns the end of the copy in
/// `output`.
fn copy_stored_block(bits: &mut Bits<'_>, output: &mut [u8], at: usize) -> Result<usize, InflateError> {
    bits.align();
    bits.need(16);
    let length = bits.take(16);
    bits.need(16);
    if length ^ bits.take(16) != 0xffff {
        return Err(StoredLengthMismatch);
    }
    bits.copy(output, at, length);
    Ok(at.wrapping_add(length))
}
