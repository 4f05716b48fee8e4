//! Images of Xen's tapdisk: the extension after the header, and the L1 table, which old versions
//! wrote little-endian.

use crate::common::{ImageBuilder, pattern};
use qcow1::Image;

const BIG_ENDIAN: u32 = 2;

fn read(file: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xcc; 4096];
    let mut image = Image::open(file, [0; 4096]).unwrap();
    image.read_at(8192, &mut bytes).unwrap();
    bytes
}

fn image(flags: u32) -> ImageBuilder {
    let mut image = ImageBuilder::new(8 << 20).xen(flags);
    image.data(8192, &pattern(1, 4096));
    image
}

#[test]
fn a_little_endian_l1_is_detected() {
    for flags in [0, 1] {
        let file = image(flags).build();
        assert_eq!(read(&file), pattern(1, 4096));
        let mut memory = [0; 512];
        let opened = Image::open(&file[..], &mut memory).unwrap();
        assert!(opened.header().unwrap().is_xen());
        assert!(opened.header().unwrap().l1_is_little_endian());
    }
}

#[test]
fn a_big_endian_l1_is_read_as_such() {
    for flags in [BIG_ENDIAN, BIG_ENDIAN | 1] {
        let file = image(flags).build();
        assert_eq!(read(&file), pattern(1, 4096));
        let mut memory = [0; 512];
        let opened = Image::open(&file[..], &mut memory).unwrap();
        assert!(opened.header().unwrap().is_xen());
        assert!(!opened.header().unwrap().l1_is_little_endian());
    }
}

#[test]
fn an_l1_that_is_not_page_aligned_is_big_endian_whatever_follows_the_header() {
    let mut image = ImageBuilder::new(8 << 20).l1_at(4104);
    image.data(8192, &pattern(1, 4096));
    let mut file = image.build();
    file[48..52].copy_from_slice(b"XEN\xfb");
    file[60..64].fill(0);
    assert_eq!(read(&file), pattern(1, 4096));
}
