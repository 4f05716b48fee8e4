//! An image reads the same from every kind of device.

use std::io::Write;

use crate::common::{ImageBuilder, TestDevice, pattern};
use qcow1::{BlockRead, BlockSize, Blocks, Chain, FromIo, FromIoError, Image};

fn image() -> (Vec<u8>, Vec<u8>) {
    let mut builder = ImageBuilder::new(30_000).bits(9, 6).l1_at(53);
    let bytes = pattern(1, 30_000);
    builder.data(0, &bytes);
    let mut file = builder.build();
    // The file ends inside a sector.
    file.truncate(file.len() - 150);
    (file, bytes)
}

fn read<D: BlockRead>(device: D) -> Vec<u8> {
    let mut memory = vec![0; 70_000];
    let mut image = Image::open(device, &mut memory).unwrap();
    let mut bytes = vec![0xcc; image.size() as usize];
    image.read_at(0, &mut bytes).unwrap();
    bytes
}

/// A slice as a stream, whose reads are short.
struct Stream<'a> {
    bytes: &'a [u8],
    position: u64,
}

impl embedded_io::ErrorType for Stream<'_> {
    type Error = crate::common::Broken;
}

impl embedded_io::Read for Stream<'_> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, crate::common::Broken> {
        let rest = &self.bytes[(self.position as usize).min(self.bytes.len())..];
        let len = rest.len().min(buf.len()).min(100);
        buf[..len].copy_from_slice(&rest[..len]);
        self.position += len as u64;
        Ok(len)
    }
}

impl embedded_io::Seek for Stream<'_> {
    fn seek(&mut self, pos: embedded_io::SeekFrom) -> Result<u64, crate::common::Broken> {
        self.position = match pos {
            embedded_io::SeekFrom::Start(offset) => offset,
            embedded_io::SeekFrom::End(offset) => (self.bytes.len() as u64).checked_add_signed(offset).unwrap(),
            embedded_io::SeekFrom::Current(offset) => self.position.checked_add_signed(offset).unwrap(),
        };
        Ok(self.position)
    }
}

#[test]
fn a_slice_a_stream_and_a_file_read_the_same_bytes() {
    let (file, bytes) = image();
    assert!(read(&file[..]) == bytes);
    assert!(
        read(FromIo(Stream {
            bytes: &file,
            position: 9
        })) == bytes
    );
    let mut on_disk = tempfile::tempfile().unwrap();
    on_disk.write_all(&file).unwrap();
    assert!(read(on_disk) == bytes);
}

/// A reader that reports one byte more than the buffer holds.
struct Boastful;

impl embedded_io::ErrorType for Boastful {
    type Error = crate::common::Broken;
}

impl embedded_io::Read for Boastful {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, crate::common::Broken> {
        Ok(buf.len() + 1)
    }
}

impl embedded_io::Seek for Boastful {
    fn seek(&mut self, _: embedded_io::SeekFrom) -> Result<u64, crate::common::Broken> {
        Ok(4096)
    }
}

#[test]
fn a_stream_that_ends_before_its_size_is_an_error() {
    let mut device = FromIo(Stream {
        bytes: &[7; 1000],
        position: 0,
    });
    let mut buf = [0xcc; 512];
    assert_eq!(device.read_blocks(488, &mut buf), Ok(()));
    assert_eq!(buf, [7; 512]);
    assert_eq!(device.read_blocks(489, &mut buf), Err(FromIoError::UnexpectedEof));
}

#[test]
fn a_stream_that_reports_more_than_it_was_asked_for_is_an_error() {
    let mut device = FromIo(Boastful);
    assert_eq!(device.read_blocks(0, &mut [0; 512]), Err(FromIoError::TooManyBytes));
}

/// A stream of sevens, each second read of which is interrupted, until a last one fails.
#[derive(Default)]
struct Interrupted(u32);

impl embedded_io::ErrorType for Interrupted {
    type Error = embedded_io::ErrorKind;
}

impl embedded_io::Read for Interrupted {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, embedded_io::ErrorKind> {
        self.0 += 1;
        match self.0 {
            12 => Err(embedded_io::ErrorKind::TimedOut),
            odd if odd % 2 == 1 => Err(embedded_io::ErrorKind::Interrupted),
            _ => {
                let len = buf.len().min(200);
                buf[..len].fill(7);
                Ok(len)
            }
        }
    }
}

impl embedded_io::Seek for Interrupted {
    fn seek(&mut self, _: embedded_io::SeekFrom) -> Result<u64, embedded_io::ErrorKind> {
        Ok(4096)
    }
}

