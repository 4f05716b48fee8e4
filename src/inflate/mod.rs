//! Raw DEFLATE (RFC 1951), from one whole input slice to one whole output slice.
//!
//! Made for the compressed clusters of a disk image: 512 bytes to 64 KiB of output, known beforehand, where building
//! the code tables costs as much as decoding with them. The caller lends the tables. Nothing is kept between calls, so
//! nothing that an earlier stream left behind can change what a later one decodes to.
//!
//! Decoding stops the moment that the output is full, and whatever follows in the input is neither read nor judged.
//! That is wider than zlib in one respect only: zlib looks on past the end of a full output and may still refuse what
//! it finds there.

//!
//! # Work
//! Decoding symbols is bounded by the input and the output: each takes a bit of one and writes a byte of the other, or
//! ends a block. Beside that, a dynamic block has its tables built, at most one set for each [`BYTES_PER_SET`] bytes of
//! input, with [`STEPS_PER_SET`] steps or fewer. Fixed and stored blocks build nothing.

mod bits;
mod compact;
mod copy;
mod entry;
mod error;
mod lengths;
mod order;
mod symbols;
mod table;
pub(crate) mod work;

use bits::Bits;
use compact::Compact;
pub(crate) use compact::SmallTables;
pub(crate) use error::InflateError;
pub(crate) use table::Tables;

/// Bytes of input for each set of tables that is built, at least.
///
/// A dynamic block takes 83 bits or more: 17 for its header; 3 for each code length of the code for code lengths, of which
/// 18 are needed to write a length of 1, 16 for 2, and so on; and the fewer of these there are, the more codewords must
/// be listed. The shortest one known takes 90 bits.
#[allow(dead_code)]
pub(crate) const BYTES_PER_SET: usize = 10;

/// The most code lengths, symbols and table entries that building a set of tables writes.
///
/// 316 code lengths; 335 symbols, once in order and once as an entry; and 2,086 entries that repeat others or link two
/// levels: 1,022 and 310 + 155 of literals and lengths, 254 and 146 + 73 of distances, 126 of code lengths.
#[allow(dead_code)]
pub(crate) const STEPS_PER_SET: usize = 316 + 2 * 335 + 2086;

/// The working memory of a call: both give the same bytes and the same errors.
pub(crate) enum Workspace<'t> {
    Tables(&'t mut Tables),
    /// Less memory, and three to four times the work.
    #[allow(dead_code)]
    Small(&'t mut SmallTables),
}

/// Decodes `input`, a raw DEFLATE stream, until `output` is full.
///
/// Nothing in `workspace` is read before it is written. On failure the content of `output` is unspecified.
///
/// # Errors
/// Returns why `output` could not be filled. Bytes of `input` beyond those that filled it are not looked at.
pub(crate) fn inflate(input: &[u8], output: &mut [u8], workspace: &mut Workspace<'_>) -> Result<(), InflateError> {
    let mut bits = Bits::new(input);
    let result = blocks(&mut bits, output, workspace);
    // Past the end of the input the bit reader supplies zeros. Whatever was made of them, the input ended.
    if bits.overrun() { Err(InputEnded) } else { result }
}

use InflateError::{BadBlockType, EndsEarly, InputEnded, StoredLengthMismatch};

fn blocks(bits: &mut Bits<'_>, output: &mut [u8], workspace: &mut Workspace<'_>) -> Result<(), InflateError> {
    let mut at = 0;
    let mut last = false;
    // Bound: a turn takes at least three bits of the input, and the loop ends where the input does.
    while at < output.len() {
        if last {
            return Err(EndsEarly);
        }
        bits.refill();
        last = bits.take(1) != 0;
        at = match bits.take(2) {
            0 => stored(bits, output, at)?,
            1 => symbols::decode(bits, output, at, &Compact::Fixed)?.0,
            2 => match workspace {
                Workspace::Tables(tables) => {
                    tables.build(bits)?;
                    tables.decode(bits, output, at)?
                }
                Workspace::Small(tables) => {
                    tables.build(bits)?;
                    symbols::decode(bits, output, at, &Compact::Dynamic(tables))?.0
                }
            },
            _ => return Err(BadBlockType),
        };
        if bits.overrun() {
            return Err(InputEnded);
        }
    }
    Ok(())
}

/// Copies a stored block, or as much of it as there is room for, and returns where it ends in `output`.
fn stored(bits: &mut Bits<'_>, output: &mut [u8], at: usize) -> Result<usize, InflateError> {
    let header = bits.take_bytes(4).ok_or(InputEnded)?;
    let [a, b, c, d] = *header.first_chunk().ok_or(InputEnded)?;
    let length = u16::from_le_bytes([a, b]);
    if length != !u16::from_le_bytes([c, d]) {
        return Err(StoredLengthMismatch);
    }
    let room = output.get_mut(at..).unwrap_or_default();
    let length = room.len().min(usize::from(length));
    let bytes = bits.take_bytes(length).ok_or(InputEnded)?;
    for (to, from) in room.iter_mut().zip(bytes) {
        *to = *from;
    }
    Ok(at.saturating_add(length))
}
