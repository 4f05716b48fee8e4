//! `embedded-storage` and `embedded-storage-async`: flash as a device, and a disk as flash.

use crate::common::{Broken, ImageBuilder, pattern};
use embedded_storage::nor_flash::{ErrorType, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_read};
use qcow1::{BlockRead, Error, FromNorFlash, Image, StorageError, ToStorage};

impl NorFlashError for Broken {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

/// A flash chip that reads only whole units of `READ` bytes.
struct Chip<'a, const READ: usize>(&'a [u8]);

impl<const READ: usize> ErrorType for Chip<'_, READ> {
    type Error = NorFlashErrorKind;
}

impl<const READ: usize> ReadNorFlash for Chip<'_, READ> {
    const READ_SIZE: usize = READ;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        assert!(!bytes.is_empty(), "an empty request");
        bytes.copy_from_slice(&self.0[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.len()
    }
}

/// Returns an image, whose length is not a multiple of any chip's unit but 1, and its disk.
fn image() -> (Vec<u8>, Vec<u8>) {
    let bytes = pattern(8, 20_100);
    let mut builder = ImageBuilder::new(20_100).bits(9, 6).l1_at(51);
    builder.data(0, &bytes);
    let mut file = builder.build();
    file.resize(file.len() / 512 * 512 + 512 + 3, 0xaa);
    (file, bytes)
}

fn read_through<const READ: usize>(file: &[u8], guest: &[u8]) {
    let mut device = FromNorFlash(Chip::<READ>(file));
    assert_eq!(device.block_size().bytes() as usize, READ);
    // The chip cannot read the bytes after its last whole unit.
    assert_eq!(device.size(), Ok((file.len() / READ * READ) as u64));
    let mut memory = [0; 4096];
    let mut image = Image::open(device, &mut memory).unwrap();
    let mut read = vec![0; 20_100];
    image.read_at(0, &mut read).unwrap();
    assert!(read == guest);
    image.read_at(1, &mut read[..4001]).unwrap();
    assert!(read[..4001] == guest[1..4002]);
}

#[test]
fn flash_is_read_in_its_own_units() {
    let (file, guest) = image();
    read_through::<1>(&file, &guest);
    read_through::<4>(&file, &guest);
    read_through::<256>(&file, &guest);
}

#[test]
fn a_read_size_that_is_not_a_power_of_two_is_refused() {
    fn assert_refused<const READ: usize>(file: &[u8]) {
        let mut memory = [0; 4096];
        let error = Image::open(FromNorFlash(Chip::<READ>(file)), &mut memory).unwrap_err();
        assert_eq!(*error.error(), Error::Io(StorageError::ReadSize(READ)));
        assert!(error.to_string().contains(&READ.to_string()), "{error}");
        let error = Image::open_raw(FromNorFlash(Chip::<READ>(file)), &mut memory).unwrap_err();
        assert_eq!(*error.error(), Error::Io(StorageError::ReadSize(READ)));
    }
    let (file, _) = image();
    assert_refused::<0>(&file);
    assert_refused::<3>(&file);
    assert_refused::<131_072>(&file);
}

#[test]
fn a_disk_is_flash_that_reads_any_byte() {
    let (file, bytes) = image();
    let mut memory = [0; 4096];
    let mut image = Image::open(&file[..], &mut memory).unwrap();
    let mut flash = ToStorage::new(&mut image).unwrap();
    fn read<F: ReadNorFlash>(flash: &mut F, offset: u32, len: usize) -> Result<Vec<u8>, NorFlashErrorKind> {
        assert_eq!((F::READ_SIZE, flash.capacity()), (1, 20_100));
        let mut bytes = vec![0; len];
        flash.read(offset, &mut bytes).map_err(|error| error.kind())?;
        Ok(bytes)
    }
    assert!(read(&mut flash, 99, 777).unwrap() == bytes[99..876]);
    assert_eq!(read(&mut flash, 20_000, 101), Err(NorFlashErrorKind::OutOfBounds));
    assert_eq!(Error::<Broken>::NotQcow.kind(), NorFlashErrorKind::Other);
}

