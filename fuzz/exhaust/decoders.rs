//! Both decoders, compared with zlib.

use flate2::{Decompress, FlushDecompress};
use qcow1_inflate::{Workspace, inflate};

use super::Count;

/// The maximum number of bytes that a stream is decoded to: a small cluster.
const LONGEST: usize = 512;

pub struct Decoders {
    pub count: Count,
    zlib: Decompress,
    /// What zlib yields, and what either decoder does.
    right: [u8; LONGEST],
    ours: [u8; LONGEST],
    fast: Box<[u8]>,
    small: Box<[u8]>,
}

impl Decoders {
    pub fn new() -> Self {
        Self {
            count: Count::default(),
            zlib: Decompress::new(false),
            right: [0; LONGEST],
            ours: [0; LONGEST],
            fast: vec![0xa7; Workspace::FAST].into(),
            small: vec![0xa7; Workspace::SMALL].into(),
        }
    }

    /// Asserts that either decoder yields the bytes that zlib yields, and refuses one byte more
    /// with the same error.
    pub fn compare(&mut self, stream: &[u8]) {
        self.zlib.reset(false);
        let finish = FlushDecompress::Finish;
        let _ = self.zlib.decompress(stream, &mut self.right, finish);
        let yielded = self.zlib.total_out() as usize;
        let right = &self.right[..yielded];
        let [fast, small] = [&mut self.fast, &mut self.small].map(|memory| {
            let mut workspace = Workspace::new(memory).unwrap();
            if yielded > 0 {
                let bytes = &mut self.ours[..yielded];
                // What is not written differs.
                bytes.iter_mut().zip(right).for_each(|(byte, right)| *byte = !right);
                let result = inflate(stream, bytes, &mut workspace);
                assert!(
                    result.is_ok() && bytes == right,
                    "{stream:02x?}: {result:?}, not the {yielded} bytes of zlib"
                );
            }
            // A longer output does not fit.
            let refused = inflate(stream, self.ours.get_mut(..=yielded)?, &mut workspace);
            assert!(refused.is_err(), "{stream:02x?} yields more than {yielded} bytes");
            Some(refused)
        });
        assert!(fast == small, "{stream:02x?}: {fast:?} and {small:?}");
        self.count.inputs += 1;
        self.count.read += u64::from(yielded > 0);
    }
}
