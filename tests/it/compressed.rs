//! Compressed clusters: the crate accepts and refuses what QEMU does, and no read depends on an
//! earlier one.

use crate::common::{ImageBuilder, TestDevice, pattern};
use miniz_oxide::deflate::compress_to_vec;
use qcow1::{CorruptKind, Error, ExtentKind, Image};

const SIZE: usize = 4096;

/// Returns an image whose first cluster is `stream`. The table word states a length of `len` bytes.
fn image(stream: &[u8], len: u64) -> Vec<u8> {
    let mut image = ImageBuilder::new(1 << 20);
    // The table before the stream, so that the stream can end the file.
    image.table_at(0, 0x1000).stream_at(0, 0x2003, stream, len);
    image.raw(0x2003 + SIZE as u64, &[0]);
    image.build()
}

/// Reads the first cluster whole, and again in two parts. Asserts that the results agree.
fn read(file: &[u8]) -> Result<Vec<u8>, Error<core::convert::Infallible>> {
    let read = |cuts: &[usize]| {
        let mut memory = vec![0; 32_768];
        let mut image = Image::open(file, &mut memory).unwrap();
        let mut bytes = vec![0xcc; SIZE];
        let mut done = 0;
        for cut in cuts {
            image.read_at(done as u64, &mut bytes[done..*cut])?;
            done = *cut;
        }
        Ok(bytes)
    };
    let whole = read(&[SIZE]);
    assert_eq!(read(&[1000, SIZE]), whole);
    whole
}

/// Asserts that the first cluster is corrupt in this way.
fn corrupt(file: &[u8], kind: CorruptKind) {
    match read(file) {
        Err(Error::Corrupt(corrupt)) => {
            assert_eq!(corrupt.kind(), kind);
            assert_eq!(corrupt.guest_offset(), Some(0));
            assert_eq!(corrupt.host_offset(), Some(0x2003));
        }
        other => panic!("{:?}", other.map(drop)),
    }
}

#[test]
fn a_stream_starts_and_ends_at_any_byte() {
    let bytes = pattern(1, SIZE);
    let stream = compress_to_vec(&bytes, 9);
    for host in [49_152, 49_153, 49_153 + 511, 53_247] {
        let mut builder = ImageBuilder::new(1 << 20);
        builder.stream_at(8192, host, &stream, stream.len() as u64);
        let file = builder.build();
        for block in [1, 512, 4096] {
            let mut memory = vec![0; 65_536];
            let mut image = Image::open(TestDevice::new(&file, block), &mut memory).unwrap();
            let mut read = vec![0; SIZE];
            image.read_at(8192, &mut read).unwrap();
            assert_eq!(read, bytes);
            let kind = ExtentKind::Compressed {
                host_offset: host,
                stored_len: stream.len() as u32,
            };
            let extent = image.extent_at(8192 + 5, 1 << 20).unwrap();
            assert_eq!((extent.start, extent.len, extent.kind), (8192 + 5, 4091, kind));
        }
    }
}

#[test]
fn the_last_byte_of_a_stream_may_be_missing_once_the_cluster_is_full() {
    let bytes = pattern(2, SIZE);
    // The last byte of a stored block is needed.
    let mut stream = compress_to_vec(&bytes, 0);
    assert_eq!(stream.pop(), bytes.last().copied());
    corrupt(&image(&stream, stream.len() as u64), CorruptKind::Stream);
    // The code that ends a compressed block is not: the cluster is full before it.
    let stream = compress_to_vec(&bytes, 6);
    assert_eq!(read(&image(&stream, stream.len() as u64 - 1)).unwrap(), bytes);
}

#[test]
fn garbage_after_the_end_of_a_stream_is_ignored() {
    let bytes = pattern(2, SIZE);
    let mut stream = compress_to_vec(&bytes, 6);
    stream.extend([0xa5; 100]);
    assert_eq!(read(&image(&stream, stream.len() as u64)).unwrap(), bytes);
}

