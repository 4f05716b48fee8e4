//! `embedded-io-async`: streams as devices, cursors as streams, and what a dropped future leaves.

use crate::common::futures::{later, poll};
use crate::common::{Broken, ImageBuilder, pattern};
use embedded_io_async::{ErrorType, Read, Seek, SeekFrom};
use qcow1::aio::{BlockRead, Image};
use qcow1::{Chain, FromIo};
use qcow1::{Error, FromIoError};

const SIZE: usize = 30_000;

/// A stream that is pending once in each call, and returns at most 1,000 bytes at a time.
struct Stream<'a> {
    bytes: &'a [u8],
    position: u64,
}

impl ErrorType for Stream<'_> {
    type Error = Broken;
}

impl Read for Stream<'_> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Broken> {
        let rest = &self.bytes[(self.position as usize).min(self.bytes.len())..];
        let len = rest.len().min(buf.len()).min(1000);
        buf[..len].copy_from_slice(&rest[..len]);
        // A dropped future leaves the stream at the new position.
        self.position += len as u64;
        later().await;
        Ok(len)
    }
}

impl Seek for Stream<'_> {
    async fn seek(&mut self, pos: SeekFrom) -> Result<u64, Broken> {
        later().await;
        self.position = match pos {
            SeekFrom::Start(offset) => offset,
            SeekFrom::End(offset) => (self.bytes.len() as u64).checked_add_signed(offset).unwrap(),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset).unwrap(),
        };
        Ok(self.position)
    }
}

fn image() -> (Vec<u8>, Vec<u8>) {
    let mut builder = ImageBuilder::new(SIZE as u64).bits(9, 6).l1_at(51);
    let bytes = pattern(5, SIZE);
    builder.data(0, &bytes);
    (builder.build(), bytes)
}

/// A stream of sevens, each second read of which is interrupted.
struct Interrupted(u32);

impl ErrorType for Interrupted {
    type Error = embedded_io::ErrorKind;
}

impl Read for Interrupted {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, embedded_io::ErrorKind> {
        self.0 += 1;
        if self.0 % 2 == 1 {
            return Err(embedded_io::ErrorKind::Interrupted);
        }
        let len = buf.len().min(200);
        buf[..len].fill(7);
        Ok(len)
    }
}

impl Seek for Interrupted {
    async fn seek(&mut self, _: SeekFrom) -> Result<u64, embedded_io::ErrorKind> {
        Ok(4096)
    }
}

#[test]
fn a_read_of_an_asynchronous_stream_that_was_interrupted_is_repeated() {
    let mut device = FromIo(Interrupted(0));
    let mut buf = [0; 1000];
    assert_eq!(pollster::block_on(device.read_blocks(0, &mut buf)), Ok(()));
    assert_eq!((buf, device.0.0), ([7; 1000], 10));
}

#[test]
fn an_asynchronous_stream_is_a_device_and_a_cursor_is_a_stream_again() {
    let (file, bytes) = image();
    pollster::block_on(async {
        let mut memory = [0; 2048];
        let stream = Stream {
            bytes: &file,
            position: 77,
        };
        let mut image = Image::open(FromIo(stream), &mut memory).await.unwrap();
        let mut cursor = image.cursor();
        let mut read: Vec<u8> = vec![];
        let mut part = [0; 777];
        loop {
            match cursor.read(&mut part).await.unwrap() {
                0 => break,
                len => read.extend(&part[..len]),
            }
        }
        assert!(read == bytes);
        assert_eq!(cursor.position(), SIZE as u64);
        assert_eq!(cursor.seek(SeekFrom::End(-10)).await.unwrap(), 29_990);
        cursor.read_exact(&mut part[..10]).await.unwrap();
        assert_eq!(part[..10], bytes[29_990..]);
        assert_eq!(cursor.seek(SeekFrom::Current(-100)).await.unwrap(), 29_900);
        assert_eq!(cursor.read(&mut part).await.unwrap(), 100);
        assert_eq!(cursor.seek(SeekFrom::Start(40_000)).await.unwrap(), 40_000);
        assert_eq!(cursor.read(&mut part).await.unwrap(), 0);
        assert_eq!(cursor.seek(SeekFrom::End(-30_001)).await, Err(Error::OutOfRange));
        assert_eq!(cursor.position(), 40_000);
    });
}

