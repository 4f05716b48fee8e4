//! `Tracer`.

use std::cell::RefCell;

use crate::common::{Broken, ImageBuilder, TestDevice, pattern};
use qcow1::{Error, Image, Tracer};

fn image() -> (Vec<u8>, Vec<u8>) {
    let bytes = pattern(4, 20_000);
    let mut builder = ImageBuilder::new(20_000);
    builder.data(0, &bytes);
    (builder.build(), bytes)
}

#[test]
fn requests_are_counted_and_reported_in_sequence_with_their_results() {
    let (file, _) = image();
    let seen = RefCell::new(vec![]);
    let device = TestDevice::new(&file, 512);
    let log = device.log.clone();
    let device = Tracer::new(device, |request| {
        seen.borrow_mut().push((request.lba, request.len, request.is_ok));
    });
    let mut image = Image::open(device, [0; 512]).unwrap();
    // The data, after a word of each table.
    log.fail_after(2);
    let mut sector = [0; 512];
    assert_eq!(image.read_at(0, &mut sector), Err(Error::Io(Broken)));
    image.read_at(0, &mut sector).unwrap();
    let counts = image.device_mut().counts();
    let seen = seen.borrow().clone();
    assert_eq!(counts.requests, log.requests());
    assert_eq!(counts.requests, seen.len() as u64);
    assert_eq!(counts.bytes, seen.iter().map(|(_, len, _)| *len as u64).sum::<u64>());
    assert_eq!(counts.failures, 1);
    assert_eq!(seen[0], (0, 512, true));
    assert!(!seen[3].2);
    assert!(seen[4..].iter().all(|(_, _, is_ok)| *is_ok));
    image.device_mut().reset();
    assert_eq!(image.device_mut().counts(), Default::default());
}

#[test]
fn counting_alone_needs_no_closure() {
    let (file, bytes) = image();
    let mut image = Image::open(Tracer::counting(&file[..]), [0; 4096]).unwrap();
    assert_eq!(image.device_mut().counts().requests, 1);
    let mut read = vec![0; 20_000];
    image.read_at(0, &mut read).unwrap();
    assert!(read == bytes);
    assert!(image.device_mut().counts().bytes >= 20_000);
    assert_eq!(image.into_parts().0.into_inner().len(), file.len());
}
