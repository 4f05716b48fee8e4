//! One module for each command; `manual.rs` has two.

mod check;
mod dump;
mod info;
mod manual;
mod map;
mod read;
mod serve;
mod usage;

pub(crate) use check::check;
pub(crate) use dump::dump;
pub(crate) use info::info;
pub(crate) use manual::{completions, man};
pub(crate) use map::map;
pub(crate) use read::read;
pub(crate) use serve::serve;

/// The length of one read in bytes: large enough that requests cost little, small enough for a
/// processor's cache.
const CHUNK: usize = 1 << 20;

/// The size of a page on most machines.
const PAGE: usize = 4096;

/// Memory for a chunk that starts at a page boundary, where some kernels copy three times as fast
/// as elsewhere.
struct Buffer {
    memory: Vec<u8>,
    start: usize,
}

impl Buffer {
    fn new() -> Self {
        let memory = vec![0; CHUNK + PAGE];
        // `align_offset` may return `usize::MAX`.
        let start = memory.as_ptr().align_offset(PAGE).min(PAGE);
        Self { memory, start }
    }

    /// Returns the first `len` bytes, at most a chunk.
    fn first(&mut self, len: usize) -> &mut [u8] {
        &mut self.memory[self.start..][..len]
    }
}
