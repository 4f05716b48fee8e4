//! What the public types promise beside their methods.

use std::error::Error as _;

use crate::common::{Broken, ImageBuilder};
use qcow1::{Chain, CipherFailed, Error, Image, PushReason, Unsupported};

#[test]
fn images_and_chains_can_be_printed() {
    let file = ImageBuilder::new(5000).build();
    let mut memory = [0; 512];
    let image = Image::open(&file[..], &mut memory).unwrap();
    let printed = format!("{image:?}");
    assert!(printed.contains("Header") && printed.contains("5000"), "{printed}");
    let mut chain: Chain<Image<'_, &[u8]>, 1> = Chain::new();
    chain.push(image).unwrap();
    assert!(format!("{chain:?}").contains("Image"));
}

/// The lifetime of the memory can shrink: what is borrowed for long serves where it is wanted for short.
#[test]
fn an_image_is_covariant() {
    fn shrink<'short, 'long: 'short>(image: Image<'long, &'long [u8]>) -> Image<'short, &'short [u8]> {
        image
    }
    let file = ImageBuilder::new(5000).build();
    let mut memory = [0; 512];
    assert_eq!(shrink(Image::open(&file[..], &mut memory).unwrap()).size(), 5000);
}

#[test]
fn each_error_is_a_sentence_and_a_devices_is_the_source() {
    let errors: [Error<Broken>; 12] = [
        Error::Io(Broken),
        Error::NotQcow,
        Error::Unsupported(Unsupported::Version(3)),
        Error::Unsupported(Unsupported::CryptMethod(2)),
        Error::OutOfRange,
        Error::MemoryTooSmall { needed: 1234 },
        Error::BackingRequired,
        Error::KeyRequired,
        Error::CipherFailed,
        Error::Unsupported(Unsupported::DeviceSize(1 << 63)),
        Error::Push(PushReason::Full),
        Error::Push(PushReason::NotNamed),
    ];
    for error in errors {
        let said = error.to_string();
        assert!(said.len() > 20 && said.contains(' '), "{said}");
        assert_eq!(error.source().is_some(), matches!(error, Error::Io(_)));
        // Each has a kind of its own for code that knows no QCOW.
        let _ = embedded_io::Error::kind(&error);
    }
    assert!(
        Error::<Broken>::MemoryTooSmall { needed: 1234 }
            .to_string()
            .contains("1234")
    );
    assert_eq!(CipherFailed.to_string(), "the cipher could not decrypt the sectors");
}
