//! Runs every input of a small world through the crate and through an independent decoder or
//! reader, which must agree.
//!
//! A world is a number of parts, each a fair sample of it. `exhaust WORLD` prints the number of
//! parts and of inputs in all of them, and `exhaust WORLD FIRST END` runs the parts `FIRST..END`
//! and prints what it counted. It panics at the first input that is read wrongly. `exhaust.py` is
//! the script around it.

mod codes;
mod decoders;
mod images;
mod streams;

/// What one part of a world has run.
#[derive(Clone, Copy, Default)]
pub struct Count {
    /// The number of inputs.
    pub inputs: u64,
    /// The number of those of which the crate returned bytes.
    pub read: u64,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.inputs += other.inputs;
        self.read += other.read;
    }
}

struct World {
    name: &'static str,
    parts: u64,
    inputs: u64,
    run: fn(u64) -> Count,
}

const WORLDS: [World; 3] = [
    World {
        name: "codes",
        parts: codes::PARTS,
        inputs: codes::INPUTS,
        run: codes::run,
    },
    World {
        name: "images",
        parts: images::PARTS,
        inputs: images::INPUTS,
        run: images::run,
    },
    World {
        name: "streams",
        parts: streams::PARTS,
        inputs: streams::INPUTS,
        run: streams::run,
    },
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (name, range) = arguments.split_first().expect("a world");
    let world = WORLDS.iter().find(|world| world.name == name).expect("a world's name");
    let range: Vec<u64> = range.iter().map(|part| part.parse().expect("a number")).collect();
    let [first, end] = range[..] else {
        println!(r#"{{"parts": {}, "inputs": {}}}"#, world.parts, world.inputs);
        return;
    };
    assert!(end <= world.parts, "{name} has {} parts", world.parts);
    let mut count = Count::default();
    for part in first..end {
        count.add((world.run)(part));
    }
    println!(r#"{{"inputs": {}, "read": {}}}"#, count.inputs, count.read);
}
