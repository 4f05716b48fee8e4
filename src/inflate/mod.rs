//! Raw DEFLATE (RFC 1951), from one whole input slice to one whole output slice.
//!
//! It is made for the compressed clusters of a disk image: the output has 512 bytes to 64 KiB, its length is known
//! beforehand, and building the tables of a block costs about as much as decoding it. The caller lends the working
//! memory. No state is kept between calls, so one stream never changes what another decodes to.
//!
//! Decoding stops as soon as the output is full. Later input is neither read nor checked. zlib, which reads a symbol
//! further, may refuse a stream there; this is the only difference.
//!
//! # Memory
//! [`Tables`] take 7,912 bytes. [`SmallTables`] take 1,032 bytes and two to five times the instructions. Both give
//! the same bytes and the same errors: they share everything but the look-up of a codeword.
//!
//! # Work
//! The symbols of a stream are bounded by its input and output: each takes a bit or more of the input, and writes a
//! byte or more of the output or ends a block. In addition, each dynamic block builds a set of tables. A stream builds
//! at most one set for each [`BYTES_PER_SET`] bytes of input, in [`STEPS_PER_SET`] steps or fewer; a broken last block
//! may add one. Fixed and stored blocks build none.

mod bits;
mod compact;
mod copy;
mod entry;
mod error;
mod fill;
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

/// The minimum number of input bytes for each set of tables.
///
/// A dynamic block takes 83 bits or more. Its header takes 17. Each code length of the code for code lengths takes 3,
/// and the block needs 18 of them to use a codeword length of 1, 16 for 2, 14 for 3, 12 for 4, 10 for 5. A code
/// whose shortest codeword has n bits lists the lengths of 2^n codewords or more, fills up to 257 lengths with runs of
/// zeros, and ends the block with n bits. The sum is smallest for n = 3 and 4. The shortest known block takes 90 bits.
#[allow(dead_code)]
pub(crate) const BYTES_PER_SET: usize = 10;

/// The maximum number of code lengths, symbols and table entries written to build a set of tables.
///
/// The sum of 316 code lengths; 335 symbols, each written once when they are sorted and once as an entry; and 2,086
/// entries that repeat others or link the two levels: 1,022 and 310 + 155 for literals and lengths, 254 and 146 + 73
/// for distances, 126 for code lengths.
#[allow(dead_code)]
pub(crate) const STEPS_PER_SET: usize = 3072;

/// The working memory of [`inflate`].
pub(crate) enum Workspace<'t> {
    Tables(&'t mut Tables),
    /// An eighth of the memory, two to five times the instructions.
    Small(&'t mut SmallTables),
}

/// Decodes `input`, a raw DEFLATE stream, until `output` is full.
///
/// `workspace` may have any content. On failure the content of `output` is unspecified.
///
/// # Errors
/// Returns why `output` could not be filled. Each variant of [`InflateError`] says its cause.
pub(crate) fn inflate(input: &[u8], output: &mut [u8], workspace: &mut Workspace<'_>) -> Result<(), InflateError> {
    let mut bits = Bits::new(input);
    let result = blocks(&mut bits, output, workspace);
    // After the end of the input the bit reader supplies zeros: a result that used them is not valid.
    if bits.overrun() { Err(InputEnded) } else { result }
}

use InflateError::{BadBlockType, EndsEarly, InputEnded, StoredLengthMismatch};

/// Decodes blocks until `output` is full.
fn blocks(bits: &mut Bits<'_>, output: &mut [u8], workspace: &mut Workspace<'_>) -> Result<(), InflateError> {
    let mut at = 0;
    let mut last = false;
    // Bound: a turn takes three bits of the input or more, and the loop ends with the input.
    while at < output.len() {
        if last {
            return Err(EndsEarly);
        }
        bits.refill();
        last = bits.take(1) != 0;
        at = match bits.take(2) {
            0 => stored(bits, output, at)?,
            1 => symbols::decode(bits, output, at, &Compact::Fixed)?.0,
            2 => {
                let (lengths, table, sorted) = match workspace {
                    Workspace::Tables(tables) => tables.lengths(),
                    Workspace::Small(tables) => tables.lengths(),
                };
                let sizes = lengths.read(bits, table, sorted)?;
                match workspace {
                    Workspace::Tables(tables) => {
                        tables.build(sizes)?;
                        tables.decode(bits, output, at)?
                    }
                    Workspace::Small(tables) => {
                        tables.build(sizes)?;
                        symbols::decode(bits, output, at, &Compact::Dynamic(tables))?.0
                    }
                }
            }
            _ => return Err(BadBlockType),
        };
        if bits.overrun() {
            return Err(InputEnded);
        }
    }
    Ok(())
}

/// Copies a stored block to `at`, truncated to the space left. Returns the end of the copy in `output`.
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
