//! FAT's boot sector and its chains of clusters, checked before `embedded-sdmmc` sees them.
//!
//! `embedded-sdmmc` checks neither: it divides by fields of the boot sector, and follows a circular chain forever.

use std::ops::Range;

use crate::Failure;

/// The size of a sector in bytes. Other sizes are legal, but `embedded-sdmmc` does not support them.
pub const SECTOR: usize = 512;

/// The maximum size of a directory in bytes: 2^16 entries of 32 bytes.
const DIRECTORY: u64 = 65_536 * 32;

/// The places of a FAT16 or FAT32 volume's parts. The fields are consistent with each other.
#[derive(Clone)]
pub struct BootSector {
    /// The first sector of the file allocation table.
    table: u32,
    /// The size of one of its entries in bytes: 2 or 4.
    entry: u32,
    /// The valid numbers of clusters.
    clusters: Range<u32>,
    cluster_size: u64,
    /// The root directory's first cluster. FAT16 has none.
    root: Option<u32>,
}

impl BootSector {
    /// Returns `true` if a sector can be the first sector of a FAT volume: it has a jump, a sector size, and a
    /// signature.
    pub fn is_fat(sector: &[u8; SECTOR]) -> bool {
        matches!(sector[0], 0xeb | 0xe9)
            && matches!(number(sector, 11, 2), 512 | 1024 | 2048 | 4096)
            && sector[510..] == [0x55, 0xaa]
    }

    /// Parses the first sector of a volume.
    ///
    /// # Errors
    /// The reason why the volume cannot be read.
    pub fn parse(sector: &[u8; SECTOR]) -> Result<Self, String> {
        let number = |at, len| number(sector, at, len);
        let either = |short: u32, long: u32| if short == 0 { long } else { short };
        let size = number(11, 2);
        if size != SECTOR as u32 {
            return Err(format!(
                "FAT with sectors of {size} bytes is not supported, only of {SECTOR}"
            ));
        }
        let cluster = number(13, 1);
        if !cluster.is_power_of_two() {
            return Err(format!(
                "its boot sector gives {cluster} sectors to a cluster, so it is not FAT"
            ));
        }
        let (reserved, tables) = (number(14, 2), number(16, 1));
        let (root_entries, table_len) = (number(17, 2), either(number(22, 2), number(36, 4)));
        let sectors = either(number(19, 2), number(32, 4));
        if reserved == 0 || tables == 0 || table_len == 0 {
            return Err("its boot sector gives no file allocation table, so it is not FAT".into());
        }
        let too_small = "its file allocation tables do not fit, so it is not FAT, or damaged";
        // The volume comes after a generated boot record, so one more sector must have a number.
        sectors.checked_add(1).ok_or("it has too many sectors")?;
        let data = tables
            .checked_mul(table_len)
            .and_then(|len| len.checked_add(reserved))
            .and_then(|len| len.checked_add(root_entries.div_ceil(SECTOR as u32 / 32)))
            .and_then(|before| sectors.checked_sub(before))
            .ok_or(too_small)?;
        let clusters = data / cluster;
        let entry = match clusters {
            0..4085 => return Err("FAT12 is not supported".into()),
            4085..65525 => 2,
            65525..=0x0fff_fff4 => 4,
            _ => return Err("it has more clusters than FAT32 can have".into()),
        };
        let clusters = 2..clusters + 2;
        if u64::from(table_len) * SECTOR as u64 / u64::from(entry) < u64::from(clusters.end) {
            return Err(too_small.into());
        }
        let root = (entry == 4).then(|| number(44, 4));
        if root.is_some_and(|root| root_entries != 0 || !clusters.contains(&root)) {
            return Err("it is FAT32 without a root directory".into());
        }
        Ok(Self {
            table: reserved,
            entry,
            clusters,
            cluster_size: u64::from(cluster) * SECTOR as u64,
            root,
        })
    }

    /// Returns the first cluster in an entry of a directory.
    pub fn first_cluster(&self, entry: &[u8]) -> u32 {
        let high = if self.entry == 4 { number(entry, 20, 2) << 16 } else { 0 };
        high | number(entry, 26, 2)
    }

    /// Follows the chain of the root directory. `read` returns a sector of the volume.
    pub fn check_root(&self, read: impl Read) -> Result<(), Failure> {
        self.root.map_or(Ok(()), |root| self.check_directory(root, read))
    }

    /// Follows the chain of a directory that begins at `first`.
    ///
    /// # Errors
    /// The chain has no end, or leaves the volume.
    pub fn check_directory(&self, first: u32, read: impl Read) -> Result<(), Failure> {
        let most = DIRECTORY.div_ceil(self.cluster_size);
        match self.count(first, most, read)? {
            count if count <= most => Ok(()),
            _ => Err("damaged: a directory's chain of clusters has no end".into()),
        }
    }

    /// Follows the chain of a file that begins at `first`, up to the end of the file.
    ///
    /// # Errors
    /// The chain is too short for a file of `len` bytes, or leaves the volume.
    pub fn check_file(&self, first: u32, len: u32, read: impl Read) -> Result<(), Failure> {
        let needed = u64::from(len).div_ceil(self.cluster_size);
        match needed == 0 || self.count(first, needed, read)? >= needed {
            true => Ok(()),
            false => Err("damaged: a file's chain of clusters is shorter than the file".into()),
        }
    }

    /// Returns the number of clusters in a chain, or `most + 1` if there are more than `most`. Checks at most `most`.
    fn count(&self, first: u32, most: u64, mut read: impl Read) -> Result<u64, Failure> {
        // The used bits of an entry, and the first value that marks the end.
        let (mask, end) = match self.entry {
            2 => (0xffff, 0xfff8),
            _ => (0x0fff_ffff, 0x0fff_fff8),
        };
        let mut cluster = first;
        let mut held: Option<(u32, [u8; SECTOR])> = None;
        for count in 1..=most {
            if !self.clusters.contains(&cluster) {
                return Err("damaged: a chain of clusters leads out of the volume".into());
            }
            // Clusters have 28 bits, so the offsets of their entries have 30.
            let at = cluster * self.entry;
            let lba = self.table + at / SECTOR as u32;
            let sector = match held {
                Some((number, sector)) if number == lba => sector,
                _ => read(lba)?,
            };
            held = Some((lba, sector));
            cluster = number(&sector, at as usize % SECTOR, self.entry as usize) & mask;
            if cluster >= end {
                return Ok(count);
            }
        }
        Ok(most + 1)
    }
}

/// Reads a sector of the volume by its number.
pub trait Read: FnMut(u32) -> Result<[u8; SECTOR], Failure> {}
impl<T: FnMut(u32) -> Result<[u8; SECTOR], Failure>> Read for T {}

/// Returns a little-endian number of `len` bytes, at most 4, which must lie inside `bytes`.
fn number(bytes: &[u8], at: usize, len: usize) -> u32 {
    bytes[at..][..len]
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}
