//! FAT, with `embedded-sdmmc`: nothing is allocated between the image and the directory entries.

use std::fs::File;
use std::io::Write;
use std::ops::ControlFlow;

use embedded_sdmmc::{Block, DirEntry, Directory, LfnBuffer, Mode, TimeSource, Timestamp, VolumeIdx, VolumeManager};
use qcow1::{Error, GuestRead, Image, ToBlockDevice};

use crate::Failure;
use crate::disk::Volume;

/// Directories that can be open at once: how deep a tree may be.
const DEPTH: usize = 16;

type Folder<'a, 'm> = Directory<'a, ToBlockDevice<OnlyPartition<'m>>, NoClock, DEPTH, 1, 1>;

/// Lists what is at `path` in the volume, or prints it.
pub fn show(image: Image<'_, File>, volume: &Volume, path: &str) -> Result<(), Failure> {
    let disk = ToBlockDevice::new(OnlyPartition::new(image, volume));
    let volumes: VolumeManager<_, _, DEPTH, 1, 1> = VolumeManager::new_with_limits(disk, NoClock, 0);
    let volume = volumes.open_volume(VolumeIdx(0))?;
    let mut folder = volume.open_root_dir()?;
    let mut names = path.split('/').filter(|name| !name.is_empty()).peekable();
    while let Some(name) = names.next() {
        let entry = find(&folder, name)?.ok_or_else(|| format!("{path}: no such file"))?;
        if entry.attributes.is_directory() {
            folder.change_dir(entry.name)?;
        } else if names.peek().is_none() {
            return print(&folder, &entry);
        } else {
            return Err(format!("{path}: {name} is no directory").into());
        }
    }
    list(&folder, path.trim_matches('/'))
}

/// Lists a directory, and then those inside it.
fn list(folder: &Folder<'_, '_>, path: &str) -> Result<(), Failure> {
    let join = |name: &str| [path, name].join(if path.is_empty() { "" } else { "/" });
    let mut storage = [0; 768];
    folder.iterate_dir_lfn(&mut LfnBuffer::new(&mut storage), |entry, long_name| {
        if !is_listed(entry) {
            return ControlFlow::Continue(());
        }
        let name = long_name.map_or_else(|| entry.name.to_string(), str::to_owned);
        let folder = entry.attributes.is_directory();
        println!("{:>10}  {}{}", entry.size, join(&name), if folder { "/" } else { "" });
        ControlFlow::Continue(())
    })?;
    // A directory can't be opened while another is gone through, so each is sought by its number.
    for number in 0.. {
        let mut folders = 0;
        let mut found = None;
        folder.iterate_dir_lfn(&mut LfnBuffer::new(&mut storage), |entry, long_name| {
            if is_listed(entry) && entry.attributes.is_directory() {
                if folders == number {
                    let name = long_name.map_or_else(|| entry.name.to_string(), str::to_owned);
                    found = Some((entry.name, name));
                    return ControlFlow::Break(());
                }
                folders += 1;
            }
            ControlFlow::Continue(())
        })?;
        match found {
            Some((short, name)) => list(&folder.open_dir(short)?, &join(&name))?,
            None => return Ok(()),
        }
    }
    Ok(())
}

/// Neither a volume's label nor the entries for a directory itself and the one above.
fn is_listed(entry: &DirEntry) -> bool {
    !entry.attributes.is_volume() && !entry.name.base_name().starts_with(b".")
}

/// The entry of a short or long name, in capitals or not.
fn find(folder: &Folder<'_, '_>, name: &str) -> Result<Option<DirEntry>, Failure> {
    let mut storage = [0; 768];
    let mut found = None;
    folder.iterate_dir_lfn(&mut LfnBuffer::new(&mut storage), |entry, long_name| {
        let is_it = |known: &str| known.eq_ignore_ascii_case(name);
        if is_listed(entry) && (long_name.is_some_and(is_it) || is_it(&entry.name.to_string())) {
            found = Some(entry.clone());
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// Prints a file.
fn print(folder: &Folder<'_, '_>, entry: &DirEntry) -> Result<(), Failure> {
    let file = folder.open_file_in_dir(entry.name, Mode::ReadOnly)?;
    let mut buffer = [0; 4096];
    while !file.is_eof() {
        let len = file.read(&mut buffer)?;
        std::io::stdout().write_all(&buffer[..len])?;
    }
    Ok(())
}

/// A volume as a disk of which it is the only partition: `embedded-sdmmc` knows volumes in an MBR's partitions only.
///
/// The MBR is made up, and the volume comes right behind it, wherever it really is.
struct OnlyPartition<'m> {
    image: Image<'m, File>,
    /// Where the volume starts on the real disk, in bytes.
    start: u64,
    sectors: u32,
}

impl<'m> OnlyPartition<'m> {
    fn new(image: Image<'m, File>, volume: &Volume) -> Self {
        let sectors = volume.len / Block::LEN as u64;
        Self {
            image,
            start: volume.start,
            sectors: sectors.try_into().unwrap_or(u32::MAX - 1),
        }
    }

    /// An MBR with one partition, marked as FAT, from the second sector on.
    fn mbr(&self) -> [u8; Block::LEN] {
        let mut mbr = [0; Block::LEN];
        mbr[446 + 4] = 0x0e;
        mbr[446 + 8..446 + 12].copy_from_slice(&1_u32.to_le_bytes());
        mbr[446 + 12..446 + 16].copy_from_slice(&self.sectors.to_le_bytes());
        mbr[510..].copy_from_slice(&[0x55, 0xaa]);
        mbr
    }
}

impl GuestRead for OnlyPartition<'_> {
    type Error = std::io::Error;

    fn size(&self) -> u64 {
        (u64::from(self.sectors) + 1) * Block::LEN as u64
    }

    /// `embedded-sdmmc` reads sectors, so what is read is all of the MBR or nothing of it.
    fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<std::io::Error>> {
        if offset >= self.size() {
            return Err(Error::OutOfRange);
        }
        match offset.checked_sub(Block::LEN as u64) {
            Some(offset) => self.image.read_at(self.start + offset, dst),
            None => {
                dst.copy_from_slice(&self.mbr()[..dst.len()]);
                Ok(())
            }
        }
    }
}

/// Nothing is written, so no time is ever asked.
struct NoClock;

impl TimeSource for NoClock {
    fn get_timestamp(&self) -> Timestamp {
        Timestamp::from_fat(0, 0)
    }
}
