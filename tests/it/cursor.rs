//! `Cursor`: a guest's disk as a stream.

use crate::common::{ImageBuilder, pattern};
use embedded_io::{Error as _, Read, Seek, SeekFrom};
use qcow1::{Error, Image};

#[test]
fn a_cursor_reads_to_the_end_and_then_returns_0_bytes() {
    let bytes = pattern(1, 10_000);
    let mut builder = ImageBuilder::new(10_000);
    builder.data(0, &bytes);
    let file = builder.build();
    let mut memory = [0; 2048];
    let mut image = Image::open(&file[..], &mut memory).unwrap();
    let mut cursor = image.cursor();
    let mut read: Vec<u8> = vec![];
    let mut part = [0; 777];
    loop {
        match cursor.read(&mut part).unwrap() {
            0 => break,
            len => read.extend(&part[..len]),
        }
    }
    assert_eq!(read, bytes);
    assert_eq!(cursor.position(), 10_000);
    assert_eq!(cursor.seek(SeekFrom::End(-10)).unwrap(), 9990);
    cursor.read_exact(&mut part[..10]).unwrap();
    assert_eq!(part[..10], bytes[9990..]);
    assert_eq!(cursor.seek(SeekFrom::Current(-100)).unwrap(), 9900);
    assert_eq!(cursor.read(&mut part).unwrap(), 100);
    assert_eq!(cursor.seek(SeekFrom::Start(20_000)).unwrap(), 20_000);
    assert_eq!(cursor.read(&mut part).unwrap(), 0);
}

#[test]
fn a_seek_before_the_start_is_refused_and_keeps_the_position() {
    let file = ImageBuilder::new(100).build();
    let mut memory = [0; 512];
    let mut image = Image::open(&file[..], &mut memory).unwrap();
    let mut cursor = image.cursor();
    cursor.seek(SeekFrom::Start(50)).unwrap();
    for target in [
        SeekFrom::Current(-51),
        SeekFrom::End(-101),
        SeekFrom::End(i64::MIN),
        SeekFrom::Current(i64::MIN),
    ] {
        let error = cursor.seek(target).unwrap_err();
        assert_eq!(error, Error::OutOfRange);
        assert_eq!(error.kind(), embedded_io::ErrorKind::InvalidInput);
    }
    assert_eq!(cursor.position(), 50);
}
