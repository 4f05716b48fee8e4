//! The traits of the public types: `Debug`, `Display`, `Error`, `Default`, variance.

use std::error::Error as _;

use embedded_io::Error as _;

use crate::common::{Broken, ImageBuilder, TestDevice};
use qcow1::{
    BlockSize, Chain, CheckOptions, CipherFailed, CorruptPart, Error, FromIoError, Image, OpenOptions, PushError,
    ReadOnlyError, Unsupported,
};

#[test]
fn images_and_chains_can_be_printed() {
    let file = ImageBuilder::new(5000).build();
    let mut memory = [0; 512];
    let image = Image::open(&file[..], &mut memory[..]).unwrap();
    let printed = format!("{image:?}");
    assert!(printed.contains("Header") && printed.contains("5000"), "{printed}");
    let mut chain: Chain<Image<&[u8], &mut [u8]>, 1> = Chain::new();
    chain.push(image).unwrap();
    assert!(format!("{chain:?}").contains("Image"));
}

/// An error with a source.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Caused;

impl std::fmt::Display for Caused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("caused")
    }
}

impl std::error::Error for Caused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&Broken)
    }
}

impl embedded_io::Error for Caused {
    fn kind(&self) -> embedded_io::ErrorKind {
        embedded_io::ErrorKind::TimedOut
    }
}

#[test]
fn an_adapters_error_forwards_the_error_that_it_wraps_or_is_a_sentence_of_its_own() {
    fn forwards(error: impl embedded_io::Error) {
        assert_eq!(error.to_string(), "caused");
        assert!(error.source().is_some_and(|source| source.is::<Broken>()));
        assert_eq!(error.kind(), embedded_io::ErrorKind::TimedOut);
    }
    fn says(error: impl std::error::Error, sentence: &str) {
        assert_eq!(error.to_string(), sentence);
        assert!(error.source().is_none());
    }
    forwards(FromIoError::Device(Caused));
    forwards(ReadOnlyError::Device(Caused));
    for error in [FromIoError::<Caused>::UnexpectedEof, FromIoError::TooManyBytes] {
        assert_eq!(error.kind(), embedded_io::ErrorKind::Other);
    }
    says(
        FromIoError::<Caused>::UnexpectedEof,
        "the stream ended before the size that it reported",
    );
    says(
        FromIoError::<Caused>::TooManyBytes,
        "the stream reported that it read more bytes than were requested",
    );
    says(ReadOnlyError::<Caused>::ReadOnly, "the disk is read-only");
    says(CipherFailed, "the cipher could not decrypt the sectors");
    assert_eq!(BlockSize::B512.to_string(), "512 bytes");
}

#[test]
fn the_errors_of_opening_and_pushing_say_why() {
    let mut memory = [0; 512];
    let refused = Image::open(&[0_u8; 512][..], &mut memory).unwrap_err();
    assert_eq!(refused.to_string(), Error::<Broken>::NotQcow.to_string());
    let file = ImageBuilder::new(5000).build();
    let mut none: Chain<Image<&[u8], &mut [u8]>, 0> = Chain::new();
    let refused = none.push(Image::open(&file[..], &mut memory[..]).unwrap()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the chain already holds as many images as its type allows"
    );
    assert_eq!(format!("{refused:?}"), "Full(..)");
    assert_eq!(
        PushError::NoBackingNamed(()).to_string(),
        "the image above it has no backing file, so nothing would be read from this one"
    );
}

#[test]
fn default_is_the_same_as_new() {
    let file = ImageBuilder::new(5000).build();
    let mut memory = [0; 512];
    let image = Image::open_with(OpenOptions::default(), &file[..], &mut memory[..]).unwrap();
    let mut chain: Chain<_, 1> = Chain::default();
    assert_eq!((chain.size(), chain.images().len()), (0, 0));
    chain.push(image).unwrap();
    assert!(chain.image_mut(1).is_none());
    let image = chain.image_mut(0).unwrap();
    let summary = image.check_with(CheckOptions::default(), |_| {}).unwrap();
    assert_eq!(summary, image.check(|_| {}).unwrap());
}

#[cfg(feature = "aes")]
#[test]
fn a_key_is_never_printed() {
    let key = qcow1::Key::from_bytes([0xa7; 16]);
    for printed in [format!("{key:?}"), format!("{:?}", qcow1::AesCipher::new(&key))] {
        assert!(
            !printed.contains("167") && !printed.to_lowercase().contains("a7"),
            "{printed}"
        );
        assert!(
            printed.starts_with("Key") || printed.starts_with("AesCipher"),
            "{printed}"
        );
    }
}

