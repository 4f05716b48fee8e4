//! A stream, decoded beside miniz_oxide: the same bytes, or both refuse.
//!
//! Two differences are meant. The crate stops where the output is full, and what miniz_oxide says of the bits behind that
//! is of no account, as long as it filled the output too. And the crate refuses a block that has no code for its own end,
//! as zlib does, and so QEMU; miniz_oxide takes it.
#![no_main]

// The crate shows its decoder to nobody, so the target takes the source.
#[path = "../../src/inflate/mod.rs"]
#[allow(dead_code, unreachable_pub)]
mod inflate;

use inflate::{InflateError, Tables, inflate as ours_into};
use libfuzzer_sys::fuzz_target;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use zerocopy::{FromBytes, IntoBytes};

fuzz_target!(|bytes: &[u8]| {
    // The last two bytes are the output's length, which nothing keeps at a cluster's.
    let Some((stream, &len)) = bytes.split_last_chunk::<2>() else {
        return;
    };
    let len = usize::from(u16::from_le_bytes(len));
    let mut memory = vec![0xa7a7_a7a7_u32; size_of::<Tables>().div_ceil(4)];
    let (tables, _) = Tables::mut_from_prefix(memory.as_mut_slice().as_mut_bytes()).unwrap();
    let mut ours = vec![0xcc; len];
    let result = ours_into(stream, &mut ours, tables);

    if result == Err(InflateError::NoEndOfBlock) {
        return;
    }
    let mut theirs = vec![0; len];
    let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let (_, _, written) = decompress(&mut DecompressorOxide::new(), stream, &mut theirs, 0, flags);
    assert_eq!(
        result.is_ok(),
        written == len,
        "{result:?}, miniz_oxide wrote {written} of {len}"
    );
    if result.is_ok() {
        assert!(ours == theirs);
    }
});
