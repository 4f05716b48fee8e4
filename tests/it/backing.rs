//! Holes, and the backing files that they read from.

use crate::common::{ImageBuilder, pattern};
use qcow1::{Chain, Error, ExtentKind, Image, PushError};

fn read<const DEPTH: usize>(chain: &mut Chain<Image<&[u8], &mut [u8]>, DEPTH>, offset: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0xcc; len];
    chain.read_at(offset, &mut bytes).unwrap();
    bytes
}

/// Returns an overlay of `size` bytes that stores one cluster, at 1024.
fn overlay(size: u64) -> Vec<u8> {
    let mut builder = ImageBuilder::new(size).overlay_on(b"base");
    builder.data(1024, &[0xaa; 512]);
    builder.build()
}

/// Opens `top` as an overlay on `base`.
fn on<'m>(
    top: &'m [u8],
    base: Image<&'m [u8], &'m mut [u8]>,
    memory: &'m mut [u8],
) -> Chain<Image<&'m [u8], &'m mut [u8]>, 2> {
    let mut chain = Chain::new();
    chain.push(Image::open(top, memory).unwrap()).unwrap();
    chain.push(base).unwrap();
    chain
}

#[test]
fn holes_read_from_the_base_at_the_same_offset() {
    let base_bytes = pattern(1, 8192);
    let mut base = ImageBuilder::new(8192);
    base.data(0, &base_bytes);
    let (base, top) = (base.build(), overlay(8192));
    let (mut m1, mut m2) = ([0; 1024], [0; 1024]);
    let mut chain = on(&top, Image::open(&base[..], &mut m2[..]).unwrap(), &mut m1);
    let mut right = base_bytes;
    right[1024..1536].fill(0xaa);
    assert_eq!(read(&mut chain, 0, 8192), right);
    assert_eq!(read(&mut chain, 1000, 600), right[1000..1600]);
}

#[test]
fn chain_read_past_the_end_of_a_shorter_base_returns_zeros() {
    let top = overlay(8192);
    for end in [1, 511, 513, 1023, 1025, 1536, 5000] {
        let bytes = pattern(3, end);
        let mut m1 = [0; 1024];
        let mut chain = on(&top, Image::open_raw(&bytes[..], &mut [][..]).unwrap(), &mut m1);
        let mut right = bytes.clone();
        right.resize(8192, 0);
        right[1024..1536].fill(0xaa);
        assert_eq!(read(&mut chain, 0, 8192), right, "a base of {end} bytes");
    }
}

#[test]
fn a_longer_base_is_cut_at_the_size_of_the_image() {
    let top = overlay(5000);
    let bytes = pattern(3, 9000);
    let mut m1 = [0; 1024];
    let mut chain = on(&top, Image::open_raw(&bytes[..], &mut [][..]).unwrap(), &mut m1);
    assert_eq!(chain.size(), 5000);
    assert_eq!(read(&mut chain, 4000, 1000), bytes[4000..5000]);
    assert_eq!(chain.read_at(4001, &mut [0; 1000]).unwrap_err(), Error::OutOfRange);
}

#[test]
fn a_raw_base_is_never_probed() {
    // A guest can write such a header into the first sector of its raw disk.
    let mut disk = ImageBuilder::new(8192).backing_at(100, b"/etc/shadow").build();
    disk.resize(8192, 7);
    let top = overlay(8192);
    let mut m1 = [0; 1024];
    let base = Image::open_raw(&disk[..], &mut [][..]).unwrap();
    assert!(base.header().is_none());
    let mut chain = on(&top, base, &mut m1);
    assert_eq!(read(&mut chain, 0, 1024), disk[..1024]);
}

#[test]
fn a_missing_base_is_an_error_at_the_first_hole_and_never_zeros() {
    let top = overlay(8192);
    let mut memory = [0; 1024];
    let mut image = Image::open(&top[..], &mut memory[..]).unwrap();
    let mut bytes = [0; 512];
    for offset in [0, 513, 1023, 1537, 8000] {
        assert_eq!(
            image.read_at(offset, &mut bytes[..100]).unwrap_err(),
            Error::BackingRequired { guest_offset: offset }
        );
    }
    image.read_at(1024, &mut bytes).unwrap();
    assert_eq!(bytes, [0xaa; 512]);
    assert_eq!(image.extent_at(0, 8192).unwrap().kind, ExtentKind::Backing);
}

