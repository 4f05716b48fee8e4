//! Visits every state of the table cache in a small world, breadth first, until no state is new.
//!
//! A state is the cache and the memory of its slots, as they are in the crate. In each state, every
//! word is looked up, in both kinds of table. A piece that is missed is read correctly, or the
//! device fails and leaves garbage, or a future is dropped before or after the bytes have arrived,
//! or the device lies and an error makes the cache forget everything. The cache also forgets
//! everything, and the bounce buffer is overwritten.
//!
//! In every state, each word and each byte that the cache returns must be the file's. Each word
//! must be found after at most two misses. A second miss of the same piece must change nothing.
#![allow(dead_code, unused_imports)]

#[path = "../../../src/device/mod.rs"]
mod device;
#[path = "../../../src/error/mod.rs"]
mod error;
#[path = "../../../src/memory.rs"]
mod memory;
#[path = "../../../src/offset.rs"]
mod offset;
mod reader;

use std::collections::HashSet;
use std::convert::Infallible;
use std::process::ExitCode;
use std::time::Instant;

use crate::device::BlockSize;
use crate::offset::HostOffset;
use crate::reader::device_shape::DeviceShape;
use crate::reader::table_cache::{Table, TableCache};

/// log2 of the size of a piece. The crate's are 512 bytes and more, which would only make states
/// larger.
const PIECE_SHIFT: u8 = 4;
const PIECE: usize = 1 << PIECE_SHIFT;
/// The size of a stored tag.
const TAG: usize = 12;
/// A byte that the file does not have.
const GARBAGE: u8 = 0xee;

/// A file of pieces, the last of them cut, and a cache of slots.
#[derive(Clone, Copy)]
struct World {
    slots: usize,
    /// The number of tags in the memory. A single slot has its tag in the cache; the crate never
    /// gives it one in the memory, but it could.
    tags: usize,
    pieces: usize,
    /// The number of bytes that the last piece lacks.
    cut: usize,
    /// Whether the only slot is the bounce buffer too.
    shared: bool,
    fates: &'static [Fate],
    /// A broken driver, which publishes garbage. The search must find what it does.
    publishes_garbage: bool,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    cache: TableCache,
    memory: Vec<u8>,
}

/// What happens to the pieces that are missed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Read,
    /// The device fails and leaves garbage, or a read is dropped in the middle.
    Garbage,
    /// The device returns garbage as if it were the file's. Then an error makes the image forget
    /// everything.
    Lie,
    /// The same, but the device lies only once, and a second read is dropped.
    LieOnce,
    /// A read is dropped before any bytes have arrived.
    Nothing,
    /// A read is dropped after all bytes have arrived.
    NotPublished,
}

const FATES: [Fate; 6] = [
    Fate::Read,
    Fate::Garbage,
    Fate::Lie,
    Fate::LieOnce,
    Fate::Nothing,
    Fate::NotPublished,
];

impl World {
    fn file(&self) -> Vec<u8> {
        let len = self.pieces * PIECE - self.cut;
        // Neighboring words differ, and so do the words of different pieces.
        (0..len).map(|at| u8::try_from(at % 200).unwrap()).collect()
    }

    fn start(&self) -> State {
        let file = u64::try_from(self.file().len()).unwrap();
        let device = DeviceShape::new::<Infallible>(file, BlockSize::BYTE).unwrap();
        let slots_at = if self.shared { 0 } else { PIECE };
        let mut memory = vec![GARBAGE; slots_at + self.slots * PIECE + self.tags * TAG];
        let (slots_at, tags) = (u32::try_from(slots_at).unwrap(), u32::try_from(self.tags).unwrap());
        let cache = TableCache::new(device, &mut memory, slots_at, tags, PIECE_SHIFT);
        State { cache, memory }
    }

    /// Returns the places that words are looked up at: the last in each piece, the first across its
    /// end, and past the end of the file.
    fn places(&self) -> Vec<u64> {
        let pieces = (0..=self.pieces).flat_map(|piece| [piece * PIECE + PIECE - 8, piece * PIECE + PIECE - 7]);
        pieces.map(|at| u64::try_from(at).unwrap()).collect()
    }

    /// Returns the states that can follow.
    fn next(&self, state: &State, file: &[u8], add: &mut impl FnMut(State)) -> Result<(), String> {
        for at in self.places() {
            for table in [Table::L1, Table::L2] {
                for &fate in self.fates {
                    let mut next = state.clone();
                    self.look_up(&mut next, at, table, fate, file)?;
                    add(next);
                }
            }
        }
        let mut forgotten = state.clone();
        forgotten.cache.forget(&mut forgotten.memory);
        add(forgotten);
        let mut bounced = state.clone();
        bounced.cache.bounce_buffer(&mut bounced.memory)[..PIECE].fill(GARBAGE);
        add(bounced);
        Ok(())
    }

