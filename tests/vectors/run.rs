//! Runs this crate over the suite, using only the manifest, as any other reader would be run.

use qcow1::{BlockSize, Chain, Error, Header, Image, Key, OpenOptions};
use serde_json::Value;

use crate::case::{digest, error_name};
use crate::common::{Broken, TestDevice, class};
use crate::recipe::folder;

type Opened<'f> = Chain<Image<TestDevice<'f>, Vec<u8>>, 4>;

/// A file of the suite, and whether it is an image.
struct File {
    bytes: Vec<u8>,
    is_qcow: bool,
}

/// The parameters of a run. None of them may change the bytes that are read.
struct Way {
    salvage: bool,
    block_size: u32,
    /// The number of bytes lent to each image beyond its needs.
    extra: usize,
    step: usize,
}

#[test]
fn every_image_strictly() {
    run(false);
}

#[test]
fn every_image_in_salvage() {
    run(true);
}

fn run(salvage: bool) {
    let manifest = std::fs::read_to_string(folder().join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let mut wrong = Vec::new();
    for entry in manifest["images"].as_array().unwrap() {
        let files = files(entry);
        for block_size in [1, 512, 4096] {
            for (extra, step) in [(0, 1 << 16), (0, 1000), (70_000, 1 << 20), (70_000, 4096)] {
                let way = Way {
                    salvage,
                    block_size,
                    extra,
                    step,
                };
                if let Err(error) = one(entry, &files, &way) {
                    let file = &entry["file"];
                    wrong.push(format!(
                        "{file}: {error} (blocks of {block_size}, {extra} bytes extra, {step} a read)"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Reads the files of the image and of its backing images.
fn files(entry: &Value) -> Vec<File> {
    let read = |name: &Value| std::fs::read(folder().join("images").join(name.as_str().unwrap())).unwrap();
    let mut files = vec![File {
        bytes: read(&entry["file"]),
        is_qcow: true,
    }];
    for backing in entry["backing"].as_array().into_iter().flatten() {
        files.push(File {
            bytes: read(&backing["file"]),
            is_qcow: backing["format"] == "qcow",
        });
    }
    files
}

fn one(entry: &Value, files: &[File], way: &Way) -> Result<(), String> {
    let expected = &entry[if way.salvage { "salvage" } else { "strict" }];
    let key = entry["key"].as_str();
    let mut chain = open(files, key, way);

    // In the sequence of the manifest, before anything else is read.
    for read in expected["reads"].as_array().into_iter().flatten() {
        let chain = chain.as_mut().map_err(|error| error.to_string())?;
        let mut bytes = vec![0xcc; read["len"].as_u64().unwrap() as usize];
        let offset = read["offset"].as_u64().unwrap();
        let found = chain.read_at(offset, &mut bytes).map(|()| digest(&bytes));
        judge(&found, read).map_err(|error| format!("at {offset}: {error}"))?;
    }
    if let (Ok(chain), Some(size)) = (&chain, expected["size"].as_u64())
        && chain.size() != size
    {
        return Err(format!("{} bytes, not {size}", chain.size()));
    }
    if expected.get("sha256").is_some() || expected.get("error").is_some() {
        let found = chain.and_then(|mut chain| whole(&mut chain, way.step));
        judge(&found, expected)?;
    }
    Ok(())
}

/// Checks that a digest or an error is the expected one.
fn judge(found: &Result<String, Error<Broken>>, expected: &Value) -> Result<(), String> {
    let found = match found {
        Ok(digest) => digest.as_str(),
        Err(error) => class(error).map_or("another error", error_name),
    };
    let right = expected
        .get("sha256")
        .or(expected.get("error"))
        .and_then(Value::as_str)
        .unwrap();
    if found == right {
        Ok(())
    } else {
        Err(format!("{found}, not {right}"))
    }
}

/// Returns the memory that an image needs to read everything; if it cannot be opened, a block.
fn memory(file: &File, way: &Way) -> Vec<u8> {
    let block_size = BlockSize::new(way.block_size).unwrap();
    let needed = match Header::parse(&file.bytes) {
        Ok(header) if file.is_qcow => header.memory_for(block_size, file.bytes.len() as u64).compressed,
        _ => 512.max(way.block_size as usize),
    };
    vec![0xdd; needed + way.extra]
}

fn open<'f>(files: &'f [File], key: Option<&str>, way: &Way) -> Result<Opened<'f>, Error<Broken>> {
    let mut chain = Chain::new();
    for file in files {
        let memory = memory(file, way);
        let device = TestDevice::new(&file.bytes, way.block_size);
        let mut image = if file.is_qcow {
            Image::open_with(OpenOptions::new().salvage(way.salvage), device, memory)
        } else {
            Image::open_raw(device, memory)
        }
        .map_err(|error| error.into_error())?;
        if let Some(key) = key {
            image.set_key(&Key::from_passphrase(key.as_bytes()));
        }
        chain.push(image).expect("the image above names no backing file");
    }
    Ok(chain)
}

/// Returns the digest of the whole disk.
fn whole(chain: &mut Opened<'_>, step: usize) -> Result<String, Error<Broken>> {
    let mut disk = vec![0xcc; chain.size() as usize];
    let mut at = 0;
    for part in disk.chunks_mut(step) {
        chain.read_at(at, part)?;
        at += part.len() as u64;
    }
    Ok(digest(&disk))
}