#[test]
fn debug_output_names_the_type_or_its_value() {
    let file = &ImageBuilder::new(5000).build()[..];
    let mut memory = [0; 512];
    let mut image = Image::open(file, &mut memory[..]).unwrap();
    let flaw = Image::open(&file[..40], &mut [0; 512]).unwrap_err().into_error();
    for (printed, said) in [
        (format!("{:?}", image.extents()), "Extents"),
        (format!("{:?}", qcow1::Tracer::counting(file)), "Tracer"),
        (
            format!("{:?}", qcow1::Bounced::new(file, 8, [0; 512]).unwrap()),
            "Bounced",
        ),
        (format!("{:?}", qcow1::Limited::new(file, 512)), "Limited"),
        (
            format!(
                "{:?}",
                qcow1::MapErr::new(file, |never: std::convert::Infallible| never)
            ),
            "MapErr",
        ),
        (
            format!("{:?}", qcow1::Aligned::new(file, 8, &mut [0; 512]).unwrap()),
            "Aligned",
        ),
        (format!("{:?}", BlockSize::B4096), "4096"),
        (format!("{flaw:?}"), "Corrupt"),
    ] {
        assert!(printed.contains(said), "{printed}");
    }
}

/// An image with a long lifetime can be used where a shorter one is expected. Compiling this is the
/// test.
#[test]
fn an_image_is_covariant() {
    fn shrink<'short, 'long: 'short>(
        image: Image<&'long [u8], &'long mut [u8]>,
    ) -> Image<&'short [u8], &'short mut [u8]> {
        image
    }
    let file = ImageBuilder::new(5000).build();
    let mut memory = [0; 512];
    assert_eq!(shrink(Image::open(&file[..], &mut memory[..]).unwrap()).size(), 5000);
}

#[test]
fn each_error_is_a_sentence_and_a_devices_error_is_its_source() {
    let no_disk = ImageBuilder::new(1).build();
    let corrupt = Image::open(TestDevice::new(&no_disk, 1), [0; 512]).unwrap_err();
    for (error, sentence) in [
        (Error::Io(Broken), "the device could not be read: Broken"),
        (Error::Empty, "the file or the device is empty: it has 0 bytes"),
        (Error::NotQcow, "not a QCOW image: the magic number is missing"),
        (
            Error::Unsupported(Unsupported::Version(3)),
            "unsupported QCOW version 3: only version 1 is read",
        ),
        (
            Error::Unsupported(Unsupported::CryptMethod(2)),
            "unsupported encryption method 2",
        ),
        (
            Error::Unsupported(Unsupported::Compression),
            "the cluster is compressed, and this build does not have the feature `deflate`",
        ),
        (
            Error::Unsupported(Unsupported::DeviceSize(1 << 63 | 1)),
            "unsupported device size of 9223372036854775809 bytes: the largest is 2^63 bytes",
        ),
        (Error::OutOfRange, "the range does not lie inside the disk"),
        (
            Error::MemoryTooSmall { needed: 1234 },
            "the memory is too small: 1234 bytes are needed",
        ),
        (
            Error::BackingRequired { guest_offset: 512 },
            "guest offset 0x200 is in a hole, and the backing file that the image names was not supplied",
        ),
        (
            Error::KeyRequired { guest_offset: 512 },
            "guest offset 0x200 is in an encrypted cluster, and the image has no key",
        ),
        (
            Error::CipherFailed { guest_offset: 512 },
            "guest offset 0x200 is in an encrypted cluster, and the image's cipher failed to decrypt it",
        ),
        (
            corrupt.into_error(),
            "corrupt image: the disk's size is 1 bytes; the minimum is 2",
        ),
    ] {
        assert_eq!(error.to_string(), sentence);
        assert_eq!(error.source().is_some(), matches!(error, Error::Io(_)));
    }
}

#[test]
fn each_part_of_an_image_is_named_in_words() {
    for (part, words) in [
        (CorruptPart::Header, "the header"),
        (CorruptPart::BackingName, "the backing file's name"),
        (CorruptPart::L1Table, "the L1 table"),
        (CorruptPart::L2Table, "the L2 table"),
        (CorruptPart::Cluster, "the cluster"),
        (CorruptPart::CompressedCluster, "the compressed cluster"),
    ] {
        assert_eq!(part.to_string(), words);
    }
}

#[test]
fn an_error_has_the_kind_of_its_device_or_one_of_its_own() {
    use embedded_io::ErrorKind;

    for (error, kind) in [
        (Error::Io(Caused), ErrorKind::TimedOut),
        (Error::NotQcow, ErrorKind::InvalidData),
        (Error::Unsupported(Unsupported::Version(3)), ErrorKind::Unsupported),
        (Error::OutOfRange, ErrorKind::InvalidInput),
        (Error::MemoryTooSmall { needed: 1234 }, ErrorKind::OutOfMemory),
        (Error::BackingRequired { guest_offset: 0 }, ErrorKind::NotFound),
        (Error::KeyRequired { guest_offset: 0 }, ErrorKind::PermissionDenied),
        (Error::CipherFailed { guest_offset: 0 }, ErrorKind::Other),
    ] {
        assert_eq!(embedded_io::Error::kind(&error), kind, "{error}");
    }
}
