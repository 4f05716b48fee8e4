//! Devices from other crates, and the guest's disk as a device for them.

use std::cell::OnceCell;
use std::error::Error as _;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::{Rc, Weak};

use crate::common::{Broken, FilledDisk, TestDevice, image_with_a_partial_last_sector};
use embedded_sdmmc::blockdevice::{Block, BlockCount, BlockDevice, BlockIdx};
use embedded_storage::ReadStorage;
use gpt_disk_io::gpt_disk_types::{BlockSize as GptBlockSize, Lba};
use gpt_disk_io::{BlockIo, BlockIoAdapter};
use qcow1::{
    DiskError, Error, FromBlockIo, FromStorage, GuestDisk, GuestRead, Image, StorageError, ToBlockDevice, ToBlockIo,
    ToStorage, TooLarge,
};

/// A flash chip that claims any capacity, and fails past the bytes that it has.
struct Flash<'a>(&'a [u8], usize);

impl ReadStorage for Flash<'_> {
    type Error = Broken;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Broken> {
        let from = self.0.get(offset as usize..).ok_or(Broken)?;
        bytes.copy_from_slice(from.get(..bytes.len()).ok_or(Broken)?);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.1
    }
}

#[test]
fn a_storage_is_a_device_and_a_disk_is_a_storage() {
    let (file, bytes) = image_with_a_partial_last_sector();
    let mut memory = [0; 4096];
    let mut image = Image::open(FromStorage(Flash(&file, file.len())), &mut memory).unwrap();
    let mut storage = ToStorage::new(&mut image).unwrap();
    assert_eq!(storage.capacity(), 20_100);
    let mut read = vec![0; 20_000];
    storage.read(100, &mut read).unwrap();
    assert!(read == bytes[100..]);
    assert_eq!(storage.read(101, &mut read), Err(Error::OutOfRange));
    assert_eq!(storage.into_inner().size(), 20_100);
}

#[test]
fn a_storage_that_lies_about_its_size_fails_with_its_own_error() {
    let (file, _) = image_with_a_partial_last_sector();
    let mut memory = [0; 4096];
    let mut image = Image::open(FromStorage(Flash(&file[..6000], file.len())), &mut memory).unwrap();
    let error = image.read_at(15_000, &mut [0; 512]).unwrap_err();
    assert_eq!(error, Error::Io(StorageError::Device(Broken)));
}

#[test]
#[cfg(target_pointer_width = "64")]
fn four_gib_are_a_storage_and_a_byte_more_is_an_error() {
    use qcow1::BlockRead;

    const END: u64 = 1 << 32;
    let mut storage = ToStorage::new(FilledDisk(END)).unwrap();
    assert_eq!(storage.capacity() as u64, END);
    let mut last = [0; 1];
    storage.read(u32::MAX, &mut last).unwrap();
    assert_eq!(storage.read(u32::MAX, &mut [0; 2]), Err(Error::OutOfRange));
    let error = ToStorage::new(FilledDisk(END + 1)).err().unwrap();
    assert_eq!(
        error.to_string(),
        "the disk is larger than 4 GiB, which 32-bit offsets cannot address"
    );
    assert_eq!(error.0.0, END + 1);

    let mut device = FromStorage(Flash(&[], END as usize));
    assert_eq!(device.size(), Ok(END));
    let mut device = FromStorage(Flash(&[], END as usize + 1));
    assert_eq!(device.size(), Err(StorageError::TooLarge));
    assert_eq!(device.read_blocks(END, &mut [0]), Err(StorageError::TooLarge));
}

