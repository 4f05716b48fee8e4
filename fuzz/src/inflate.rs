//! Decodes a stream with both kinds of memory, whose bytes or errors must be the same, and compares with miniz_oxide,
//! which must return the same bytes or refuse the stream too.
//!
//! Two differences from miniz_oxide are intended. The crate stops once the output is full, so an error of miniz_oxide
//! after it has filled the output is ignored. And the crate refuses a block without a code for its own end, as zlib and
//! so QEMU do; miniz_oxide accepts it.

use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use qcow1_inflate::{InflateError, Workspace};

pub fn inflate(bytes: &[u8]) -> bool {
    // The last two bytes are the output's length. It need not be a cluster size.
    let Some((stream, &len)) = bytes.split_last_chunk::<2>() else {
        return false;
    };
    let len = usize::from(u16::from_le_bytes(len));
    let [(result, ours), (small_result, small_ours)] = [Workspace::FAST, Workspace::SMALL].map(|lent| {
        let mut memory = vec![0xa7; lent];
        let mut workspace = Workspace::new(&mut memory).unwrap();
        let mut output = vec![0xcc; len];
        let result = qcow1_inflate::inflate(stream, &mut output, &mut workspace);
        (result, output)
    });
    assert_eq!(result, small_result);
    assert!(result.is_err() || ours == small_ours);

    if result == Err(InflateError::NoEndOfBlock) {
        return true;
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
    true
}
