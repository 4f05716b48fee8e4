//! File systems and partition tables inside images, read by other crates through the adapters.

use std::collections::BTreeMap;
use std::path::Path;

use crate::common::disks::{NoClock, ext4_volume, fat_volume, image_of, mixed_folder, with_gpt};
use crate::common::pattern;
use embedded_sdmmc::{Mode, VolumeIdx, VolumeManager};
use ext4_view::{Ext4, Ext4Read, FileType};
use gpt_disk_io::gpt_disk_types::BlockSize;
use qcow1::{Chain, GuestRead, Image, ToBlockDevice, ToBlockIo};

/// What a path names: a file with its bytes, a link with its target, or a folder.
#[derive(PartialEq, Debug)]
enum Item {
    File(Vec<u8>),
    Link(Vec<u8>),
    Folder,
}

/// Collects everything below a folder of the host.
fn collect_host(folder: &Path, below: &str, items: &mut BTreeMap<String, Item>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{below}/{}", entry.file_name().to_str().unwrap());
        let kind = entry.file_type().unwrap();
        let item = if kind.is_dir() {
            collect_host(&entry.path(), &name, items);
            Item::Folder
        } else if kind.is_symlink() {
            let target = std::fs::read_link(entry.path()).unwrap();
            Item::Link(target.to_str().unwrap().into())
        } else {
            Item::File(std::fs::read(entry.path()).unwrap())
        };
        items.insert(name, item);
    }
}

/// Collects everything below a folder of an ext4 volume.
fn collect_ext4(files: &Ext4, folder: &str, items: &mut BTreeMap<String, Item>) {
    for entry in files.read_dir(if folder.is_empty() { "/" } else { folder }).unwrap() {
        let entry = entry.unwrap();
        let own = entry.file_name().as_str().unwrap().to_owned();
        if own == "." || own == ".." {
            continue;
        }
        let name = format!("{folder}/{own}");
        let item = match entry.file_type().unwrap() {
            FileType::Directory => {
                collect_ext4(files, &name, items);
                Item::Folder
            }
            FileType::Symlink => Item::Link(files.read_link(&entry.path()).unwrap().as_ref().to_vec()),
            _ => Item::File(files.read(&entry.path()).unwrap()),
        };
        items.insert(name, item);
    }
}

/// An adapter from a guest's disk to ext4-view's reader.
struct Reader<G>(G);

impl<G: GuestRead<Error: std::error::Error + Send + Sync + 'static>> Ext4Read for Reader<G> {
    fn read(&mut self, start_byte: u64, dst: &mut [u8]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.0.read_at(start_byte, dst)?)
    }
}

/// Leaks `bytes`, because ext4-view demands a reader of lifetime `'static`.
fn forever(bytes: Vec<u8>) -> &'static mut [u8] {
    Box::leak(bytes.into_boxed_slice())
}

fn ext4_holds_the_originals(
    disk: impl GuestRead<Error: std::error::Error + Send + Sync + 'static> + 'static,
    folder: &Path,
) {
    let files = Ext4::load(Box::new(Reader(disk))).unwrap();
    let (mut ours, mut theirs) = (BTreeMap::new(), BTreeMap::new());
    collect_host(folder, "", &mut theirs);
    collect_ext4(&files, "", &mut ours);
    // mkfs.ext4 creates this one.
    assert_eq!(ours.remove("/lost+found"), Some(Item::Folder));
    assert!(ours.keys().eq(theirs.keys()), "{:?}\n{:?}", ours.keys(), theirs.keys());
    for (name, item) in ours {
        assert!(item == theirs[&name], "{name} differs");
    }
}

#[test]
#[ignore = "needs mkfs.ext4"]
fn ext4_files_links_and_directories_are_those_that_mkfs_was_given() {
    let folder = mixed_folder();
    for block_size in [1024, 4096] {
        let volume = ext4_volume(folder.path(), block_size, 24 << 20);
        let file: &[u8] = forever(image_of(&volume));
        for memory in [45_000, 1 << 20] {
            let image = Image::open(file, forever(vec![0; memory])).unwrap();
            ext4_holds_the_originals(image, folder.path());
        }
    }
}

