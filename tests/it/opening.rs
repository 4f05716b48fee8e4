//! Opening images: what a failure gives back, and the conversions of its error by `?`.

use std::convert::Infallible;

use crate::common::{Broken, ImageBuilder, Strict, TestDevice, pattern};
use qcow1::{BlockRead, BlockSize, Chain, Corrupt, CorruptPart, Error, Image, OpenError, OpenOptions, Unsupported};

/// Returns a QCOW file of another version.
fn version(version: u32) -> Vec<u8> {
    let mut file = ImageBuilder::new(8192).build();
    file[4..8].copy_from_slice(&version.to_be_bytes());
    file
}

/// Returns an image whose cluster bits are out of range.
fn corrupt() -> Vec<u8> {
    let mut file = ImageBuilder::new(8192).build();
    file[32] = 31;
    file
}

#[test]
fn a_failed_opening_returns_the_device_and_the_memory() {
    let not_qcow = [0; 600];
    let device = TestDevice::new(&not_qcow, 512);
    let log = device.log.clone();
    let mut memory = [0; 700];
    let place = memory.as_ptr();
    let error = Image::open(device, &mut memory[..]).unwrap_err();
    assert_eq!(*error.error(), Error::NotQcow);
    assert_eq!(*error.error(), Error::NotQcow);
    assert!(format!("{error:?}").contains("NotQcow"));
    let (mut device, memory, error) = error.into_parts();
    assert_eq!((memory.as_ptr(), memory.len(), error), (place, 700, Error::NotQcow));
    device.read_blocks(0, &mut [0; 512]).unwrap();
    assert_eq!(log.requests(), 2);

    let error = Image::open_raw(device, &mut memory[..511]).unwrap_err();
    let (device, memory, error) = error.into_parts();
    assert_eq!((memory.as_ptr(), memory.len()), (place, 511));
    assert_eq!(error, Error::MemoryTooSmall { needed: 512 });
    let error = Image::open(device, memory).unwrap_err();
    assert_eq!(*error.error(), Error::MemoryTooSmall { needed: 512 });
    assert_eq!(error.into_device().size(), Ok(600));
}

/// Opens a device as QCOW1, or as a raw disk if it is no QCOW image, as a caller without `or_raw`
/// would.
fn qcow1_else_raw<D: BlockRead>(device: D, memory: &mut [u8]) -> Result<Image<D, &mut [u8]>, Error<D::Error>> {
    match Image::open(device, memory).map_err(OpenError::into_parts) {
        Ok(image) => Ok(image),
        Err((device, memory, Error::NotQcow | Error::Empty)) => Ok(Image::open_raw(device, memory)?),
        Err((_, _, error)) => Err(error),
    }
}

fn or_raw<D: BlockRead>(device: D, memory: &mut [u8]) -> Result<Image<D, &mut [u8]>, Error<D::Error>> {
    Ok(Image::open_with(OpenOptions::new().or_raw(true), device, memory)?)
}

#[test]
fn or_raw_opens_a_disk_without_the_magic_number_as_raw() {
    let qcow = ImageBuilder::new(5000).build();
    let raw = pattern(5, 5000);
    let (version_2, version_3, corrupt) = (version(2), version(3), corrupt());
    for block in [1, 512, 4096] {
        for open in [or_raw, qcow1_else_raw] {
            let mut memory = [0; 4096];
            let image = open(TestDevice::new(&qcow, block), &mut memory[..]).unwrap();
            assert_eq!((image.size(), image.header().is_some()), (5000, true));
            let mut image = open(TestDevice::new(&raw, block), &mut memory[..]).unwrap();
            assert_eq!((image.size(), image.header()), (5000, None));
            let mut read = vec![0; 4990];
            image.read_at(7, &mut read).unwrap();
            assert!(read == raw[7..4997]);
            assert_eq!(open(TestDevice::new(&[], block), &mut memory[..]).unwrap().size(), 0);
            for (file, error) in [
                (&version_2, Error::Unsupported(Unsupported::Version(2))),
                (&version_3, Error::Unsupported(Unsupported::Version(3))),
            ] {
                assert_eq!(open(TestDevice::new(file, block), &mut memory[..]).unwrap_err(), error);
            }
            let header = |corrupt: Corrupt| corrupt.part() == CorruptPart::Header;
            for file in [&corrupt[..], &qcow[..40]] {
                let error = open(TestDevice::new(file, block), &mut memory[..]).unwrap_err();
                assert!(matches!(error, Error::Corrupt(corrupt) if header(corrupt)), "{error}");
            }
        }
        let mut memory = [0; 4096];
        for options in [OpenOptions::new(), OpenOptions::new().or_raw(true).or_raw(false)] {
            let refused = Image::open_with(options, TestDevice::new(&raw, block), &mut memory[..]).unwrap_err();
            assert_eq!(*refused.error(), Error::NotQcow);
        }
    }
}