#[test]
fn a_stream_that_gives_more_than_a_cluster_is_cut_after_the_cluster() {
    let bytes = pattern(2, 3 * SIZE);
    let stream = compress_to_vec(&bytes, 6);
    assert_eq!(read(&image(&stream, stream.len() as u64)).unwrap(), bytes[..SIZE]);
}

#[test]
fn a_stream_that_gives_less_than_a_cluster_is_refused() {
    for len in [0, 1, SIZE - 1] {
        let stream = compress_to_vec(&pattern(2, len), 6);
        corrupt(&image(&stream, stream.len() as u64), CorruptKind::Stream);
    }
}

#[test]
fn a_stream_that_cannot_be_inflated_is_named_with_the_reason_or_not_at_all() {
    /// Takes a number of bytes, and then fails.
    struct Full(usize);

    impl std::fmt::Write for Full {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            self.0 = self.0.checked_sub(text.len()).ok_or(std::fmt::Error)?;
            Ok(())
        }
    }

    let error = read(&image(&[0xff; 8], 8)).unwrap_err();
    let sentence = "corrupt image: the compressed cluster for guest offset 0x0, at host offset 0x2003, cannot be \
                    inflated: a compressed block has the reserved type 3";
    assert_eq!(error.to_string(), sentence);
    for len in 0..=sentence.len() {
        let written = std::fmt::write(&mut Full(len), format_args!("{error}"));
        assert_eq!(written.is_ok(), len == sentence.len(), "{len}");
    }
}

#[test]
fn a_stream_of_size_0_is_corrupt() {
    let stream = compress_to_vec(&pattern(2, SIZE), 6);
    corrupt(&image(&stream, 0), CorruptKind::StreamEmpty);
}

#[test]
fn a_truncated_stream_is_corrupt_and_salvage_reads_its_rest_as_zeros() {
    let bytes = pattern(2, SIZE);
    let stream = compress_to_vec(&bytes, 6);
    let len = stream.len() as u64;
    let mut file = image(&stream, len + 40);
    file.truncate(0x2003 + stream.len());
    corrupt(&file, CorruptKind::StreamPastEnd);
    let salvage = |file: &[u8]| {
        let mut memory = vec![0; 32_768];
        let options = qcow1::OpenOptions::new().salvage(true);
        let mut image = Image::open_with(options, file, &mut memory).unwrap();
        let mut bytes = vec![0xcc; SIZE];
        image.read_at(0, &mut bytes).map(|()| bytes)
    };
    assert_eq!(salvage(&file).unwrap(), bytes);
    // The rest of a stream yields its bytes, and the rest of the cluster is zeros.
    for kept in 0..stream.len() {
        let found = salvage(&file[..0x2003 + kept]).unwrap();
        let mut right = vec![0; SIZE];
        let filled = crate::common::oracle::inflate(&stream[..kept], &mut right);
        right[filled..].fill(0);
        assert!(found == right, "{kept} of {} bytes, {filled} filled", stream.len());
    }
}

#[test]
fn a_salvaged_stream_past_the_end_of_the_file_is_zeros_without_a_request() {
    let stream = compress_to_vec(&pattern(2, SIZE), 6);
    let file = image(&stream, stream.len() as u64);
    // From the start of the stream's block to the start of the stream.
    for end in [0x2000, 0x2001, 0x2003] {
        let device = TestDevice::new(&file[..end], 512);
        let log = device.log.clone();
        let options = qcow1::OpenOptions::new().salvage(true);
        let mut image = Image::open_with(options, device, vec![0; 32_768]).unwrap();
        image.extent_at(0, 1).unwrap();
        let before = log.requests();

        // The file's last block is bad, and is not needed.
        log.fail_after(0);
        let mut bytes = [0xcc; SIZE];
        image.read_at(0, &mut bytes).unwrap();

        assert!(bytes == [0; SIZE]);
        assert_eq!(log.requests(), before, "the file ends at {end:#x}");
    }
}