#[test]
#[ignore = "needs mkfs.ext4"]
fn ext4_reads_through_a_chain() {
    let folder = mixed_folder();
    let volume = ext4_volume(folder.path(), 4096, 24 << 20);
    // Every third cluster of 4 KiB is in the overlay. The base has garbage there.
    let mut base = volume.clone();
    let mut overlay = crate::common::ImageBuilder::new(volume.len() as u64)
        .l1_at(4096)
        .backing_at(48, b"base");
    for (number, cluster) in (0..).zip(volume.chunks(4096)).step_by(3) {
        overlay.data(number * 4096, cluster);
        base[number as usize * 4096..][..4096].fill(0xdb);
    }
    let mut chain: Chain<Image<&'static [u8], &mut [u8]>, 2> = Chain::new();
    for file in [overlay.build(), image_of(&base)] {
        let file: &[u8] = forever(file);
        chain
            .push(Image::open(file, forever(vec![0; 60_000])).unwrap())
            .unwrap();
    }
    ext4_holds_the_originals(chain, folder.path());
}

#[test]
fn a_gpt_has_the_partitions_that_it_was_given() {
    let (first, second) = (pattern(1, 100 * 512), pattern(2, 1000 * 512));
    let disk = with_gpt(&[(34, &first), (200, &second)]);
    let file = image_of(&disk);
    let mut memory = [0; 65_536];
    let mut image = Image::open(&file[..], &mut memory[..]).unwrap();
    let mut table = gpt_disk_io::Disk::new(ToBlockIo::new(&mut image, BlockSize::BS_512)).unwrap();
    let mut block = [0; 512];
    for header in [
        table.read_primary_gpt_header(&mut block).unwrap(),
        table.read_secondary_gpt_header(&mut block).unwrap(),
    ] {
        assert!(header.is_signature_valid());
        assert_eq!(header.header_crc32, header.calculate_header_crc32());
        let layout = header.get_partition_entry_array_layout().unwrap();
        let entries = table.gpt_partition_entry_array_iter(layout, &mut block).unwrap();
        let places: Vec<_> = entries
            .map(Result::unwrap)
            .filter(|entry| entry.is_used())
            .map(|entry| entry.lba_range().unwrap().to_byte_range(BlockSize::BS_512).unwrap())
            .collect();
        assert_eq!(places, [34 * 512..=134 * 512 - 1, 200 * 512..=1200 * 512 - 1]);
    }
    drop(table);
    let mut read = vec![0; 1000 * 512];
    image.read_at(200 * 512, &mut read).unwrap();
    assert!(read == second);
}

#[test]
fn a_fat_volume_is_read_and_never_written_through_the_adapter_of_the_crate() {
    let disk = crate::common::disks::with_mbr(&[(0x0e, 64, &fat_volume())]);
    let file = image_of(&disk);
    let mut memory = [0; 65_536];
    let mut image = Image::open(&file[..], &mut memory[..]).unwrap();
    let volumes: VolumeManager<_, _, 2, 2, 1> =
        VolumeManager::new_with_limits(ToBlockDevice::new(&mut image), NoClock, 0);
    let volume = volumes.open_volume(VolumeIdx(0)).unwrap();
    let root = volume.open_root_dir().unwrap();
    let file = root.open_file_in_dir("README.TXT", Mode::ReadOnly).unwrap();
    let mut text = [0; 200];
    assert_eq!(file.read(&mut text).unwrap(), 165);
    assert!(text.starts_with(b"This file was read out of a FAT volume"));
    let created = root.open_file_in_dir("NEW.TXT", Mode::ReadWriteCreate);
    assert!(format!("{:?}", created.err().unwrap()).contains("ReadOnly"));
}
