//! The limits of all readers: reading the same bytes without a format around them.

use std::error::Error;
use std::fs::{self, File};
use std::hint::black_box;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::time::Instant;

use aes::Aes128Dec;
use aes::cipher::{Array, BlockModeDecrypt, InnerIvInit, KeyInit};
use qcow1::{Extent, ExtentKind};
use qcow1_inflate::Workspace;

use crate::readers::chain;
use crate::work::{Aligned, BLOCK, MIB, add, report};
use crate::{Disk, Places};

type Failure = Box<dyn Error>;

/// An extent of a disk, and the index of its file.
type Found = (usize, Extent);

/// Returns the extents of a disk, and its size.
fn extents(disk: &Disk) -> Result<(Vec<Found>, u64), Failure> {
    let mut memory = vec![vec![0; 32 * MIB]; disk.files.len()];
    let mut chain = chain(disk, &mut memory)?;
    let mut extents = Vec::new();
    let mut at = 0;
    while at < chain.size() {
        let found = chain.extent_at(at, u64::MAX).map_err(|error| error.to_string())?;
        at = found.1.end();
        extents.push(found);
    }
    Ok((extents, at))
}

fn files(disk: &Disk) -> Result<Vec<File>, Failure> {
    Ok(disk.files.iter().map(File::open).collect::<Result<_, _>>()?)
}

/// Returns the parts of an extent that lie in one MiB of the disk each: the offset in the extent, and the place in a buffer
/// of 1 MiB.
fn parts(extent: &Extent) -> impl Iterator<Item = (u64, Range<usize>)> {
    let (start, end) = (extent.start, extent.end());
    let mut at = start;
    std::iter::from_fn(move || {
        let from = at as usize % MIB;
        let len = (MIB - from).min((end - at) as usize);
        let part = (at - start, from..from + len);
        at += len as u64;
        (len != 0).then_some(part)
    })
}

pub(crate) fn pread(disk: &Disk) -> Result<(), Failure> {
    let files = files(disk)?;
    let mut pieces = Vec::new();
    let (extents, size) = extents(disk)?;
    for (file, extent) in extents {
        let ExtentKind::Data { host_offset } = extent.kind else {
            return Err("only data can be read from a file".into());
        };
        pieces.extend(parts(&extent).map(|(within, place)| (file, host_offset + within, place)));
    }
    let mut buf = Aligned::new(MIB);
    let start = Instant::now();
    for (file, host_offset, place) in &pieces {
        let buf = &mut buf.get()[place.clone()];
        files[*file].read_exact_at(buf, *host_offset)?;
        black_box(buf);
    }
    report(start.elapsed(), &[("bytes", size), ("requests", pieces.len() as u64)]);
    Ok(())
}

pub(crate) fn random(disk: &Disk, places: &Places, in_memory: bool) -> Result<(), Failure> {
    let files = files(disk)?;
    let (extents, size) = extents(disk)?;
    let place = |offset: u64| {
        let (file, extent) = &extents[extents.partition_point(|(_, extent)| extent.end() <= offset)];
        match extent.kind {
            ExtentKind::Data { host_offset } if offset + BLOCK as u64 <= extent.end() => {
                Ok((*file, host_offset + (offset - extent.start)))
            }
            _ => Err("only data of one extent can be read at random"),
        }
    };
    let places_in_files: Vec<_> = places.offsets(size).into_iter().map(place).collect::<Result<_, _>>()?;
    let (warm_up, timed) = places_in_files.split_at(places.warm_up);
    let mut buf = Aligned::new(BLOCK);
    let mut check = 0;
    let bytes = if in_memory {
        fs::read(&disk.files[0])?
    } else {
        Vec::new()
    };
    let mut copy = |&(file, offset): &(usize, u64)| {
        let buf = buf.get();
        if in_memory {
            let start = offset as usize;
            buf.copy_from_slice(&bytes[start..start + BLOCK]);
        } else {
            files[file].read_exact_at(buf, offset)?;
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

pub(crate) fn inflate(disk: &Disk) -> Result<(), Failure> {
    let bytes = fs::read(&disk.files[0])?;
    let (extents, size) = extents(disk)?;
    let mut memory = [0; Workspace::FAST];
    let mut workspace = Workspace::new(&mut memory).ok_or("too little memory")?;
    let mut buf = Aligned::new(MIB);
    let start = Instant::now();
    for (_, extent) in &extents {
        for (within, place) in parts(extent) {
            let buf = &mut buf.get()[place];
            match extent.kind {
                ExtentKind::Data { host_offset } => {
                    let from = (host_offset + within) as usize;
                    buf.copy_from_slice(&bytes[from..from + buf.len()]);
                }
                ExtentKind::Compressed {
                    host_offset,
                    stored_len,
                } => {
                    let stream = bytes[host_offset as usize..].iter().as_slice();
                    let stream = &stream[..stream.len().min(stored_len as usize)];
                    qcow1_inflate::inflate(stream, buf, &mut workspace)?;
                }
                _ => buf.fill(0),
            }
            black_box(buf);
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
