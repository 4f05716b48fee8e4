//! What no reader can be faster than: the same bytes, without a format around them.

use std::error::Error;
use std::fs::{self, File};
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use aes::Aes128Dec;
use aes::cipher::{Array, BlockModeDecrypt, InnerIvInit, KeyInit};
use qcow1::{BlockRead, Extent, ExtentKind, Image};
use zerocopy::FromBytes;

use crate::Places;
use crate::work::{Aligned, BLOCK, MIB, add, report};

// The decoder as it stands, compiled into this program, since the crate does not export it.
#[allow(dead_code, unused_imports, unreachable_pub, reason = "the crate uses all of it")]
#[path = "../../src/inflate/mod.rs"]
mod inflate_alone;

type Failure = Box<dyn Error>;

pub(crate) fn pread(file: &Path, bytes: u64) -> Result<(), Failure> {
    let file = File::open(file)?;
    let mut buf = Aligned::new(MIB);
    let start = Instant::now();
    for offset in (0..bytes).step_by(MIB) {
        let len = usize::try_from(bytes - offset).map_or(MIB, |rest| rest.min(MIB));
        let buf = &mut buf.get()[..len];
        file.read_exact_at(buf, offset)?;
        black_box(buf);
    }
    report(start.elapsed(), &[("bytes", bytes)]);
    Ok(())
}

/// The extents of an image, and its size.
fn extents(device: impl BlockRead) -> Result<(Vec<Extent>, u64), Failure> {
    let mut memory = vec![0; 4 * MIB];
    let mut image = Image::open(device, &mut memory).map_err(|error| error.to_string())?;
    let extents = image
        .extents()
        .collect::<Result<_, _>>()
        .map_err(|e| format!("{e:?}"))?;
    Ok((extents, image.size()))
}

/// A piece of a 1 MiB buffer, and where in the file its bytes are.
struct Piece {
    start: usize,
    len: usize,
    host_offset: u64,
}

pub(crate) fn clusters(path: &Path) -> Result<(), Failure> {
    let file = File::open(path)?;
    let mut pieces = Vec::new();
    let (extents, size) = extents(File::open(path)?)?;
    for extent in extents {
        if let ExtentKind::Data { host_offset } = extent.kind {
            let mut at = extent.start;
            while at < extent.end() {
                let start = at as usize % MIB;
                let len = (MIB - start).min((extent.end() - at) as usize);
                let host_offset = host_offset + (at - extent.start);
                pieces.push(Piece {
                    start,
                    len,
                    host_offset,
                });
                at += len as u64;
            }
        }
    }
    let mut buf = Aligned::new(MIB);
    let start = Instant::now();
    for piece in &pieces {
        let buf = &mut buf.get()[piece.start..piece.start + piece.len];
        file.read_exact_at(buf, piece.host_offset)?;
        black_box(buf);
    }
    report(start.elapsed(), &[("bytes", size), ("requests", pieces.len() as u64)]);
    Ok(())
}

pub(crate) fn random(path: &Path, places: &Places, in_memory: bool) -> Result<(), Failure> {
    let file = File::open(path)?;
    let offsets = if path.extension().is_some_and(|extension| extension == "raw") {
        places.offsets(file.metadata()?.len())
    } else {
        let (extents, size) = extents(File::open(path)?)?;
        let host = |offset: u64| {
            let extent = &extents[extents.partition_point(|extent| extent.end() <= offset)];
            match extent.kind {
                ExtentKind::Data { host_offset } => Ok(host_offset + (offset - extent.start)),
                _ => Err("only data can be read at random"),
            }
        };
        let offsets = places.offsets(size).into_iter().map(host);
        offsets.collect::<Result<_, _>>()?
    };
    let (warm_up, timed) = offsets.split_at(places.warm_up);
    let mut buf = Aligned::new(BLOCK);
    let mut check = 0;
    let bytes = if in_memory { fs::read(path)? } else { Vec::new() };
    let mut copy = |offset: &u64| {
        let buf = buf.get();
        if in_memory {
            let start = *offset as usize;
            buf.copy_from_slice(&bytes[start..start + BLOCK]);
        } else {
            file.read_exact_at(buf, *offset)?;
        }
        add(&mut check, buf);
        Ok::<(), std::io::Error>(())
    };
    warm_up.iter().try_for_each(&mut copy)?;
    let start = Instant::now();
    timed.iter().try_for_each(&mut copy)?;
    report(start.elapsed(), &[("check", check)]);
    Ok(())
}

pub(crate) fn inflate(path: &Path) -> Result<(), Failure> {
    let bytes = fs::read(path)?;
    let (extents, size) = extents(&bytes[..])?;
    let mut tables = vec![0; size_of::<inflate_alone::Tables>()];
    let tables = inflate_alone::Tables::mut_from_bytes(&mut tables).map_err(|error| format!("{error:?}"))?;
    let mut workspace = inflate_alone::Workspace::Tables(tables);
    let mut buf = Aligned::new(MIB);
    let start = Instant::now();
    for extent in &extents {
        let mut at = extent.start;
        while at < extent.end() {
            let start = at as usize % MIB;
            let len = (MIB - start).min((extent.end() - at) as usize);
            let buf = &mut buf.get()[start..start + len];
            match extent.kind {
                ExtentKind::Data { host_offset } => {
                    let from = (host_offset + (at - extent.start)) as usize;
                    buf.copy_from_slice(&bytes[from..from + len]);
                }
                ExtentKind::Compressed {
                    host_offset,
                    stored_len,
                } => {
                    let stream = bytes[host_offset as usize..].iter().as_slice();
                    let stream = &stream[..stream.len().min(stored_len as usize)];
                    inflate_alone::inflate(stream, buf, &mut workspace).map_err(|error| format!("{error:?}"))?;
                }
                _ => buf.fill(0),
            }
            black_box(buf);
            at += len as u64;
        }
    }
    report(start.elapsed(), &[("bytes", size)]);
    Ok(())
}

pub(crate) fn aes(bytes: u64) -> Result<(), Failure> {
    let cipher = Aes128Dec::new(&Array([7; 16]));
    let mut buf = Aligned::new(MIB);
    let start = Instant::now();
    for offset in (0..bytes).step_by(MIB) {
        let (blocks, _) = Array::slice_as_chunks_mut(buf.get());
        for (sector, number) in blocks.chunks_mut(512 / 16).zip(offset / 512..) {
            let mut iv = [0; 16];
            iv[..8].copy_from_slice(&number.to_le_bytes());
            cbc::Decryptor::inner_iv_init(&cipher, &Array(iv)).decrypt_blocks(sector);
        }
        black_box(buf.get());
    }
    report(start.elapsed(), &[("bytes", bytes)]);
    Ok(())
}
