//! `Tracer` and `FaultInjector`.

use std::cell::RefCell;

use crate::common::{ImageBuilder, pattern};
use qcow1::{BlockRead, BlockSize, Blocks, Error, FaultInjector, FaultInjectorError, Image, Tracer};

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
    let mut number = 0;
    let faulty = FaultInjector::new(Blocks::new(&file[..], BlockSize::B512), |_| {
        number += 1;
        number == 2
    });
    let device = Tracer::new(faulty, |request, result| {
        seen.borrow_mut()
            .push((request.lba, request.len, result.err().copied()));
    });
    let mut memory = [0; 512];
    let mut image = Image::open(device, &mut memory).unwrap();
    let mut sector = [0; 512];
    assert_eq!(
        image.read_at(0, &mut sector),
        Err(Error::Io(FaultInjectorError::Injected))
    );
    image.read_at(0, &mut sector).unwrap();
    let counts = image.device_mut().counts();
    let seen_now = seen.borrow().clone();
    assert_eq!(counts.requests, seen_now.len() as u64);
    assert_eq!(counts.bytes, seen_now.iter().map(|(_, len, _)| *len as u64).sum());
    assert_eq!(counts.failures, 1);
    assert_eq!(seen_now[0], (0, 512, None));
    assert_eq!(seen_now[1].2, Some(FaultInjectorError::Injected));
    assert!(seen_now[2..].iter().all(|(_, _, error)| error.is_none()));
    image.device_mut().reset();
    assert_eq!(image.device_mut().counts(), Default::default());
}

#[test]
fn counting_alone_needs_no_closure() {
    let (file, bytes) = image();
    let mut memory = [0; 4096];
    let mut image = Image::open(Tracer::counting(&file[..]), &mut memory).unwrap();
    assert_eq!(image.device_mut().counts().requests, 1);
    let mut read = vec![0; 20_000];
    image.read_at(0, &mut read).unwrap();
    assert!(read == bytes);
    assert!(image.device_mut().counts().bytes >= 20_000);
    assert_eq!(image.into_device().into_inner().len(), file.len());
}

#[test]
fn an_injected_failure_leaves_no_byte_of_the_device_in_the_buffer() {
    let (file, _) = image();
    let mut device = FaultInjector::new(&file[..], |request| request.lba == 0);
    let mut buf = [0; 48];
    assert_eq!(device.read_blocks(0, &mut buf), Err(FaultInjectorError::Injected));
    assert_eq!(buf, [0xee; 48]);
    device.read_blocks(1, &mut buf[..3]).unwrap();
    assert_eq!(buf[..3], file[1..4]);
    assert_eq!(BlockRead::size(&mut device), Ok(file.len() as u64));
}
