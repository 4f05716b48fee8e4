//! What a check calls clean reads without corruption; and what it finds stays what it finds, however it is asked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qcow1::{CheckOptions, Error, Image, Key};

/// As much of a disk as is read, from each end.
const READ: u64 = 1 << 20;

fuzz_target!(|file: &[u8]| {
    let mut memory = vec![0xdd; 400_000];
    let Ok(mut image) = Image::open(file, &mut memory) else {
        return;
    };
    image.set_key(&Key::from_bytes([7; 16]));
    let size = image.size();
    let words = image.check(|_| ()).unwrap();
    let mut bitmap = vec![0xdd; image.check_bitmap_len()];
    let options = CheckOptions::new().inflate(true).bitmap(&mut bitmap);
    let all = image
        .check_with(options, |finding| {
            let guest = finding.corrupt.guest_offset().unwrap_or(0);
            assert!(finding.count > 0 && guest + finding.guest_len <= size);
        })
        .unwrap();
    // What a table has that is used twice is told once.
    assert!(words.findings == 0 || all.findings > 0);
    assert!(all.unreachable_bytes <= file.len() as u64);
    assert!(all.data_bytes + all.compressed_bytes + all.hole_bytes <= size);
    // An overlap stops no reader. All else does.
    if all.findings == 0 {
        assert_eq!(all.data_bytes + all.compressed_bytes + all.hole_bytes, size);
        for start in [0, size.saturating_sub(READ)] {
            let mut bytes = vec![0; READ.min(size - start) as usize];
            match image.read_at(start, &mut bytes) {
                Ok(()) | Err(Error::BackingRequired) => {}
                other => panic!("clean, but {other:?}"),
            }
        }
    }
});