#[test]
fn the_question_mark_converts_a_failed_opening_to_the_crates_error() {
    fn size(file: &[u8]) -> Result<u64, Error<Infallible>> {
        Ok(Image::open(file, [0; 512])?.size())
    }
    assert_eq!(size(&ImageBuilder::new(8192).build()), Ok(8192));
    assert_eq!(size(&[0; 100]), Err(Error::NotQcow));
    assert_eq!(size(&[]), Err(Error::Empty));
}

#[cfg(feature = "std")]
#[test]
fn the_question_mark_converts_a_failed_opening_or_push_to_a_boxed_error_or_an_io_error() {
    use std::io;

    fn push<E>(file: &[u8]) -> Result<(), E>
    where
        E: for<'m, 'f> From<OpenError<&'f [u8], &'m mut [u8], Infallible>>
            + for<'m, 'f> From<qcow1::PushError<Image<&'f [u8], &'m mut [u8]>>>,
    {
        // The error outlives the memory and the file.
        let mut memory = [[0; 512]; 2];
        let [top, base] = &mut memory;
        let mut chain = Chain::<_, 2>::new();
        chain.push(Image::open(file, &mut top[..])?)?;
        chain.push(Image::open_raw(file, &mut base[..])?)?;
        Ok(())
    }
    let plain = ImageBuilder::new(8192).build();
    let no_backing = qcow1::PushError::NoBackingNamed(()).to_string();
    let boxed = push::<Box<dyn std::error::Error>>(&[0; 100]).unwrap_err();
    assert_eq!(boxed.downcast_ref(), Some(&Error::<Infallible>::NotQcow));
    let boxed = push::<Box<dyn std::error::Error>>(&plain).unwrap_err();
    assert_eq!(boxed.to_string(), no_backing);
    let boxed = push::<Box<dyn std::error::Error + Send + Sync>>(&[0; 100]).unwrap_err();
    assert_eq!(boxed.downcast_ref(), Some(&Error::<Infallible>::NotQcow));
    let boxed = push::<Box<dyn std::error::Error + Send + Sync>>(&plain).unwrap_err();
    assert_eq!(boxed.to_string(), no_backing);
    let error = push::<io::Error>(&[0; 100]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    let error = push::<io::Error>(&plain).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), no_backing);
}

/// A device of any size and block size, with an image at its start and zeros after it.
struct Huge<'a>(u64, u32, &'a [u8]);

impl BlockRead for Huge<'_> {
    type Error = Broken;

    fn block_size(&self) -> BlockSize {
        BlockSize::new(self.1).unwrap()
    }

    fn size(&mut self) -> Result<u64, Broken> {
        Ok(self.0)
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Broken> {
        let start = usize::try_from(lba.checked_mul(self.1.into()).unwrap()).unwrap_or(usize::MAX);
        buf.fill(0);
        let stored = self.2.get(start..).unwrap_or_default();
        let len = stored.len().min(buf.len());
        buf[..len].copy_from_slice(&stored[..len]);
        Ok(())
    }
}

