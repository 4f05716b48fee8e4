//! Finds the file system on a disk.

use std::fs::File;

use gpt_disk_io::BlockIo;
use gpt_disk_io::gpt_disk_types::{BlockSize, GptHeader};
use qcow1::{Error, Image, ToBlockIo};

use crate::Failure;
use crate::boot_sector::{self, BootSector};

const SECTOR: u64 = boot_sector::SECTOR as u64;

/// A file system and its place on the disk, in bytes.
pub struct Volume {
    pub kind: Kind,
    pub start: u64,
    pub len: u64,
}

pub enum Kind {
    Fat(BootSector),
    Ext4,
}

/// The contents of a place on the disk.
enum Found {
    Kind(Kind),
    /// Something like a FAT volume, and the reason why it is not read.
    Refused(String),
    Nothing,
}

/// Returns the first volume that can be read: the whole disk, or a partition.
///
/// # Errors
/// Says why, if there is none.
pub fn first_volume(image: &mut Image<File, &mut [u8]>) -> Result<Volume, Failure> {
    let mut refused = None;
    for (start, len) in places(image)? {
        match kind(image, start, len)? {
            Found::Kind(kind) => return Ok(Volume { kind, start, len }),
            Found::Refused(why) => refused = refused.or(Some((start, why))),
            Found::Nothing => {}
        }
    }
    let nothing = "no FAT16, FAT32 or ext4 file system is on this disk";
    Err(match refused {
        None => nothing.into(),
        Some((start, why)) => format!("{nothing}; the volume at byte {start} is not read: {why}").into(),
    })
}

/// Returns where volumes may lie, in bytes: the whole disk, then its partitions, each with its length.
fn places(image: &mut Image<File, &mut [u8]>) -> Result<Vec<(u64, u64)>, Failure> {
    let mut places = vec![(0, image.size())];
    let partitions = mbr_partitions(image)?.into_iter().flatten();
    for Partition { start, len, is_gpt } in partitions {
        if is_gpt {
            places.truncate(1);
            places.extend(gpt_partitions(image)?);
            break;
        }
        places.push((start, len));
    }
    Ok(places)
}

/// Returns the partitions of a GPT, which must exist. The image does not store the disk's block size, so both 512 and 4,096
/// bytes are tried. The header is in the second block, and its copy in the last.
fn gpt_partitions(image: &mut Image<File, &mut [u8]>) -> Result<Vec<(u64, u64)>, Failure> {
    let mut block = [0; 4096];
    for is_copy in [false, true] {
        for block_size in [BlockSize::BS_512, BlockSize::BS_4096] {
            let mut disk = gpt_disk_io::Disk::new(ToBlockIo::new(&mut *image, block_size))?;
            let header = match is_copy {
                false => disk.read_primary_gpt_header(&mut block),
                true => disk.read_secondary_gpt_header(&mut block),
            };
            // A disk that is too small has no such block.
            let Ok(header) = header else { continue };
            if header.is_signature_valid() && header.header_crc32 == header.calculate_header_crc32() {
                return partitions_of(&mut disk, &header, block_size, &mut block);
            }
        }
    }
    Err("neither copy of the GPT's header is valid".into())
}

/// Returns the partitions that a GPT's header leads to.
fn partitions_of(
    disk: &mut gpt_disk_io::Disk<impl BlockIo<Error: std::error::Error + 'static>>,
    header: &GptHeader,
    block_size: BlockSize,
    block: &mut [u8],
) -> Result<Vec<(u64, u64)>, Failure> {
    let entries = header.get_partition_entry_array_layout()?;
    let mut partitions = Vec::new();
    // A GPT usually has 128 entries. Further entries are ignored.
    for entry in disk.gpt_partition_entry_array_iter(entries, block)?.take(128) {
        let entry = entry?;
        if let Some(lbas) = entry.lba_range().filter(|_| entry.is_used())
            && let Some(bytes) = lbas.to_byte_range(block_size)
        {
            partitions.push((*bytes.start(), lbas.num_bytes(block_size).unwrap_or(0)));
        }
    }
    Ok(partitions)
}

struct Partition {
    start: u64,
    len: u64,
    /// Whether it is the entry of a protective MBR, which marks a GPT.
    is_gpt: bool,
}

/// Returns the four partitions of an MBR, if there is one. The length of an empty one is 0.
fn mbr_partitions(image: &mut Image<File, &mut [u8]>) -> Result<Option<[Partition; 4]>, Failure> {
    let mut mbr = [0; SECTOR as usize];
    if !read_if_inside(image, 0, &mut mbr)? || mbr[510..] != [0x55, 0xaa] {
        return Ok(None);
    }
    let number = |at: usize| u64::from(u32::from_le_bytes(mbr[at..][..4].try_into().unwrap_or_default()));
    Ok(Some([446, 462, 478, 494].map(|at| Partition {
        start: number(at + 8) * SECTOR,
        len: number(at + 12) * SECTOR,
        is_gpt: mbr[at + 4] == 0xee,
    })))
}

/// Returns what the `len` bytes of the disk that start at `start` contain.
fn kind(image: &mut Image<File, &mut [u8]>, start: u64, len: u64) -> Result<Found, Failure> {
    let mut boot = [0; SECTOR as usize];
    let mut refused = Found::Nothing;
    if len >= SECTOR && read_if_inside(image, start, &mut boot)? && BootSector::is_fat(&boot) {
        match BootSector::parse(&boot) {
            Ok(boot) => return Ok(Found::Kind(Kind::Fat(boot))),
            Err(why) => refused = Found::Refused(why),
        }
    }
    // The superblock starts at 1,024.
    let mut magic = [0; 2];
    if len >= 2048 && read_if_inside(image, start.saturating_add(1024 + 56), &mut magic)? && magic == [0x53, 0xef] {
        return Ok(Found::Kind(Kind::Ext4));
    }
    Ok(refused)
}

/// Fills `buf`. Returns `true` if these bytes are on the disk: a partition table may contain any offset.
fn read_if_inside(image: &mut Image<File, &mut [u8]>, offset: u64, buf: &mut [u8]) -> Result<bool, Failure> {
    match image.read_at(offset, buf) {
        Err(Error::OutOfRange) => Ok(false),
        result => Ok(result.map(|()| true)?),
    }
}