#[test]
fn a_block_io_is_a_device_and_a_disk_is_a_block_io() {
    let (mut file, bytes) = image_with_a_partial_last_sector();
    // The adapter accepts only whole blocks.
    file.resize(file.len().next_multiple_of(4096), 0);
    for size in [512, 4096] {
        let io = BlockIoAdapter::new(&file[..], GptBlockSize::new(size).unwrap());
        let mut memory = [0; 4096];
        let mut image = Image::open(FromBlockIo::new(io).unwrap(), &mut memory).unwrap();
        let mut io = ToBlockIo::new(&mut image, GptBlockSize::BS_512);
        assert_eq!(io.num_blocks(), Ok(39));
        let mut read = vec![0; 38 * 512];
        io.read_blocks(Lba(1), &mut read).unwrap();
        assert!(read == bytes[512..39 * 512]);
        for lba in [2, u64::MAX / 512, u64::MAX] {
            let result = io.read_blocks(Lba(lba), &mut read);
            assert_eq!(result, Err(DiskError::Device(Error::OutOfRange)));
        }
        assert_eq!(io.write_blocks(Lba(0), &read), Err(DiskError::ReadOnly));
        assert_eq!(io.flush(), Ok(()));
    }
}

#[test]
fn a_block_io_with_an_unsupported_block_size_is_refused() {
    for (size, fits) in [(512, true), (520, false), (65_536, true), (131_072, false)] {
        let io = BlockIoAdapter::new(&[][..], GptBlockSize::new(size).unwrap());
        assert_eq!(FromBlockIo::new(io).is_ok(), fits);
    }
}

#[test]
fn a_disk_is_a_block_device_that_is_never_written() {
    let (file, bytes) = image_with_a_partial_last_sector();
    let mut memory = [0; 4096];
    let mut image = Image::open(&file[..], &mut memory).unwrap();
    let device = ToBlockDevice::new(&mut image);
    assert_eq!(device.num_blocks().unwrap(), BlockCount(39));
    let mut blocks = vec![Block::new(); 38];
    device.read(&mut blocks, BlockIdx(1)).unwrap();
    for (block, stored) in blocks.iter().zip(bytes[512..].chunks(512)) {
        assert_eq!(block.contents, stored);
    }
    assert_eq!(
        device.read(&mut blocks, BlockIdx(u32::MAX)),
        Err(DiskError::Device(Error::OutOfRange))
    );
    assert_eq!(device.write(&blocks, BlockIdx(0)), Err(DiskError::ReadOnly));
}

#[test]
fn a_disk_of_two_tib_has_too_many_blocks_to_be_counted() {
    let most = u64::from(u32::MAX) * 512 + 511;
    assert_eq!(
        ToBlockDevice::new(FilledDisk(most)).num_blocks().unwrap(),
        BlockCount(u32::MAX)
    );
    let device = ToBlockDevice::new(FilledDisk(most + 1));
    assert_eq!(device.num_blocks(), Err(DiskError::TooLarge));
    // The blocks that a `BlockIdx` can address still read.
    let mut block = [Block::new()];
    device.read(&mut block, BlockIdx(u32::MAX)).unwrap();
    assert_eq!(block[0].contents, [7; 512]);
}

/// A disk that calls its own block device while it is read.
#[derive(Default)]
struct Mirror(Rc<OnceCell<Weak<ToBlockDevice<Mirror>>>>);

impl GuestDisk for Mirror {
    type Error = Broken;

    fn size(&self) -> u64 {
        512
    }
}

impl GuestRead for Mirror {
    fn read_at(&mut self, _: u64, dst: &mut [u8]) -> Result<(), Error<Broken>> {
        let device = self.0.get().unwrap().upgrade().unwrap();
        assert_eq!(device.read(&mut [Block::new()], BlockIdx(0)), Err(DiskError::Busy));
        assert_eq!(device.num_blocks(), Err(DiskError::Busy));
        dst.fill(9);
        Ok(())
    }
}

#[test]
fn a_reentrant_read_is_busy_and_the_outer_read_succeeds() {
    let mirror = Mirror::default();
    let cell = mirror.0.clone();
    let device = Rc::new(ToBlockDevice::new(mirror));
    cell.set(Rc::downgrade(&device)).unwrap();
    let mut block = [Block::new()];
    device.read(&mut block, BlockIdx(0)).unwrap();
    assert_eq!(block[0].contents, [9; 512]);
    assert_eq!(device.num_blocks(), Ok(BlockCount(1)));
}