fn huge(size: u64, block_size: u32, image: &[u8]) -> Strict<Huge<'_>> {
    Strict::new(Huge(size, block_size, image))
}

const LARGEST: u64 = 1 << 63;

#[test]
fn a_device_of_more_than_2_to_the_63_bytes_is_refused() {
    let file = ImageBuilder::new(8192).build();
    for block in [1, 512, 65_536] {
        let mut memory = vec![0xcc; 65_536];
        for size in [LARGEST + 1, u64::MAX - 511, u64::MAX] {
            let too_large = Error::Unsupported(Unsupported::DeviceSize(size));
            let refused = Image::open(huge(size, block, &file), &mut memory[..]).unwrap_err();
            assert_eq!(*refused.error(), too_large);
            let refused = Image::open_raw(huge(size, block, &file), &mut memory[..]).unwrap_err();
            assert_eq!(*refused.error(), too_large);
        }
        let image = Image::open(huge(LARGEST, block, &file), &mut memory[..]).unwrap();
        assert_eq!(image.size(), 8192);
        let mut image = Image::open_raw(huge(LARGEST, block, &file), &mut memory[..]).unwrap();
        assert_eq!(image.size(), LARGEST);
        let mut last = [0xcc; 700];
        image.read_at(LARGEST - 700, &mut last).unwrap();
        assert_eq!(last, [0; 700]);
        assert_eq!(image.read_at(LARGEST - 699, &mut last), Err(Error::OutOfRange));
    }
}

#[cfg(feature = "async")]
mod aio {
    use super::*;
    use crate::common::futures::{Slow, finish};
    use qcow1::aio;

    #[test]
    fn a_failed_opening_returns_the_device_and_the_memory() {
        let file = ImageBuilder::new(8192).build();
        let device = TestDevice::new(&file, 512);
        device.log.fail_after(0);
        let mut memory = [0; 600];
        let place = memory.as_ptr();
        let error = finish(aio::Image::open(Slow(device), &mut memory[..])).unwrap_err();
        let (device, memory, error) = error.into_parts();
        assert_eq!((memory.as_ptr(), memory.len()), (place, 600));
        assert_eq!(error, Error::Io(Broken));
        assert_eq!(finish(aio::Image::open(device, memory)).unwrap().size(), 8192);
    }

    #[test]
    fn or_raw_opens_a_disk_without_the_magic_number_as_raw() {
        let raw = pattern(5, 5000);
        let qcow = ImageBuilder::new(8192).build();
        let mut memory = [0; 512];
        let mut open = |file: &[u8], options| {
            let image = finish(aio::Image::open_with(
                options,
                Slow(TestDevice::new(file, 512)),
                &mut memory,
            ));
            image.map(|image| image.size()).map_err(OpenError::into_error)
        };
        let or_raw = OpenOptions::new().or_raw(true);
        assert_eq!(open(&raw, OpenOptions::new()), Err(Error::NotQcow));
        assert_eq!(open(&raw, or_raw), Ok(5000));
        assert_eq!(open(&qcow, or_raw), Ok(8192));
        assert_eq!(
            open(&version(3), or_raw),
            Err(Error::Unsupported(Unsupported::Version(3)))
        );
        assert!(matches!(open(&corrupt(), or_raw), Err(Error::Corrupt(_))));
    }

    #[test]
    fn a_device_of_more_than_2_to_the_63_bytes_is_refused() {
        let too_large = Error::Unsupported(Unsupported::DeviceSize(LARGEST + 1));
        let mut memory = [0; 512];
        let refused = finish(aio::Image::open(Slow(huge(LARGEST + 1, 512, &[])), &mut memory[..])).unwrap_err();
        assert_eq!(*refused.error(), too_large);
        let refused = finish(aio::Image::open_raw(Slow(huge(LARGEST + 1, 512, &[])), &mut memory[..])).unwrap_err();
        assert_eq!(*refused.error(), too_large);
    }
}