/// A reader that reports one byte more than the buffer holds.
struct Boastful;

impl ErrorType for Boastful {
    type Error = Broken;
}

impl Read for Boastful {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Broken> {
        Ok(buf.len() + 1)
    }
}

impl Seek for Boastful {
    async fn seek(&mut self, _: SeekFrom) -> Result<u64, Broken> {
        Ok(4096)
    }
}

#[test]
fn an_asynchronous_stream_that_reports_more_than_it_was_asked_for_is_an_error() {
    let mut device = FromIo(Boastful);
    let read = pollster::block_on(device.read_blocks(0, &mut [0; 512]));
    assert_eq!(read, Err(FromIoError::TooManyBytes));
}

#[test]
fn an_image_inside_an_image_is_read_through_both() {
    let (inner, bytes) = image();
    let mut builder = ImageBuilder::new(inner.len() as u64);
    builder.data(0, &inner);
    let outer = builder.build();
    pollster::block_on(async {
        let (mut outer_memory, mut memory) = ([0; 4096], [0; 4096]);
        let stream = Stream {
            bytes: &outer,
            position: 0,
        };
        let mut chain: Chain<_, 1> = Chain::new();
        chain
            .push(Image::open(FromIo(stream), &mut outer_memory).await.unwrap())
            .unwrap();
        let mut image = Image::open(FromIo(chain.cursor()), &mut memory).await.unwrap();
        let mut read = vec![0; SIZE];
        image.read_at(0, &mut read).await.unwrap();
        assert!(read == bytes);
    });
}

#[test]
fn a_dropped_read_leaves_the_position_where_it_was() {
    let (file, bytes) = image();
    for polls in 1.. {
        let mut memory = [0; 4096];
        let stream = Stream {
            bytes: &file,
            position: 0,
        };
        let mut image = pollster::block_on(Image::open(FromIo(stream), &mut memory)).unwrap();
        let mut cursor = image.cursor();
        pollster::block_on(cursor.seek(SeekFrom::Start(100))).unwrap();
        let mut read = vec![0; 5000];
        let finished = poll(cursor.read(&mut read), polls);
        if let Some(result) = finished {
            assert_eq!(result, Ok(5000));
            assert_eq!(cursor.position(), 5100);
            return;
        }
        assert_eq!(cursor.position(), 100);
        pollster::block_on(cursor.read_exact(&mut read)).unwrap();
        assert!(read == bytes[100..5100], "after {polls} polls");
    }
}

#[test]
fn the_example_reads_the_image_of_the_repository() {
    let output = crate::common::example::example("async_read").output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("131072 bytes\nthe first are ["), "{text}");
    let output = crate::common::example::example("async_read")
        .arg("/nonexistent")
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && error.starts_with("async_read: /nonexistent: "),
        "{error}"
    );
}

#[test]
fn the_example_for_block_device_driver_reads_through_both_of_its_adapters() {
    let file = include_bytes!("../data/plain.qcow");
    let mut memory = [0; 4096];
    let mut image = qcow1::Image::open(file, &mut memory).unwrap();
    let mut disk = vec![0; image.size() as usize];
    image.read_at(0, &mut disk).unwrap();
    let sum: u64 = disk.iter().copied().map(u64::from).sum();
    let output = crate::common::example::example("block_device_driver").output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let right = format!("{} bytes, the sum of which is {sum}\nwriting: ReadOnly\n", disk.len());
    assert_eq!(text, right);
}