#[test]
fn errors_have_a_sentence_a_source_and_a_kind() {
    let (file, _) = image_with_a_partial_last_sector();
    let mut memory = [0; 512];
    let mut image = Image::open(TestDevice::new(&file, 512), &mut memory).unwrap();
    image.device_mut().log.fail_after(0);
    let device = ToBlockDevice::new(&mut image);
    let error = device.read(&mut [Block::new()], BlockIdx(0)).unwrap_err();
    assert_eq!(error, DiskError::Device(Error::Io(Broken)));
    assert_eq!(error.to_string(), "the device could not be read: Broken");
    assert!(error.source().unwrap().is::<Broken>());
    for (error, sentence) in [
        (DiskError::<Broken>::ReadOnly, "the disk is read-only"),
        (DiskError::TooLarge, "the disk has more blocks than can be counted"),
        (DiskError::Busy, "the disk is being read already"),
    ] {
        assert_eq!(error.to_string(), sentence);
        assert!(error.source().is_none());
    }
    for (error, sentence, kind) in [
        (StorageError::Device(Broken), "Broken", embedded_io::ErrorKind::Other),
        (
            StorageError::TooLarge,
            "the storage is larger than 4 GiB, which its 32-bit offsets cannot address",
            embedded_io::ErrorKind::Unsupported,
        ),
        (
            StorageError::ReadSize(3),
            "the flash reads units of 3 bytes: only powers of two up to 65536 are supported",
            embedded_io::ErrorKind::Unsupported,
        ),
    ] {
        assert_eq!(error.to_string(), sentence);
        assert_eq!(embedded_io::Error::kind(&error), kind);
    }
    assert_eq!(
        TooLarge(0).to_string(),
        "the disk is larger than 4 GiB, which 32-bit offsets cannot address"
    );
}

#[test]
fn a_cursor_is_a_stream_of_the_standard_library() {
    let (file, bytes) = image_with_a_partial_last_sector();
    let mut memory = [0; 4096];
    let mut image = Image::open(&file[..], &mut memory).unwrap();
    let mut cursor = image.cursor();
    let mut read = Vec::new();
    assert_eq!(cursor.read_to_end(&mut read).unwrap(), 20_100);
    assert!(read == bytes);
    assert_eq!(cursor.seek(SeekFrom::End(-100)).unwrap(), 20_000);
    assert_eq!(io::copy(&mut cursor, &mut io::sink()).unwrap(), 100);
    let error = cursor.seek(SeekFrom::End(-20_101)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert_eq!(cursor.stream_position().unwrap(), 20_100);
}

#[test]
fn an_error_becomes_one_of_the_standard_library_with_its_kind() {
    let from = |error: Error<io::Error>| io::Error::from(error);
    let error = from(Error::Io(io::ErrorKind::Interrupted.into()));
    assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    assert!(error.get_ref().unwrap().is::<Error<io::Error>>());
    for (error, kind) in [
        (Error::NotQcow, io::ErrorKind::InvalidData),
        (Error::BackingRequired { guest_offset: 0 }, io::ErrorKind::NotFound),
        (Error::KeyRequired { guest_offset: 0 }, io::ErrorKind::PermissionDenied),
        (Error::OutOfRange, io::ErrorKind::InvalidInput),
        (Error::MemoryTooSmall { needed: 9 }, io::ErrorKind::OutOfMemory),
    ] {
        let text = error.to_string();
        let error = from(error);
        assert_eq!((error.kind(), error.to_string()), (kind, text));
    }
    assert_eq!(io::Error::from(Error::Io(Broken)).kind(), io::ErrorKind::Other);
}

#[test]
fn debug_output_names_the_adapter() {
    let too_large = ToStorage::new(FilledDisk(1 << 40)).unwrap_err();
    assert!(format!("{too_large:?}").contains("TooLarge"));
    assert!(format!("{:?}", ToBlockDevice::new(FilledDisk(512))).contains("ToBlockDevice"));
}

#[test]
fn a_disk_has_blocks_of_the_size_that_is_asked_for() {
    let mut disk = ToBlockIo::new(FilledDisk(8192), GptBlockSize::BS_4096);
    assert_eq!(disk.block_size(), GptBlockSize::BS_4096);
    assert_eq!(disk.num_blocks().unwrap(), 2);
}
