//! Parses the first bytes of a file, opens them as an image with each option, and compares with the oracle.

use qcow1::{BlockSize, Header, Image, OpenOptions, Probe, probe};

use super::oracle::{Oracle, Rules};

pub fn header(bytes: &[u8]) -> bool {
    let parsed = Header::parse(bytes);
    assert!(parsed.is_err() || probe(bytes) == Probe::Qcow1);
    for salvage in [false, true] {
        let options = OpenOptions::new().salvage(salvage);
        let opened = Image::open_with(options, bytes, [0; 4096]);
        let needed = options.memory_needed(&mut &*bytes, 1000);
        assert_eq!(opened.is_ok(), needed.is_ok());
        let oracle = Oracle::open(bytes, Rules { salvage });
        assert_eq!(opened.is_ok(), oracle.is_ok(), "{:?}", opened.err());
        let (Ok(mut image), Ok(oracle), Ok(header)) = (opened, oracle, &parsed) else {
            continue;
        };
        assert_eq!(image.size(), header.virtual_size());
        let mut name = [0; 1023];
        let name = image.backing_name(&mut name).unwrap();
        assert_eq!(name, oracle.backing_name().as_deref());
        for shift in 0..=16 {
            let needs = header.memory_for(BlockSize::new(1 << shift).unwrap(), bytes.len() as u64);
            assert!(needs.minimum <= needs.compressed && needs.compressed <= needs.all_tables);
        }
        let needs = header.memory_for(BlockSize::BYTE, bytes.len() as u64);
        assert!(needed.is_ok_and(|needed| (needs.compressed..=needs.all_tables).contains(&needed)));
    }
    // 64 bytes of memory are enough, and 63 are refused.
    let mut memory = [0; 64];
    assert_eq!(
        Image::open(bytes, &mut memory).is_ok(),
        Oracle::open(bytes, Rules::default()).is_ok()
    );
    assert!(Image::open(bytes, &mut memory[..63]).is_err());
    true
}