#[test]
fn a_read_of_a_stream_that_was_interrupted_is_repeated_and_other_errors_are_returned() {
    let mut device = FromIo(Interrupted::default());
    let mut buf = [0; 1000];
    assert_eq!(device.read_blocks(0, &mut buf), Ok(()));
    assert_eq!((buf, device.0.0), ([7; 1000], 10));
    let error = Err(FromIoError::Device(embedded_io::ErrorKind::TimedOut));
    assert_eq!(device.read_blocks(0, &mut buf), error);
}

#[test]
fn blocks_of_any_size_over_any_device_read_the_same() {
    let (file, bytes) = image();
    for shift in 0..=16 {
        let block_size = BlockSize::new(1 << shift).unwrap();
        assert!(read(Blocks::new(&file[..], block_size)) == bytes);
        assert!(read(Blocks::new(TestDevice::new(&file, 512), block_size)) == bytes);
    }
}

#[test]
fn a_borrowed_device_and_a_trait_object_are_devices() {
    let (file, bytes) = image();
    let mut device = TestDevice::new(&file, 512);
    assert!(read(&mut device) == bytes);
    let unknown: &mut dyn BlockRead<Error = crate::common::Broken> = &mut device;
    assert!(read(unknown) == bytes);
}

#[test]
fn arrays_and_boxed_devices_are_devices() {
    let (file, bytes) = image();
    let mut array = [0; 40_000];
    array[..file.len()].copy_from_slice(&file);
    assert!(read(&array) == bytes);
    assert!(read(array) == bytes);
    assert!(read(&mut array) == bytes);
    assert!(read(Box::new(TestDevice::new(&file, 512))) == bytes);
    let unknown: Box<dyn BlockRead<Error = crate::common::Broken> + '_> = Box::new(TestDevice::new(&file, 512));
    assert!(read(unknown) == bytes);
}

#[test]
fn a_chain_of_different_devices_uses_trait_objects() {
    let (file, bytes) = image();
    let mut overlay = ImageBuilder::new(30_000).overlay_on(b"base");
    overlay.data(0, &[7; 512]);
    let overlay = overlay.build();
    let mut slice = Blocks::new(&overlay[..], BlockSize::B512);
    let mut slice2 = &file[..];
    let (mut m1, mut m2) = ([0; 1024], [0; 1024]);
    let devices: [&mut dyn BlockRead<Error = core::convert::Infallible>; 2] = [&mut slice, &mut slice2];
    let mut chain: Chain<_, 2> = Chain::new();
    for (device, memory) in devices.into_iter().zip([&mut m1, &mut m2]) {
        chain.push(Image::open(device, memory).unwrap()).unwrap();
    }
    let mut read = vec![0; 30_000];
    chain.read_at(0, &mut read).unwrap();
    assert!(read[..512] == [7; 512] && read[512..] == bytes[512..]);
}

#[test]
fn block_sizes_are_powers_of_two_up_to_64_kib() {
    for bytes in 0..=70_000 {
        let valid = bytes <= 65_536 && u32::is_power_of_two(bytes);
        assert_eq!(BlockSize::new(bytes).map(BlockSize::bytes), valid.then_some(bytes));
    }
    for bytes in [1 << 17, 1 << 31, u32::MAX] {
        assert_eq!(BlockSize::new(bytes), None);
    }
    assert_eq!(BlockSize::B4096.to_string(), "4096 bytes");
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_without_a_size_is_refused_instead_of_read_as_an_empty_disk() {
    use std::fs::File;
    use std::io::ErrorKind;

    let folder = tempfile::tempdir().unwrap();
    for (path, kind) in [
        ("/dev/zero".as_ref(), ErrorKind::Unsupported),
        ("/dev/null".as_ref(), ErrorKind::Unsupported),
        // Its metadata claims a regular file of 0 bytes.
        ("/proc/self/status".as_ref(), ErrorKind::Unsupported),
        (folder.path(), ErrorKind::IsADirectory),
    ] {
        let mut file = File::open(path).unwrap();
        assert_eq!(file.size().unwrap_err().kind(), kind, "{}", path.display());
        let refused = Image::open_raw(file, &mut []).unwrap_err();
        assert!(
            matches!(refused.error(), qcow1::Error::Io(error) if error.kind() == kind),
            "{}",
            path.display()
        );
    }
    // An empty file is an empty disk.
    let empty = tempfile::tempfile().unwrap();
    assert_eq!(Image::open_raw(empty, &mut []).unwrap().size(), 0);
}