    /// Looks up a word. Only a piece that is read is looked up again.
    fn look_up(&self, state: &mut State, at: u64, table: Table, fate: Fate, file: &[u8]) -> Result<(), String> {
        let State { cache, memory } = state;
        let lies = matches!(fate, Fate::Lie | Fate::LieOnce);
        for turn in 0..3 {
            if cache.read_word(table, HostOffset(at), memory).is_ok() {
                let word = cache.last_word();
                let expected = u64::from_be_bytes(std::array::from_fn(|i| byte(file, at, i)));
                if word != expected && !lies {
                    return Err(format!("the word at {at} is {word:#x}, not {expected:#x}"));
                }
                break;
            }
            if turn == 2 {
                return Err(format!("the word at {at} is still missed after two reads"));
            }
            if matches!(fate, Fate::Nothing) {
                let before = (cache.clone(), memory.clone());
                if cache.read_word(table, HostOffset(at), memory).is_ok() || before != (cache.clone(), memory.clone()) {
                    return Err(format!("a second miss of the word at {at} changes the cache"));
                }
            }
            let (lba, buffer) = cache.pending_request(memory);
            let start = usize::try_from(lba).unwrap();
            let stored = file.get(start..start + buffer.len()).ok_or("a request past the end")?;
            if buffer.is_empty() {
                return Err(format!("an empty request for the word at {at}"));
            }
            match fate {
                Fate::Read | Fate::NotPublished => buffer.copy_from_slice(stored),
                Fate::Garbage | Fate::Lie | Fate::LieOnce => buffer.fill(GARBAGE),
                Fate::Nothing => {}
            }
            let is_published = match fate {
                Fate::Read | Fate::Lie => true,
                Fate::LieOnce => turn == 0,
                Fate::Garbage => self.publishes_garbage,
                Fate::Nothing | Fate::NotPublished => false,
            };
            if !is_published {
                break;
            }
            cache.publish(memory);
        }
        if lies {
            cache.forget(memory);
        }
        Ok(())
    }

    /// Checks the bytes that a walk compares without looking words up.
    fn check(&self, state: &State, file: &[u8]) -> Result<(), String> {
        for piece in 0..=self.pieces {
            for table in [Table::L1, Table::L2] {
                let at = u64::try_from(piece * PIECE).unwrap();
                for (i, &found) in state
                    .cache
                    .recent_bytes(table, HostOffset(at), &state.memory)
                    .iter()
                    .enumerate()
                {
                    if found != byte(file, at, i) {
                        return Err(format!("byte {i} of the recent piece at {at} is {found:#x}"));
                    }
                }
            }
        }
        Ok(())
    }

    /// Visits all states. Returns how many there are, and how many transitions.
    fn visit(&self) -> Result<(usize, u64), String> {
        let file = self.file();
        let mut known = HashSet::from([self.start()]);
        let mut frontier: Vec<State> = known.iter().cloned().collect();
        let mut transitions = 0;
        while !frontier.is_empty() {
            let mut reached = Vec::new();
            for state in &frontier {
                self.next(state, &file, &mut |next| {
                    transitions += 1;
                    if known.insert(next.clone()) {
                        reached.push(next);
                    }
                })?;
            }
            for state in &reached {
                self.check(state, &file)?;
            }
            frontier = reached;
        }
        Ok((known.len(), transitions))
    }
}

/// Returns a byte of the file, or zero past its end.
fn byte(file: &[u8], at: u64, i: usize) -> u8 {
    usize::try_from(at)
        .ok()
        .and_then(|at| file.get(at + i))
        .copied()
        .unwrap_or(0)
}

fn main() -> ExitCode {
    let all = std::env::args().any(|argument| argument == "--all");
    let mut failed = false;
    for (slots, tags, shared, cut) in [
        (1, 0, true, 5),
        (1, 0, true, 0),
        (1, 0, false, 5),
        (1, 0, false, 0),
        (1, 1, false, 5),
        (2, 2, false, 5),
        (3, 3, false, 5),
    ] {
        for pieces in 4..=6 {
            // Two slots and more take minutes.
            if !all && (slots > 2 || (tags > 0 && pieces > 4)) {
                continue;
            }
            // The cache's decisions do not depend on the bytes of a slot, so other bytes than
            // garbage show nothing more. Three slots have too many states with them.
            let fates = if slots < 3 { &FATES[..] } else { &FATES[..3] };
            let world = World {
                slots,
                tags,
                pieces,
                cut,
                shared,
                fates,
                publishes_garbage: false,
            };
            let start = Instant::now();
            let bounce = if shared { ", the bounce buffer too" } else { "" };
            let title = format!(
                "table cache: slots: {slots}, tags in the memory: {tags}{bounce}; pieces: {pieces}, the last without {cut} bytes"
            );
            match world.visit() {
                Ok((states, transitions)) => {
                    let seconds = start.elapsed().as_secs_f32();
                    println!("{title}; {states} states, {transitions} transitions, {seconds:.0} s");
                }
                Err(error) => {
                    println!("{title}: NOT PROVED: {error}");
                    failed = true;
                }
            }
            let broken = World {
                publishes_garbage: true,
                ..world
            };
            if broken.visit().is_ok() {
                println!("{title}: garbage that a broken driver publishes was not found");
                failed = true;
            }
        }
    }
    ExitCode::from(u8::from(failed))
}
