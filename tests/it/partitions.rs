//! `Partition`: a part of a disk as a disk.

use crate::common::image_with_a_partial_last_sector;
use qcow1::{Error, GuestDisk, GuestRead, Image, Partition};

#[test]
fn a_partition_is_its_range_of_the_disk_and_nothing_else() {
    let (file, bytes) = image_with_a_partial_last_sector();
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

    let (file, bytes) = image_with_a_partial_last_sector();
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
    assert_eq!(Cursor::new(&mut partition).read(&mut read).unwrap(), 100);
    assert!(read == bytes[1000..1100]);
}

#[cfg(feature = "std")]
#[test]
fn a_boxed_disk_is_a_disk() {
    let (file, bytes) = image_with_a_partial_last_sector();
    let mut memory = [0; 4096];
    let image = Image::open(&file[..], &mut memory).unwrap();
    let mut boxed: Box<dyn GuestRead<Error = core::convert::Infallible> + '_> = Box::new(image);
    let mut read = [0; 100];
    GuestRead::read_at(&mut boxed, 7, &mut read).unwrap();
    assert!(read == bytes[7..107] && boxed.size() == 20_100);
}

#[cfg(feature = "async")]
#[test]
fn a_partition_of_an_asynchronous_disk_is_its_range() {
    use crate::common::TestDevice;
    use crate::common::futures::{Slow, finish};
    use qcow1::aio;

    let (file, bytes) = image_with_a_partial_last_sector();
    let mut memory = [0; 4096];
    let mut image = finish(aio::Image::open(Slow(TestDevice::new(&file, 512)), &mut memory)).unwrap();
    let mut partition = Partition::new(&mut image, 20_000, 512);
    assert_eq!(partition.size(), 100);
    let mut read = [0; 100];
    finish(aio::GuestRead::read_at(&mut partition, 0, &mut read)).unwrap();
    assert!(read == bytes[20_000..]);
    let past = finish(aio::GuestRead::read_at(&mut partition, 1, &mut read));
    assert_eq!(past, Err(Error::OutOfRange));
}
