//! One module for each command.

mod check;
mod dump;
mod info;
mod map;
mod read;

pub(crate) use check::{Verdict, check};
pub(crate) use dump::dump;
pub(crate) use info::info;
pub(crate) use map::map;
pub(crate) use read::read;

/// How much is read at once: enough that requests cost little, and little enough for a processor's cache.
const CHUNK: usize = 1 << 20;

/// The size of a page wherever it matters.
const PAGE: usize = 4096;

/// Room for a chunk, from the start of a page on: a kernel may copy there in a third of the time that it takes to any
/// other address.
struct Buffer {
    memory: Vec<u8>,
    start: usize,
}

impl Buffer {
    fn new() -> Self {
        let memory = vec![0; CHUNK + PAGE];
        // The offset may be unknown, by contract.
        let start = memory.as_ptr().align_offset(PAGE).min(PAGE);
        Self { memory, start }
    }

    /// Its first `len` bytes, at most a chunk.
    fn first(&mut self, len: usize) -> &mut [u8] {
        &mut self.memory[self.start..][..len]
    }
}
