//! `Partition` and `WithMbr`: disks made from a part of a disk, or from a disk and an MBR.

use crate::common::image_of_broken_sectors;
use qcow1::{Error, GuestRead, Image, Partition};

#[test]
fn a_partition_is_its_range_of_the_disk_and_nothing_else() {
    let (file, bytes) = image_of_broken_sectors();
    let mut memory = [0; 4096];
    let mut image = Image::open(&file[..], &mut memory).unwrap();
    for (start, len, size) in [
        (0, 20_100, 20_100),
        (512, 1000, 1000),
        (20_000, 512, 100),
        (20_100, 512, 0),
        (u64::MAX, u64::MAX, 0),
        (0, u64::MAX, 20_100),
    ] {
        let mut partition = Partition::new(&mut image, start, len);
        assert_eq!(partition.size(), size);
        let mut read = vec![0; size as usize];
        partition.read_at(0, &mut read).unwrap();
        assert!(size == 0 || read == bytes[start as usize..][..size as usize]);
        assert_eq!(partition.read_at(size, &mut []), Ok(()));
        for (offset, len) in [(size, 1), (size.saturating_sub(1), 2), (u64::MAX, 1), (u64::MAX - 5, 9)] {
            let result = partition.read_at(offset, &mut vec![0; len]);
            assert_eq!(result, Err(Error::OutOfRange), "{start} {len} {offset}");
        }
    }
    let mut inner = Partition::new(Partition::new(&mut image, 1000, 5000), 500, 100);
    let mut byte = [0];
    inner.read_at(99, &mut byte).unwrap();
    assert_eq!(byte[0], bytes[1599]);
}

#[test]
fn a_trait_object_of_a_disk_is_a_disk_and_has_cursors() {
    use embedded_io::Read;
    use qcow1::Cursor;

    let (file, bytes) = image_of_broken_sectors();
    let mut memory = [0; 4096];
    let mut image = Image::open(&file[..], &mut memory).unwrap();
    let unknown: &mut dyn GuestRead<Error = core::convert::Infallible> = &mut image;
    assert_eq!(unknown.size(), 20_100);
    let mut read = [0; 100];
    unknown.read_at(7, &mut read).unwrap();
    assert!(read == bytes[7..107]);
    assert_eq!(Cursor::new(&mut *unknown).read(&mut read).unwrap(), 100);
    assert!(read == bytes[..100]);
    let mut partition = Partition::new(unknown, 1000, 100);
    assert_eq!(partition.cursor().read(&mut read).unwrap(), 100);
    assert!(read == bytes[1000..1100]);
}

#[cfg(feature = "std")]
#[test]
fn a_boxed_disk_is_a_disk() {
    let (file, bytes) = image_of_broken_sectors();
    let mut memory = [0; 4096];
    let image = Image::open(&file[..], &mut memory).unwrap();
    let mut boxed: Box<dyn GuestRead<Error = core::convert::Infallible> + '_> = Box::new(image);
    let mut read = [0; 100];
    boxed.cursor();
    GuestRead::read_at(&mut boxed, 7, &mut read).unwrap();
    assert!(read == bytes[7..107] && GuestRead::size(&boxed) == 20_100);
}

#[cfg(feature = "async")]
#[test]
fn a_partition_of_an_asynchronous_disk_is_its_range() {
    use crate::common::TestDevice;
    use crate::common::futures::{Slow, finish};
    use qcow1::aio::{self, AsyncGuestRead};

    let (file, bytes) = image_of_broken_sectors();
    let mut memory = [0; 4096];
    let mut image = finish(aio::Image::open(Slow(TestDevice::new(&file, 512)), &mut memory)).unwrap();
    let mut partition = Partition::new(&mut image, 20_000, 512);
    assert_eq!(AsyncGuestRead::size(&partition), 100);
    let mut read = [0; 100];
    finish(AsyncGuestRead::read_at(&mut partition, 0, &mut read)).unwrap();
    assert!(read == bytes[20_000..]);
    let past = finish(AsyncGuestRead::read_at(&mut partition, 1, &mut read));
    assert_eq!(past, Err(Error::OutOfRange));
}

#[cfg(feature = "embedded-sdmmc-types")]
mod with_mbr {
    use super::*;
    use qcow1::WithMbr;

    #[test]
    fn the_volume_follows_an_mbr_that_counts_its_sectors() {
        let (file, bytes) = image_of_broken_sectors();
        let mut memory = [0; 4096];
        let mut image = Image::open(&file[..], &mut memory).unwrap();
        let mut disk = WithMbr::new(&mut image);
        // 20,100 bytes are 39 whole sectors.
        let mut whole = [&[0; 512], &bytes[..39 * 512]].concat();
        whole[450] = 0x0e;
        whole[454] = 1;
        whole[458] = 39;
        whole[510..512].copy_from_slice(&[0x55, 0xaa]);
        assert_eq!(disk.size(), whole.len() as u64);
        for (offset, len) in [
            (0, whole.len()),
            (0, 512),
            (440, 30),
            (458, 1),
            (509, 5),
            (512, 1),
            (513, 1000),
        ] {
            let mut read = vec![0xcc; len];
            disk.read_at(offset, &mut read).unwrap();
            assert!(read == whole[offset as usize..][..len], "{offset} {len}");
        }
        for (offset, len) in [(whole.len() as u64, 1), (0, whole.len() + 1), (u64::MAX, 1)] {
            assert_eq!(disk.read_at(offset, &mut vec![0; len]), Err(Error::OutOfRange));
        }
    }

    #[test]
    fn a_volume_too_large_for_an_mbr_is_truncated() {
        use crate::common::Sevens;

        for size in [u64::MAX, u64::from(u32::MAX) * 512] {
            let mut disk = WithMbr::new(Sevens(size));
            assert_eq!(disk.size(), u64::from(u32::MAX) * 512);
            let mut entry = [0; 16];
            disk.read_at(446, &mut entry).unwrap();
            assert_eq!(entry[12..], (u32::MAX - 1).to_le_bytes());
        }
    }

    #[test]
    fn embedded_sdmmc_reads_a_volume_without_a_partition_table() {
        use crate::common::disks::{NoClock, fat_volume, image_of};
        use embedded_sdmmc::{Mode, VolumeIdx, VolumeManager};
        use qcow1::ToBlockDevice;

        let mut volume = fat_volume();
        // mtools writes a partition entry for the volume itself there; most other programs do not.
        volume[446..510].fill(0);
        let file = image_of(&volume);
        let mut memory = vec![0; 65_536];
        let mut image = Image::open(&file[..], &mut memory).unwrap();
        // Without `WithMbr`, it finds no volume.
        let volumes = VolumeManager::new(ToBlockDevice::new(&mut image), NoClock);
        assert!(volumes.open_volume(VolumeIdx(0)).is_err());
        drop(volumes);
        let volumes = VolumeManager::new(ToBlockDevice::new(WithMbr::new(&mut image)), NoClock);
        let volume = volumes.open_volume(VolumeIdx(0)).unwrap();
        let root = volume.open_root_dir().unwrap();
        let file = root.open_file_in_dir("README.TXT", Mode::ReadOnly).unwrap();
        assert!(file.read(&mut [0; 16]).unwrap() > 0);
    }
}
