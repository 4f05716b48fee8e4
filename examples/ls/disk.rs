//! Where on a disk a file system lies.

use std::fs::File;

use gpt_disk_io::gpt_disk_types::BlockSize;
use qcow1::{Error, Image, ToBlockIo};

use crate::Failure;

const SECTOR: u64 = 512;

/// A file system and its place on the disk, in bytes.
pub struct Volume {
    pub kind: Kind,
    pub start: u64,
    pub len: u64,
}

pub enum Kind {
    Fat,
    Ext4,
}

/// The first volume that is FAT or ext4: the whole disk, or a partition.
pub fn first_volume(image: &mut Image<'_, File>) -> Result<Option<Volume>, Failure> {
    let len = image.size();
    if let Some(kind) = kind(image, 0, len)? {
        return Ok(Some(Volume { kind, start: 0, len }));
    }
    let Some(partitions) = mbr_partitions(image)? else {
        return Ok(None);
    };
    if partitions.iter().any(|partition| partition.is_protective) {
        return first_in_gpt(image);
    }
    for Partition { start, len, .. } in partitions {
        if let Some(kind) = kind(image, start, len)? {
            return Ok(Some(Volume { kind, start, len }));
        }
    }
    Ok(None)
}

/// The first one in a GPT.
fn first_in_gpt(image: &mut Image<'_, File>) -> Result<Option<Volume>, Failure> {
    // A GPT has 128 entries; if this one has more, the rest are not looked at.
    let mut partitions = [None; 128];
    {
        let mut block = [0; SECTOR as usize];
        let mut disk = gpt_disk_io::Disk::new(ToBlockIo::new(&mut *image, BlockSize::BS_512))?;
        let header = disk.read_primary_gpt_header(&mut block)?;
        if !header.is_signature_valid() {
            return Err("the GPT has no header".into());
        }
        let entries = header.get_partition_entry_array_layout()?;
        let entries = disk.gpt_partition_entry_array_iter(entries, &mut block)?;
        for (partition, entry) in partitions.iter_mut().zip(entries) {
            let entry = entry?;
            if entry.is_used() {
                *partition = entry.lba_range();
            }
        }
    }
    for lbas in partitions.into_iter().flatten() {
        let bytes = lbas.to_byte_range(BlockSize::BS_512);
        let start = bytes.map_or(u64::MAX, |bytes| *bytes.start());
        let len = lbas.num_bytes(BlockSize::BS_512).unwrap_or(0);
        if let Some(kind) = kind(image, start, len)? {
            return Ok(Some(Volume { kind, start, len }));
        }
    }
    Ok(None)
}

struct Partition {
    start: u64,
    len: u64,
    /// It stands for a GPT.
    is_protective: bool,
}

/// The four partitions of an MBR, if there is one; what is empty has length 0.
fn mbr_partitions(image: &mut Image<'_, File>) -> Result<Option<[Partition; 4]>, Failure> {
    let mut mbr = [0; SECTOR as usize];
    if !read_if_inside(image, 0, &mut mbr)? || mbr[510..] != [0x55, 0xaa] {
        return Ok(None);
    }
    let number = |at: usize| u64::from(u32::from_le_bytes(mbr[at..][..4].try_into().unwrap_or_default()));
    Ok(Some([446, 462, 478, 494].map(|at| Partition {
        start: number(at + 8) * SECTOR,
        len: number(at + 12) * SECTOR,
        is_protective: mbr[at + 4] == 0xee,
    })))
}

/// What the bytes from `start` on look like.
fn kind(image: &mut Image<'_, File>, start: u64, len: u64) -> Result<Option<Kind>, Failure> {
    let mut boot = [0; SECTOR as usize];
    let mut magic = [0; 2];
    if len >= SECTOR && read_if_inside(image, start, &mut boot)? {
        // A FAT volume begins with a jump, and says that its sectors have 512 bytes.
        if matches!(boot[0], 0xeb | 0xe9) && boot[11..13] == [0, 2] && boot[510..] == [0x55, 0xaa] {
            return Ok(Some(Kind::Fat));
        }
    }
    // The superblock starts at 1,024.
    if len >= 2048 && read_if_inside(image, start.saturating_add(1024 + 56), &mut magic)? && magic == [0x53, 0xef] {
        return Ok(Some(Kind::Ext4));
    }
    Ok(None)
}

/// Whether those bytes are on the disk at all: a table may say what it likes.
fn read_if_inside(image: &mut Image<'_, File>, offset: u64, buf: &mut [u8]) -> Result<bool, Failure> {
    match image.read_at(offset, buf) {
        Err(Error::OutOfRange) => Ok(false),
        result => Ok(result.map(|()| true)?),
    }
}