#[test]
fn a_salvaged_stream_past_the_end_of_the_file_forgets_no_stream_that_was_read() {
    let stream = compress_to_vec(&[7; SIZE], 6);
    let len = stream.len() as u64;
    let mut builder = ImageBuilder::new(3 * SIZE as u64);
    builder.table_at(0, 0x1000).stream_at(0, 0x2000, &stream, len);
    builder.stream_at(8192, 0x2000 + len, &stream, len);
    builder.stream_at(4096, 0x9000, &stream, len);
    let mut file = builder.build();
    file.truncate(0x2200);
    let device = TestDevice::new(&file, 512);
    let log = device.log.clone();
    let options = qcow1::OpenOptions::new().salvage(true);
    let mut image = Image::open_with(options, device, vec![0; 32_768]).unwrap();
    image.extent_at(0, 1).unwrap();
    let before = log.requests();

    let mut disk = [0xcc; 3 * SIZE];
    image.read_at(0, &mut disk).unwrap();

    assert!(disk == [[7; SIZE], [0; SIZE], [7; SIZE]].concat()[..]);
    assert_eq!(log.requests() - before, 1, "one block has both other streams");
}

#[test]
fn a_match_reaches_back_as_far_as_the_cluster_goes() {
    // Random 6,000 bytes twice: a match distance that QEMU, with its window of 4 KiB, never writes.
    let mut random = crate::common::Random(5);
    let mut bytes = random.bytes(6000);
    bytes.extend_from_within(..);
    bytes.resize(65_536, 0);
    let stream = compress_to_vec(&bytes, 9);
    assert!(stream.len() < 8000);
    let mut builder = ImageBuilder::new(1 << 20).bits(16, 9);
    builder.stream_at(0, 100_000, &stream, stream.len() as u64);
    let file = builder.build();
    let mut memory = vec![0; 200_000];
    let mut read = vec![0; 65_536];
    Image::open(&file[..], &mut memory)
        .unwrap()
        .read_at(0, &mut read)
        .unwrap();
    assert!(read == bytes);
}

/// Returns an image with three clusters, and the contents of the first: a valid stream, a corrupt
/// stream, and the valid stream again with a wrong length in its word.
fn three_words() -> (Vec<u8>, Vec<u8>) {
    let bytes = pattern(2, SIZE);
    let stream = compress_to_vec(&bytes, 6);
    let mut builder = ImageBuilder::new(1 << 20);
    builder.stream_at(0, 0x3001, &stream, stream.len() as u64);
    builder.stream_at(4096, 0x4001, &[0xff; 200], 200);
    builder.stream_at(8192, 0x3001, &stream, 5);
    builder.raw(0x5000, &[0]);
    (builder.build(), bytes)
}

#[test]
fn after_a_corrupt_cluster_the_good_one_before_it_is_still_right() {
    let (file, bytes) = three_words();
    for part in [SIZE, 100] {
        let mut memory = vec![0; 32_768];
        let mut image = Image::open(&file[..], &mut memory).unwrap();
        let mut read = vec![0; part];
        for _ in 0..3 {
            image.read_at(0, &mut read).unwrap();
            assert_eq!(read, bytes[..part]);
            assert!(matches!(image.read_at(4096, &mut read), Err(Error::Corrupt(_))));
        }
    }
}

#[test]
fn the_same_offset_with_a_wrong_size_fails_whatever_was_read_before() {
    let (file, bytes) = three_words();
    for part in [SIZE, 100] {
        let mut memory = vec![0; 32_768];
        let mut image = Image::open(&file[..], &mut memory).unwrap();
        let mut read = vec![0; part];
        for _ in 0..3 {
            assert!(matches!(image.read_at(8192, &mut read), Err(Error::Corrupt(_))));
            image.read_at(0, &mut read).unwrap();
            assert_eq!(read, bytes[..part]);
        }
    }
}

#[test]
fn the_last_cluster_of_a_disk_inflates_as_a_whole_and_is_cut() {
    let mut builder = ImageBuilder::new(5000);
    let bytes = pattern(3, SIZE);
    builder.compressed(4096, &bytes);
    let file = builder.build();
    let mut memory = vec![0; 32_768];
    let mut image = Image::open(&file[..], &mut memory).unwrap();
    let mut read = vec![0; 5000];
    image.read_at(0, &mut read).unwrap();
    assert_eq!(read[4096..], bytes[..904]);
}