#[test]
fn an_l1_hole_and_an_l2_hole_mean_the_same() {
    let size = 4 << 20;
    let base = pattern(5, size);
    // The first span has a table, and the second has none.
    let top = overlay(size as u64);
    let mut m1 = [0; 1024];
    let mut chain = on(&top, Image::open_raw(&base[..], &mut [][..]).unwrap(), &mut m1);
    assert_eq!(read(&mut chain, 100_000, 5000), base[100_000..105_000]);
    assert_eq!(read(&mut chain, 3 << 20, 5000), base[3 << 20..][..5000]);
}

#[test]
fn in_a_chain_of_three_each_byte_comes_from_the_highest_image_that_stores_it() {
    let size = 20 << 10;
    let base = pattern(1, 18_000);
    let mut middle = ImageBuilder::new(15_000).overlay_on(b"base");
    middle.data(4096, &pattern(2, 3000));
    let mut top = ImageBuilder::new(size).bits(12, 9).backing_at(49, b"middle").l1_at(55);
    top.data(8192, &pattern(3, 4096));
    let (middle, top) = (middle.build(), top.build());
    let mut right = base[..15_000].to_vec();
    right.resize(size as usize, 0);
    right[4096..4096 + 3000].copy_from_slice(&pattern(2, 3000));
    // The middle image's last cluster is padded with zeros.
    right[4096 + 3000..4096 + 3072].fill(0);
    right[8192..12_288].copy_from_slice(&pattern(3, 4096));

    let (mut m1, mut m2) = ([0; 512], [0; 512]);
    let mut chain: Chain<Image<&[u8], &mut [u8]>, 3> = Chain::new();
    chain.push(Image::open(&top[..], &mut m1[..]).unwrap()).unwrap();
    chain.push(Image::open(&middle[..], &mut m2[..]).unwrap()).unwrap();
    chain.push(Image::open_raw(&base[..], &mut [][..]).unwrap()).unwrap();
    assert_eq!(read(&mut chain, 0, size as usize), right);
    for offset in (0..size - 700).step_by(613) {
        assert_eq!(read(&mut chain, offset, 700), right[offset as usize..][..700]);
    }
    let found = |chain: &mut Chain<Image<&[u8], &mut [u8]>, 3>, offset| {
        let (level, extent) = chain.extent_at(offset, u64::MAX).unwrap();
        (level, extent.start, extent.end())
    };
    assert_eq!(found(&mut chain, 0), (2, 0, 4096));
    assert_eq!(found(&mut chain, 4096), (1, 4096, 4096 + 3072));
    assert_eq!(found(&mut chain, 9000), (0, 9000, 12_288));
    // Past the end of the middle image the disk is zeros, although the base is longer.
    assert_eq!(chain.extent_at(15_000, 10).unwrap().1.kind, ExtentKind::Zero);
}

#[test]
fn push_below_an_image_without_a_backing_name_returns_the_image() {
    let plain = ImageBuilder::new(8192).build();
    let (mut m1, mut m2) = ([0; 512], [0; 512]);
    let mut chain: Chain<Image<&[u8], &mut [u8]>, 2> = Chain::new();
    chain.push(Image::open(&plain[..], &mut m1[..]).unwrap()).unwrap();
    let refused = chain.push(Image::open(&plain[..], &mut m2[..]).unwrap()).unwrap_err();
    assert!(matches!(&refused, PushError::NoBackingNamed(image) if image.size() == 8192));
    assert_eq!(refused.into_image().size(), 8192);
    assert_eq!(chain.images().len(), 1);
}

#[test]
fn push_onto_a_full_chain_returns_the_image() {
    let (top, middle) = (overlay(8192), overlay(4096));
    let (mut m1, mut m2) = ([0; 512], [0; 512]);
    let mut chain: Chain<Image<&[u8], &mut [u8]>, 1> = Chain::new();
    assert_eq!(chain.read_at(0, &mut [0]).unwrap_err(), Error::OutOfRange);
    chain.push(Image::open(&top[..], &mut m1[..]).unwrap()).unwrap();
    let refused = chain.push(Image::open(&middle[..], &mut m2[..]).unwrap()).unwrap_err();
    assert!(matches!(refused, PushError::Full(image) if image.size() == 4096));
    assert_eq!(
        chain.read_at(0, &mut [0]).unwrap_err(),
        Error::BackingRequired { guest_offset: 0 }
    );
    assert!(chain.pop().is_some());
    assert_eq!(chain.size(), 0);
}
