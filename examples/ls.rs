//! Lists the files of a FAT volume inside a QCOW1 image, or prints one: `ls [IMAGE [PATH]]`.
//!
//! This is what the crate is for, in small: a file, an image on it, and a file system on that, which here is
//! `embedded-sdmmc`'s. Nothing is allocated between the image and the directory entries. Without arguments it shows a
//! disk that comes with the repository.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::ops::ControlFlow;
use std::process::ExitCode;

use embedded_sdmmc::{
    Block, BlockCount, BlockDevice, BlockIdx, DirEntry, Directory, LfnBuffer, Mode, TimeSource, Timestamp, VolumeIdx,
    VolumeManager,
};
use qcow1::Image;

const DEFAULT_DISK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/disk.qcow");

/// Directories that can be open at once: how deep a tree may be.
const DEPTH: usize = 16;

type Failure = Box<dyn std::error::Error>;
type Folder<'a, 'm> = Directory<'a, Disk<'m>, NoClock, DEPTH, 1, 1>;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let disk = arguments.next().unwrap_or_else(|| DEFAULT_DISK.into());
    let path = arguments.next().unwrap_or_default();
    match show(&disk, &path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ls: {disk}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn show(disk: &str, path: &str) -> Result<(), Failure> {
    let mut memory = [0; 65_536];
    let image = Image::open(File::open(disk)?, &mut memory)?;
    let volumes: VolumeManager<_, _, DEPTH, 1, 1> = VolumeManager::new_with_limits(Disk::new(image)?, NoClock, 0);
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

/// The guest's disk as `embedded-sdmmc` wants it.
///
/// It knows volumes in an MBR's partitions only. A disk that is one volume is shown to it as the first partition,
/// behind an MBR that is made up.
struct Disk<'m> {
    // The trait reads through a shared reference, and an image needs its own.
    image: RefCell<Image<'m, File>>,
    sectors: u32,
    is_one_volume: bool,
}

impl<'m> Disk<'m> {
    fn new(mut image: Image<'m, File>) -> Result<Self, qcow1::Error<std::io::Error>> {
        let mut sector = [0; Block::LEN];
        image.read_at(0, &mut sector)?;
        // A FAT volume begins with a jump and says that its sectors have 512 bytes.
        let is_one_volume = matches!(sector[0], 0xeb | 0xe9) && sector[11..13] == [0, 2];
        let sectors = image.len() / Block::LEN as u64;
        Ok(Self {
            image: RefCell::new(image),
            sectors: sectors.try_into().unwrap_or(u32::MAX - 1),
            is_one_volume,
        })
    }

    /// An MBR with one partition, all of the disk, marked as FAT.
    fn made_up_mbr(&self) -> [u8; Block::LEN] {
        let mut mbr = [0; Block::LEN];
        mbr[446 + 4] = 0x0e;
        mbr[446 + 8..446 + 12].copy_from_slice(&1_u32.to_le_bytes());
        mbr[446 + 12..446 + 16].copy_from_slice(&self.sectors.to_le_bytes());
        mbr[510..].copy_from_slice(&[0x55, 0xaa]);
        mbr
    }
}

impl BlockDevice for Disk<'_> {
    type Error = qcow1::Error<std::io::Error>;

    fn read(&self, blocks: &mut [Block], start: BlockIdx) -> Result<(), Self::Error> {
        let mut image = self.image.borrow_mut();
        for (block, number) in blocks.iter_mut().zip(u64::from(start.0)..) {
            match (self.is_one_volume, number) {
                (true, 0) => block.contents = self.made_up_mbr(),
                (true, _) => image.read_at((number - 1) * Block::LEN as u64, &mut block.contents)?,
                (false, _) => image.read_at(number * Block::LEN as u64, &mut block.contents)?,
            }
        }
        Ok(())
    }

    fn write(&self, _: &[Block], _: BlockIdx) -> Result<(), Self::Error> {
        Err(qcow1::Error::Io(std::io::ErrorKind::ReadOnlyFilesystem.into()))
    }

    fn num_blocks(&self) -> Result<BlockCount, Self::Error> {
        Ok(BlockCount(self.sectors + u32::from(self.is_one_volume)))
    }
}

/// Nothing is written, so no time is ever asked.
struct NoClock;

impl TimeSource for NoClock {
    fn get_timestamp(&self) -> Timestamp {
        Timestamp::from_fat(0, 0)
    }
}
