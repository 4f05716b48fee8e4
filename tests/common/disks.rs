//! Disks with partitions and file systems, and images of them.

use std::path::Path;
use std::process::Command;

use embedded_sdmmc::{TimeSource, Timestamp};
use gpt_disk_io::gpt_disk_types::{
    BlockSize, Crc32, GptHeader, GptPartitionEntry, GptPartitionEntryArray, GptPartitionType, LbaLe, U32Le, guid,
};
use gpt_disk_io::{BlockIoAdapter, Disk};

use super::ImageBuilder;

/// Makes an image of a disk, as `qemu-img convert -c` could: zeros become holes, and every other
/// cluster that deflates well is compressed.
pub fn image_of(disk: &[u8]) -> Vec<u8> {
    let mut builder = ImageBuilder::new(disk.len() as u64).bits(14, 11);
    for (number, cluster) in (0..).zip(disk.chunks(1 << 14)) {
        if cluster.iter().all(|&byte| byte == 0) {
            continue;
        }
        let deflates = miniz_oxide::deflate::compress_to_vec(cluster, 6).len() < cluster.len() / 2;
        if number % 2 == 0 && deflates {
            builder.compressed(number << 14, cluster);
        } else {
            builder.data(number << 14, cluster);
        }
    }
    builder.build()
}

/// Makes a disk with an MBR. Each partition has a type and a first sector.
pub fn with_mbr(partitions: &[(u8, u32, &[u8])]) -> Vec<u8> {
    let mut disk = vec![0; 512];
    disk[510..].copy_from_slice(&[0x55, 0xaa]);
    for (number, (kind, sector, bytes)) in partitions.iter().enumerate() {
        let entry = &mut disk[446 + number * 16..][..16];
        entry[4] = *kind;
        entry[8..12].copy_from_slice(&sector.to_le_bytes());
        entry[12..].copy_from_slice(&((bytes.len() / 512) as u32).to_le_bytes());
        put(&mut disk, *sector, bytes);
    }
    disk
}

/// Makes a disk with a GPT. Each partition has a first sector, and there is an unused entry between
/// any two.
pub fn with_gpt(partitions: &[(u32, &[u8])]) -> Vec<u8> {
    with_gpt_in_blocks(BlockSize::BS_512, partitions)
}

/// Makes a disk with a GPT in blocks of 4,096 bytes. Each partition has a first block.
pub fn with_gpt_4kn(partitions: &[(u32, &[u8])]) -> Vec<u8> {
    with_gpt_in_blocks(BlockSize::BS_4096, partitions)
}

fn with_gpt_in_blocks(block_size: BlockSize, partitions: &[(u32, &[u8])]) -> Vec<u8> {
    let size = block_size.to_usize().unwrap();
    // The blocks of 128 entries of 128 bytes.
    let entry_blocks = 128 * 128 / size as u64;
    let first_usable = 2 + entry_blocks;
    let mut disk = vec![0; first_usable as usize * size];
    for (block, bytes) in partitions {
        put(&mut disk, block * (size as u32 / 512), bytes);
    }
    // The second copy of the table.
    disk.resize(
        disk.len().next_multiple_of(size) + (1 + entry_blocks as usize) * size,
        0,
    );
    let blocks = (disk.len() / size) as u64;

    let mut header = GptHeader {
        my_lba: LbaLe::from_u64(1),
        alternate_lba: LbaLe::from_u64(blocks - 1),
        first_usable_lba: LbaLe::from_u64(first_usable),
        last_usable_lba: LbaLe::from_u64(blocks - first_usable),
        disk_guid: guid!("57a7feb6-8cd5-4922-b7bd-c78b0914e870"),
        partition_entry_lba: LbaLe::from_u64(2),
        number_of_partition_entries: U32Le::from_u32(128),
        ..GptHeader::default()
    };
    let mut storage = [0; 128 * 128];
    let layout = header.get_partition_entry_array_layout().unwrap();
    let mut entries = GptPartitionEntryArray::new(layout, block_size, &mut storage).unwrap();
    for (number, (block, bytes)) in (0..).zip(partitions) {
        let end = u64::from(*block) + (bytes.len() / size) as u64 - 1;
        *entries.get_partition_entry_mut(number * 2).unwrap() = GptPartitionEntry {
            partition_type_guid: GptPartitionType(guid!("0fc63daf-8483-4772-8e79-3d69d8477de4")),
            unique_partition_guid: guid!("37c75ffd-8932-467a-9c56-8cf1f0456b12"),
            starting_lba: LbaLe::from_u64((*block).into()),
            ending_lba: LbaLe::from_u64(end),
            ..GptPartitionEntry::default()
        };
    }
    header.partition_entry_array_crc32 = entries.calculate_crc32();
    header.update_header_crc32();
    let mut secondary = header;
    secondary.my_lba = header.alternate_lba;
    secondary.alternate_lba = header.my_lba;
    secondary.partition_entry_lba = LbaLe::from_u64(blocks - 1 - entry_blocks);
    secondary.header_crc32 = Crc32::default();
    secondary.update_header_crc32();

    let mut block = vec![0; size];
    let mut table = Disk::new(BlockIoAdapter::new(&mut disk[..], block_size)).unwrap();
    table.write_protective_mbr(&mut block).unwrap();
    table.write_primary_gpt_header(&header, &mut block).unwrap();
    table.write_gpt_partition_entry_array(&entries).unwrap();
    table.write_secondary_gpt_header(&secondary, &mut block).unwrap();
    entries.set_start_lba(secondary.partition_entry_lba.into());
    table.write_gpt_partition_entry_array(&entries).unwrap();
    drop(table);
    disk
}

