//! `ReadOnly`: disks for crates that demand a stream to write to.

use crate::common::{Broken, TestDevice, image_with_a_partial_last_sector};
use embedded_io::{Error as _, ErrorKind, Read, Seek, SeekFrom, Write};
use qcow1::{Error, Image, ReadOnly, ReadOnlyError};

#[test]
fn reads_and_seeks_pass_and_writes_are_refused() {
    let (file, bytes) = image_with_a_partial_last_sector();
    let mut memory = [0; 4096];
    let mut image = Image::open(&file[..], &mut memory).unwrap();
    let mut stream = ReadOnly(image.cursor());
    assert_eq!(stream.seek(SeekFrom::Start(5000)), Ok(5000));
    let mut read = vec![0; 1000];
    stream.read_exact(&mut read).unwrap();
    assert!(read == bytes[5000..6000]);
    let refused = stream.write(&[1]).unwrap_err();
    assert_eq!(refused, ReadOnlyError::ReadOnly);
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    assert_eq!(refused.to_string(), "the disk is read-only");
    assert_eq!((stream.write(&[]), stream.flush()), (Ok(0), Ok(())));
    let before = stream.seek(SeekFrom::End(-20_101)).unwrap_err();
    assert_eq!(before, ReadOnlyError::Device(Error::OutOfRange));
    assert_eq!(stream.0.position(), 6000);
}

#[test]
fn a_failed_read_is_the_streams_error_with_its_kind_and_cause() {
    let (file, _) = image_with_a_partial_last_sector();
    let mut memory = [0; 512];
    let device = TestDevice::new(&file, 1);
    // The data, after a word of each table.
    device.log.fail_after(3);
    let mut image = Image::open(device, &mut memory).unwrap();
    let error = ReadOnly(image.cursor()).read(&mut [0; 9]).unwrap_err();
    assert_eq!(error, ReadOnlyError::Device(Error::Io(Broken)));
    assert!(std::error::Error::source(&error).is_some());
    assert_eq!(ReadOnlyError::Device(Broken).kind(), Broken.kind());
    assert_eq!(ReadOnlyError::Device(Broken).to_string(), "broken");
}

#[cfg(feature = "std")]
#[test]
fn the_traits_of_the_standard_library_behave_the_same() {
    use std::io::{self, Read as _, Seek as _, Write as _};

    let (file, bytes) = image_with_a_partial_last_sector();
    let mut memory = [0; 4096];
    let mut image = Image::open(&file[..], &mut memory).unwrap();
    let mut stream: Box<dyn ReadWriteSeek> = Box::new(ReadOnly(image.cursor()));
    assert_eq!(stream.seek(io::SeekFrom::Start(20_000)).unwrap(), 20_000);
    let mut read = vec![];
    stream.read_to_end(&mut read).unwrap();
    assert!(read == bytes[20_000..]);
    let refused = stream.write_all(&[1]).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ReadOnlyFilesystem);
    assert_eq!(stream.write(&[]).unwrap(), 0);
    stream.flush().unwrap();

    trait ReadWriteSeek: io::Read + io::Write + io::Seek {}
    impl<T: io::Read + io::Write + io::Seek> ReadWriteSeek for T {}
}

#[cfg(feature = "std")]
#[test]
fn fatfs_lists_and_reads_a_disk_and_cannot_write_it() {
    use crate::common::disks::{fat_volume, image_of};
    use std::io::{Read as _, Write as _};

    let file = image_of(&fat_volume());
    let mut memory = vec![0; 65_536];
    let mut image = Image::open(&file[..], &mut memory).unwrap();
    let fat = fatfs::FileSystem::new(ReadOnly(image.cursor()), fatfs::FsOptions::new()).unwrap();
    let root = fat.root_dir();
    let names: Vec<_> = root.iter().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.contains(&"README.TXT".to_owned()), "{names:?}");
    let mut text = String::new();
    root.open_file("README.TXT").unwrap().read_to_string(&mut text).unwrap();
    assert!(!text.is_empty());
    assert!(root.create_file("NEW.TXT").is_err());
    let mut file = root.open_file("README.TXT").unwrap();
    assert!(file.write_all(b"changed").and_then(|()| file.flush()).is_err());
}

#[cfg(all(feature = "embedded-io-async", feature = "std"))]
#[test]
fn the_asynchronous_traits_behave_the_same() {
    use crate::common::futures::{Slow, finish};
    use embedded_io_async::{Read, Seek, Write};
    use qcow1::aio;

    async fn use_all<S: Read + Write + Seek>(stream: &mut S, read: &mut [u8]) -> (u64, Result<usize, S::Error>) {
        let end = stream.seek(SeekFrom::End(0)).await.unwrap();
        stream.seek(SeekFrom::Start(5000)).await.unwrap();
        assert!(stream.read_exact(read).await.is_ok());
        assert!(stream.flush().await.is_ok());
        assert_eq!(stream.write(&[]).await.ok(), Some(0));
        (end, stream.write(&[1]).await)
    }
    let (file, bytes) = image_with_a_partial_last_sector();
    let mut memory = [0; 4096];
    let mut image = finish(aio::Image::open(Slow(TestDevice::new(&file, 512)), &mut memory)).unwrap();
    let mut read = [0; 1000];
    let (end, written) = finish(use_all(&mut ReadOnly(image.cursor()), &mut read));
    assert_eq!(end, 20_100);
    assert!(read == bytes[5000..6000]);
    assert_eq!(written, Err(ReadOnlyError::ReadOnly));
}