#[cfg(feature = "embedded-storage-async")]
mod aio {
    use super::*;
    use crate::common::TestDevice;
    use crate::common::futures::{Slow, finish, later};
    use embedded_storage_async::ReadStorage;
    use embedded_storage_async::nor_flash::ReadNorFlash as AsyncReadNorFlash;
    use qcow1::{FromStorage, aio};

    /// The same chip, pending once in each call.
    struct SlowChip<'a, const READ: usize>(Chip<'a, READ>);

    impl<const READ: usize> ErrorType for SlowChip<'_, READ> {
        type Error = NorFlashErrorKind;
    }

    impl<const READ: usize> AsyncReadNorFlash for SlowChip<'_, READ> {
        const READ_SIZE: usize = READ;

        async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
            later().await;
            ReadNorFlash::read(&mut self.0, offset, bytes)
        }

        fn capacity(&self) -> usize {
            ReadNorFlash::capacity(&self.0)
        }
    }

    struct Storage<'a>(Chip<'a, 1>, usize);

    impl ReadStorage for Storage<'_> {
        type Error = NorFlashErrorKind;

        async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
            later().await;
            ReadNorFlash::read(&mut self.0, offset, bytes)
        }

        fn capacity(&self) -> usize {
            self.1
        }
    }

    fn read_all<D: aio::BlockRead<Error: PartialEq>>(device: D) -> Vec<u8> {
        let mut memory = [0; 4096];
        let mut image = finish(aio::Image::open(device, &mut memory)).unwrap();
        let mut read = vec![0; 20_100];
        finish(image.read_at(0, &mut read)).unwrap();
        read
    }

    #[test]
    fn flash_and_storages_are_devices() {
        let (file, guest) = image();
        assert!(read_all(FromNorFlash(SlowChip(Chip::<1>(&file)))) == guest);
        assert!(read_all(FromNorFlash(SlowChip(Chip::<256>(&file)))) == guest);
        assert!(read_all(FromStorage(Storage(Chip(&file), file.len()))) == guest);
        let mut memory = [0; 4096];
        let chip = FromNorFlash(SlowChip(Chip::<3>(&file)));
        let error = finish(aio::Image::open(chip, &mut memory)).unwrap_err();
        assert_eq!(*error.error(), Error::Io(StorageError::ReadSize(3)));
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_storage_of_more_than_four_gib_is_refused() {
        let mut memory = [0; 4096];
        let storage = FromStorage(Storage(Chip(&[]), (1 << 32) + 1));
        let error = finish(aio::Image::open(storage, &mut memory)).unwrap_err();
        assert_eq!(*error.error(), Error::Io(StorageError::TooLarge));
    }

    #[test]
    fn a_disk_is_a_storage_and_flash() {
        let (file, guest) = image();
        let mut memory = [0; 4096];
        let mut image = finish(aio::Image::open(Slow(TestDevice::new(&file, 512)), &mut memory)).unwrap();
        let mut storage = ToStorage::new(&mut image).unwrap();
        assert_eq!(ReadStorage::capacity(&storage), 20_100);
        assert_eq!(AsyncReadNorFlash::capacity(&storage), 20_100);
        let mut read = [0; 777];
        finish(ReadStorage::read(&mut storage, 99, &mut read)).unwrap();
        assert!(read == guest[99..876]);
        finish(AsyncReadNorFlash::read(&mut storage, 100, &mut read)).unwrap();
        assert!(read == guest[100..877]);
        let past = finish(ReadStorage::read(&mut storage, 20_000, &mut read));
        assert_eq!(past, Err(Error::OutOfRange));
        assert_eq!(storage.into_inner().size(), 20_100);
    }

    #[test]
    fn a_disk_of_more_than_four_gib_is_no_storage_and_comes_back() {
        let file = ImageBuilder::new((1 << 32) + 1).bits(16, 13).build();
        let mut memory = [0; 4096];
        let image = finish(aio::Image::open(Slow(TestDevice::new(&file, 512)), &mut memory)).unwrap();
        let refused = ToStorage::new(image).unwrap_err();
        assert_eq!(refused.0.size(), (1 << 32) + 1);
    }
}
