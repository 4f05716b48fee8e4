//! FAT, with `embedded-sdmmc`.

use std::ffi::OsStr;
use std::fs::File;
use std::ops::ControlFlow;
use std::panic::{self, AssertUnwindSafe};

use embedded_sdmmc::{
    Block, BlockDevice, BlockIdx, DirEntry, Directory, LfnBuffer, Mode, ShortFileName, TimeSource, Timestamp,
    VolumeIdx, VolumeManager,
};
use qcow1::{Image, Partition, ToBlockDevice};

use crate::Failure;
use crate::boot_sector::{BootSector, SECTOR};
use crate::disk::Volume;
use crate::mbr::WithMbr;
use crate::output::Output;

/// The maximum number of open directories, and so the maximum depth of a tree.
const DEPTH: usize = 16;

/// The size in bytes of the longest name: 255 characters of at most 3 bytes.
const NAME: usize = 768;

/// The volume's first sector on the disk of `WithMbr`.
const FIRST: u32 = 1;

/// A volume as `embedded-sdmmc` requires it: as a partition in an MBR.
type Disk<'m> = ToBlockDevice<WithMbr<Partition<Image<File, &'m mut [u8]>>>>;

type Folder<'a, 'm> = Directory<'a, Disk<'m>, NoClock, DEPTH, 1, 1>;

/// Lists the directory at `path` in the volume, or prints the file.
pub fn show(
    image: Image<File, &mut [u8]>,
    volume: &Volume,
    boot: &BootSector,
    path: &OsStr,
    output: &mut Output,
) -> Result<(), Failure> {
    let partition = Partition::new(image, volume.start, volume.len);
    let files = Files {
        volumes: VolumeManager::new_with_limits(ToBlockDevice::new(WithMbr::new(partition)), NoClock, 0),
        boot: boot.clone(),
    };
    // The library panics at a long name whose parts split a character.
    panic::set_hook(Box::new(|_| {}));
    let shown = panic::catch_unwind(AssertUnwindSafe(|| files.show(path, output)));
    let _ = panic::take_hook();
    shown.unwrap_or_else(|_| Err("damaged: the FAT library panicked".into()))
}

/// A volume whose chains are checked before the library follows them.
struct Files<'m> {
    volumes: VolumeManager<Disk<'m>, NoClock, DEPTH, 1, 1>,
    boot: BootSector,
}

/// An entry of a directory, with its long name if it has one.
struct Entry {
    short: ShortFileName,
    name: String,
    size: u32,
    is_folder: bool,
}

impl Files<'_> {
    fn show(&self, path: &OsStr, output: &mut Output) -> Result<(), Failure> {
        let volume = self.volumes.open_volume(VolumeIdx(0))?;
        self.boot.check_root(|lba| self.sector(lba))?;
        let mut folder = volume.open_root_dir()?;
        let shown = path.to_string_lossy();
        let missing = || format!("{shown}: no such file");
        // In FAT, names are text.
        let path = path.to_str().ok_or_else(missing)?;
        let mut names = path.split('/').filter(|name| !name.is_empty()).peekable();
        while let Some(name) = names.next() {
            let entry = entries(&folder)?.into_iter().find(|entry| entry.is(name));
            let entry = entry.ok_or_else(missing)?;
            if entry.is_folder {
                folder = self.enter(&folder, &entry)?;
            } else if names.peek().is_none() {
                return self.print(&folder, &entry, output);
            } else {
                return Err(format!("{path}: {name} is not a directory").into());
            }
        }
        self.list(&folder, path.trim_matches('/'), output)
    }

    /// Lists a directory, and then its subdirectories.
    fn list(&self, folder: &Folder<'_, '_>, path: &str, output: &mut Output) -> Result<(), Failure> {
        let join = |name: &str| [path, name].join(if path.is_empty() { "" } else { "/" });
        let entries = entries(folder)?;
        for entry in &entries {
            let end = if entry.is_folder { "/" } else { "" };
            output.entry(entry.size.into(), &join(&entry.name), end)?;
        }
        for entry in entries.iter().filter(|entry| entry.is_folder) {
            self.list(&self.enter(folder, entry)?, &join(&entry.name), output)?;
        }
        Ok(())
    }

    /// Opens a directory inside another.
    fn enter<'a, 'm>(&self, folder: &Folder<'a, 'm>, entry: &Entry) -> Result<Folder<'a, 'm>, Failure> {
        let first = self.first_cluster(&found(folder, entry)?)?;
        self.boot.check_directory(first, |lba| self.sector(lba))?;
        Ok(folder.open_dir(entry.short)?)
    }

    /// Prints a file.
    fn print(&self, folder: &Folder<'_, '_>, entry: &Entry, output: &mut Output) -> Result<(), Failure> {
        let found = found(folder, entry)?;
        let first = self.first_cluster(&found)?;
        self.boot.check_file(first, found.size, |lba| self.sector(lba))?;
        let file = folder.open_file_in_dir(entry.short, Mode::ReadOnly)?;
        let mut buffer = [0; 4096];
        while !file.is_eof() {
            let len = file.read(&mut buffer)?;
            output.bytes(&buffer[..len])?;
        }
        Ok(())
    }

    /// Returns an entry's first cluster, which the library does not expose.
    fn first_cluster(&self, entry: &DirEntry) -> Result<u32, Failure> {
        let sector = self.sector(entry.entry_block.0.saturating_sub(FIRST))?;
        let bytes = sector.get(entry.entry_offset as usize..).unwrap_or_default();
        let bytes = bytes.get(..32).ok_or("damaged: an entry is cut off")?;
        Ok(self.boot.first_cluster(bytes))
    }

    /// Reads a sector of the volume.
    fn sector(&self, lba: u32) -> Result<[u8; SECTOR], Failure> {
        let mut block = [Block::new()];
        let lba = BlockIdx(FIRST.saturating_add(lba));
        self.volumes.device(|disk| disk.read(&mut block, lba))?;
        Ok(block[0].contents)
    }
}

impl Entry {
    /// Returns `true` if the entry has this name, ignoring case.
    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name) || self.short.to_string().eq_ignore_ascii_case(name)
    }
}

/// Returns the entries of a directory, without a volume label, `.` and `..`.
fn entries(folder: &Folder<'_, '_>) -> Result<Vec<Entry>, Failure> {
    let mut storage = [0; NAME];
    let mut entries = Vec::new();
    folder.iterate_dir_lfn(&mut LfnBuffer::new(&mut storage), |entry, long_name| {
        if !entry.attributes.is_volume() && !entry.name.base_name().starts_with(b".") {
            entries.push(Entry {
                name: long_name.map_or_else(|| entry.name.to_string(), str::to_owned),
                short: entry.name,
                size: entry.size,
                is_folder: entry.attributes.is_directory(),
            });
        }
        ControlFlow::Continue(())
    })?;
    Ok(entries)
}

/// Returns the entry that the library opens by a name. In a damaged directory, two entries may have the same name.
fn found(folder: &Folder<'_, '_>, entry: &Entry) -> Result<DirEntry, Failure> {
    Ok(folder.find_directory_entry(entry.short)?)
}

/// A clock that is never used, because nothing is written.
struct NoClock;

impl TimeSource for NoClock {
    fn get_timestamp(&self) -> Timestamp {
        Timestamp::from_fat(0, 0)
    }
}