fn put(disk: &mut Vec<u8>, sector: u32, bytes: &[u8]) {
    assert_eq!(bytes.len() % 512, 0);
    let start = sector as usize * 512;
    disk.resize(disk.len().max(start + bytes.len()), 0);
    disk[start..][..bytes.len()].copy_from_slice(bytes);
}

/// Returns the FAT volume of the repository's disk.
pub fn fat_volume() -> Vec<u8> {
    let file = include_bytes!("../data/disk.qcow");
    let mut memory = vec![0; 65_536];
    let mut image = qcow1::Image::open(&file[..], &mut memory).unwrap();
    let mut disk = vec![0; image.size() as usize];
    image.read_at(0, &mut disk).unwrap();
    disk.split_off(64 * 512)
}

/// Makes an ext4 volume of `len` bytes with the files of a folder, by `mkfs.ext4`.
pub fn ext4_volume(folder: &Path, block_size: u32, len: u64) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(len).unwrap();
    let made = Command::new("mkfs.ext4")
        .args(["-q", "-F", "-b", &block_size.to_string(), "-d"])
        .args([folder, file.path()])
        .output()
        .expect("mkfs.ext4 can't be run");
    assert!(made.status.success(), "{made:?}");
    std::fs::read(file.path()).unwrap()
}

/// Makes a folder with different files and folders.
pub fn mixed_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let write = |name: &str, bytes: &[u8]| std::fs::write(path(name), bytes).unwrap();
    write("empty", b"");
    write("short.txt", b"a few bytes\n");
    write("long.bin", &super::Random(5).bytes(1_500_000));
    let mut sparse = vec![0; 700_000];
    sparse[699_000..].fill(7);
    write("mostly zeros", &sparse);
    write("b\u{e4}ume und stra\u{df}en.txt", "\u{e4}\u{f6}\u{fc}".as_bytes());
    write(&"n".repeat(255), b"the longest name");
    std::fs::create_dir_all(path("boot/loader/entries")).unwrap();
    write("boot/loader/entries/linux.conf", b"title Linux\n");
    write("boot/vmlinuz", &super::pattern(3, 300_000));
    // Enough files that the directory needs an index.
    std::fs::create_dir(path("many")).unwrap();
    for number in 0..1000 {
        write(&format!("many/file number {number}"), number.to_string().as_bytes());
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink("boot/vmlinuz", path("kernel")).unwrap();
    folder
}

/// A clock for embedded-sdmmc, which asks it only to write.
pub struct NoClock;

impl TimeSource for NoClock {
    fn get_timestamp(&self) -> Timestamp {
        Timestamp::from_fat(0, 0)
    }
}
