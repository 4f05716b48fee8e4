//! The suite of images reads the same from C and from Rust.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use qcow1::{BlockSize, Blocks, Chain, CorruptPart, Header, Image, Key, OpenOptions, Unsupported};
use serde_json::Value;

use crate::programs::{Program, suite};

/// The result of one call: bytes, or the number of an error.
type Outcome = Result<Vec<u8>, i32>;

type Disk<'f, 'm> = Chain<Image<Blocks<&'f [u8]>, &'m mut [u8]>, 4>;

/// An image of the suite, with the files below it.
struct Vector {
    name: String,
    key: Option<String>,
    layers: Vec<Layer>,
    /// Places to read, in this order.
    reads: Vec<(u64, usize)>,
}

struct Layer {
    path: PathBuf,
    bytes: Vec<u8>,
    is_qcow: bool,
}

/// How a disk is opened.
struct Options {
    block_size: u32,
    /// The longest request in bytes; 0 is any.
    max_transfer: u32,
    salvage: bool,
    /// The memory lent to each image beyond what it needs.
    extra: usize,
    /// The bytes of one read.
    step: usize,
}

/// Larger disks are read in the places that the manifest names, and not in full.
const WHOLE: u64 = 4 << 20;

#[test]
fn the_example_writes_what_rust_reads() {
    let cat = Program::sanitized("../examples/c/cat.c", &["-std=c99"]);
    let numbers: Vec<i32> = (-20..0).collect();
    let messages = Program::sanitized("tests/messages.c", &[]);
    let messages = lines(messages.command().args(numbers.iter().map(i32::to_string)));
    let messages: HashMap<_, _> = numbers.into_iter().zip(messages).collect();
    let options = Options {
        block_size: 1,
        max_transfer: 0,
        salvage: false,
        extra: 0,
        step: 65536,
    };
    each(|vector| {
        let Some(expected) = whole(vector, &options) else {
            return Ok(());
        };
        let mut command = cat.command();
        if let Some(key) = &vector.key {
            command.args(["-p", key]);
        }
        let output = command.args(arguments(vector)).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        match (expected, output.status.code()) {
            (Ok(bytes), Some(0)) if output.stdout == bytes => Ok(()),
            // The file's name, and the sentence for the number.
            (Err(number), Some(1)) if error.trim_end().ends_with(&format!(": {}", messages[&number])) => Ok(()),
            (expected, _) => Err(format!(
                "{}, {} bytes and '{error}', not {:?}",
                output.status,
                output.stdout.len(),
                expected.map(|bytes| bytes.len()),
            )),
        }
    });
}

#[test]
fn every_c_read_returns_what_rust_reads() {
    let reader = Program::sanitized("tests/reader.c", &[]);
    for (block_size, max_transfer, salvage, extra, step) in [
        (1, 0, false, 0, 65536),
        (512, 1536, false, 70_000, 1000),
        (4096, 0, true, 0, 65536),
        (1, 700, true, 70_000, 4096),
    ] {
        let options = Options {
            block_size,
            max_transfer,
            salvage,
            extra,
            step,
        };
        each(|vector| {
            let expected = from_rust(vector, &options);
            let size = expected.as_ref().map_or(0, |(size, _)| *size);
            let found = from_c(&reader, vector, &options, &places(vector, size, step));
            if found == expected {
                Ok(())
            } else {
                Err(format!(
                    "blocks of {block_size}, salvage {salvage}: not what Rust gives"
                ))
            }
        });
    }
}

