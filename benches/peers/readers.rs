//! The workloads of this crate.

use std::error::Error;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use qcow1::{BlockRead, Chain, ExtentKind, GuestRead, Image, Key};

use crate::work::{Aligned, BLOCK, Counted, MIB, add, report};
use crate::{Disk, Places};

type Failure = Box<dyn Error>;

/// The maximum length of a measured chain.
const DEPTH: usize = 3;

/// The number of times that `open` opens an image.
const OPENINGS: u32 = 1000;

/// Opens an image, or a raw disk if its name says so.
fn level<'m, D: BlockRead<Error = io::Error>>(
    path: &Path,
    device: D,
    memory: &'m mut [u8],
    password: Option<&str>,
) -> Result<Image<D, &'m mut [u8]>, Failure> {
    if path.extension().is_some_and(|extension| extension == "raw") {
        return Image::open_raw(device, memory).map_err(|error| error.to_string().into());
    }
    let mut image = Image::open(device, memory).map_err(|error| error.to_string())?;
    if let Some(password) = password {
        image.set_key(&Key::from_passphrase(password.as_bytes()));
    }
    Ok(image)
}

/// Returns memory for each image, already mapped.
fn memory(disk: &Disk) -> Vec<Vec<u8>> {
    vec![vec![1; disk.memory]; disk.files.len()]
}

/// Opens the chain of the disk's files. A disk of one file is a chain of one, which costs what an image does.
pub(crate) fn chain<'m>(
    disk: &Disk,
    memory: &'m mut [Vec<u8>],
) -> Result<Chain<Image<File, &'m mut [u8]>, DEPTH>, Failure> {
    let mut chain = Chain::new();
    for (path, memory) in disk.files.iter().zip(memory) {
        let image = level(path, File::open(path)?, memory, disk.password.as_deref())?;
        chain.push(image).map_err(|error| error.to_string())?;
    }
    Ok(chain)
}

/// Reads the whole disk and passes each piece to a function.
fn each_mib(
    disk: &mut impl GuestRead<Error = io::Error>,
    buf: &mut Aligned,
    mut piece: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<(), Failure> {
    let size = disk.size();
    for offset in (0..size).step_by(MIB) {
        let len = usize::try_from(size - offset).map_or(MIB, |rest| rest.min(MIB));
        let buf = &mut buf.get()[..len];
        disk.read_at(offset, buf).map_err(|error| error.to_string())?;
        piece(buf)?;
    }
    Ok(())
}

pub(crate) fn dump(disk: &Disk) -> Result<(), Failure> {
    let mut memory = memory(disk);
    let mut chain = chain(disk, &mut memory)?;
    let mut out = io::stdout().lock();
    each_mib(&mut chain, &mut Aligned::new(MIB), |piece| out.write_all(piece))
}

pub(crate) fn read(disk: &Disk) -> Result<(), Failure> {
    let mut memory = memory(disk);
    let mut buf = Aligned::new(MIB);
    let start = Instant::now();
    let mut chain = chain(disk, &mut memory)?;
    each_mib(&mut chain, &mut buf, |piece| {
        black_box(piece);
        Ok(())
    })?;
    report(start.elapsed(), &[("bytes", chain.size())]);
    Ok(())
}

pub(crate) fn random(disk: &Disk, places: &Places, in_memory: bool) -> Result<(), Failure> {
    let mut memory = memory(disk);
    if !in_memory {
        return random_reads(&mut chain(disk, &mut memory)?, places);
    }
    let bytes = fs::read(&disk.files[0])?;
    let mut image = Image::open(&bytes[..], &mut memory[0]).map_err(|error| error.to_string())?;
    random_reads(&mut image, places)
}

fn random_reads<G: GuestRead>(disk: &mut G, places: &Places) -> Result<(), Failure> {
    let offsets = places.offsets(disk.size());
    let (warm_up, timed) = offsets.split_at(places.warm_up);
    let mut buf = Aligned::new(BLOCK);
    let mut check = 0;
    let mut read = |offset: &u64| {
        let buf = buf.get();
        let result = disk.read_at(*offset, buf);
        add(&mut check, buf);
        result
    };
    warm_up.iter().try_for_each(&mut read).map_err(|e| format!("{e:?}"))?;
    let start = Instant::now();
    timed.iter().try_for_each(&mut read).map_err(|e| format!("{e:?}"))?;
    report(start.elapsed(), &[("check", check)]);
    Ok(())
}

/// Returns the guest offset of the first data at or after the disk's middle.
fn middle(disk: &Disk) -> Result<u64, Failure> {
    let mut memory = memory(disk);
    let path = &disk.files[0];
    let mut image = level(path, File::open(path)?, &mut memory[0], None)?;
    let half = image.size() / 2;
    for extent in image.extents() {
        let extent = extent.map_err(|error| error.to_string())?;
        if extent.end() > half && matches!(extent.kind, ExtentKind::Data { .. }) {
            return Ok(extent.start.max(half));
        }
    }
    Err("there is no data after the middle of the disk".into())
}

pub(crate) fn open(disk: &Disk) -> Result<(), Failure> {
    let offset = middle(disk)?;
    let mut memory = memory(disk);
    let mut device = Counted::new(File::open(&disk.files[0])?);
    let mut sector = [0; 512];
    let mut opening = 0;
    let start = Instant::now();
    for _ in 0..OPENINGS {
        device.requests = 0;
        let mut image = Image::open(&mut device, &mut memory[0]).map_err(|error| error.to_string())?;
        opening = image.device_mut().requests;
        image.read_at(offset, &mut sector).map_err(|error| error.to_string())?;
    }
    let requests = device.requests;
    report(
        start.elapsed() / OPENINGS,
        &[("open_requests", opening), ("requests", requests)],
    );
    Ok(())
}

pub(crate) fn extents(disk: &Disk) -> Result<(), Failure> {
    let mut memory = memory(disk);
    let path = &disk.files[0];
    let start = Instant::now();
    let mut image = level(path, Counted::new(File::open(path)?), &mut memory[0], None)?;
    let (mut runs, mut data) = (0, 0);
    for extent in image.extents() {
        let extent = extent.map_err(|error| error.to_string())?;
        runs += 1;
        if matches!(extent.kind, ExtentKind::Data { .. }) {
            data += extent.len;
        }
    }
    let time = start.elapsed();
    report(
        time,
        &[
            ("runs", runs),
            ("data", data),
            ("requests", image.device_mut().requests),
        ],
    );
    Ok(())
}