/// Reads every image of the suite, and names all that fail.
fn each(test: impl Fn(&Vector) -> Result<(), String>) {
    let manifest = std::fs::read_to_string(suite().join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let entries = manifest["images"].as_array().unwrap();
    assert!(entries.len() > 300);
    let wrong: Vec<String> = entries
        .iter()
        .map(vector)
        .filter_map(|vector| {
            let error = test(&vector).err()?;
            Some(format!("{}: {error}", vector.name))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn vector(entry: &Value) -> Vector {
    let layer = |file: &Value, is_qcow| {
        let path = suite().join("images").join(file.as_str().unwrap());
        let bytes = std::fs::read(&path).unwrap();
        Layer { path, bytes, is_qcow }
    };
    let mut layers = vec![layer(&entry["file"], true)];
    for backing in entry["backing"].as_array().into_iter().flatten() {
        layers.push(layer(&backing["file"], backing["format"] == "qcow"));
    }
    let reads = entry["strict"]["reads"].as_array().into_iter().flatten();
    let reads = reads.map(|read| {
        let [offset, len] = ["offset", "len"].map(|name| read[name].as_u64().unwrap());
        (offset, usize::try_from(len).unwrap())
    });
    Vector {
        name: entry["file"].to_string(),
        key: entry["key"].as_str().map(str::to_owned),
        layers,
        reads: reads.collect(),
    }
}

/// The files as both programs take them.
fn arguments(vector: &Vector) -> Vec<OsString> {
    let prefixes = vector.layers.iter().enumerate().map(|(level, layer)| match level {
        0 => "",
        _ if layer.is_qcow => "qcow:",
        _ => "raw:",
    });
    let names = prefixes.zip(&vector.layers).map(|(prefix, layer)| {
        let mut name = OsString::from(prefix);
        name.push(&layer.path);
        name
    });
    names.collect()
}

/// The places that are read: those of the manifest, then the whole disk, or its first and last
/// bytes.
fn places(vector: &Vector, size: u64, step: usize) -> Vec<(u64, usize)> {
    let mut places = vector.reads.clone();
    if size == 0 {
        // It cannot be opened.
        places.clear();
    } else if size <= WHOLE {
        places.extend((0..size).step_by(step).map(|offset| {
            let len = (size - offset).min(step as u64);
            (offset, len as usize)
        }));
    } else {
        places.extend([(0, 512), (size - 512, 512)]);
    }
    places
}

fn open<'f, 'm>(vector: &'f Vector, memory: &'m mut [Vec<u8>], options: &Options) -> Result<Disk<'f, 'm>, i32> {
    let mut chain = Chain::new();
    for (layer, memory) in vector.layers.iter().zip(memory) {
        let block_size = BlockSize::new(options.block_size).unwrap();
        let device = Blocks::new(layer.bytes.as_slice(), block_size);
        let needed = match Header::parse(&layer.bytes) {
            Ok(header) if layer.is_qcow => header.memory_for(block_size, layer.bytes.len() as u64).compressed,
            _ => 512.max(options.block_size as usize),
        };
        memory.resize(needed + options.extra, 0);
        let memory = memory.as_mut_slice();
        let opened = if layer.is_qcow {
            Image::open_with(OpenOptions::new().salvage(options.salvage), device, memory)
        } else {
            Image::open_raw(device, memory)
        };
        let mut image = opened.map_err(|error| number(error.error()))?;
        if let Some(key) = &vector.key {
            image.set_key(&Key::from_passphrase(key.as_bytes()));
        }
        chain.push(image).map_err(|_| -18)?;
    }
    Ok(chain)
}

/// The whole disk from Rust, or the first error; `None` if it is too large.
fn whole(vector: &Vector, options: &Options) -> Option<Outcome> {
    let mut memory = vec![Vec::new(); vector.layers.len()];
    let mut disk = match open(vector, &mut memory, options) {
        Ok(disk) => disk,
        Err(number) => return Some(Err(number)),
    };
    if disk.size() > WHOLE {
        return None;
    }
    let mut bytes = vec![0; disk.size() as usize];
    for (index, part) in bytes.chunks_mut(options.step).enumerate() {
        if let Err(error) = disk.read_at((index * options.step) as u64, part) {
            return Some(Err(number(&error)));
        }
    }
    Some(Ok(bytes))
}

/// The disk's size and what each place holds, from Rust.
fn from_rust(vector: &Vector, options: &Options) -> Result<(u64, Vec<Outcome>), i32> {
    let mut memory = vec![Vec::new(); vector.layers.len()];
    let mut disk = open(vector, &mut memory, options)?;
    let places = places(vector, disk.size(), options.step);
    let outcomes = places.into_iter().map(|(offset, len)| {
        let mut bytes = vec![0; len];
        disk.read_at(offset, &mut bytes).map_err(|error| number(&error))?;
        Ok(bytes)
    });
    let outcomes = outcomes.collect();
    Ok((disk.size(), outcomes))
}

/// The same from C.
fn from_c(
    reader: &Program,
    vector: &Vector,
    options: &Options,
    places: &[(u64, usize)],
) -> Result<(u64, Vec<Outcome>), i32> {
    let mut command = reader.command();
    command.args([
        options.block_size.to_string().as_str(),
        &options.max_transfer.to_string(),
        if options.salvage { "1" } else { "0" },
        &options.extra.to_string(),
        vector.key.as_deref().unwrap_or(""),
    ]);
    command.args(arguments(vector)).arg("--");
    command.args(places.iter().map(|(offset, len)| format!("{offset}:{len}")));
    let mut lines = lines(&mut command).into_iter();
    let size = lines.next().unwrap();
    let size = size.parse().map_err(|_| size.parse::<i32>().unwrap())?;
    let outcomes = lines.map(|line| match line.parse() {
        Ok(number) if number < 0 => Err(number),
        _ => Ok(bytes(&line)),
    });
    Ok((size, outcomes.collect()))
}

/// Bytes of hexadecimal digits.
fn bytes(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.chars().map(|digit| digit.to_digit(16).unwrap() as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn lines(command: &mut Command) -> Vec<String> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// The number that the header has for an error of the crate's.
fn number<E>(error: &qcow1::Error<E>) -> i32 {
    use qcow1::Error;
    match error {
        Error::Empty => -20,
        Error::NotQcow => -1,
        Error::Unsupported(Unsupported::Version(_)) => -2,
        Error::Unsupported(Unsupported::CryptMethod(_)) => -3,
        Error::Unsupported(Unsupported::Compression) => -4,
        Error::Corrupt(corrupt) => match corrupt.part() {
            CorruptPart::Header => -6,
            CorruptPart::BackingName => -7,
            CorruptPart::L1Table => -8,
            CorruptPart::L2Table => -9,
            CorruptPart::Cluster => -10,
            CorruptPart::CompressedCluster => -11,
            _ => -12,
        },
        Error::OutOfRange => -13,
        Error::MemoryTooSmall { .. } => -14,
        Error::BackingRequired { .. } => -15,
        Error::KeyRequired { .. } => -16,
        _ => -19,
    }
}
