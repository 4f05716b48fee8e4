//! The maximum number of device reads of each call, as its documentation states.

/// The maximum of opening an image.
pub const OPEN: u64 = 1;

/// The maximum of opening a raw disk.
pub const OPEN_RAW: u64 = 0;

/// The maximum of `Image::backing_name`.
pub const BACKING_NAME: u64 = 3;

/// The maximum number of table words that a call for one extent looks at. `it/bounded_work.rs` has
/// an image with such an extent.
pub const EXTENT_WORDS: u64 = 4099;

/// The maximum that a failed device read adds to a call: a table word whose piece could not be read
/// is read again, and a stream is read again without the clusters after it.
pub const AFTER_FAILURE: u64 = 2;

/// The properties of an image on which the bounds of its calls depend.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The size of the guest's disk in bytes.
    pub size: u64,
    /// log2 of the cluster size and of the number of bytes that an L1 entry covers. `None` for a
    /// raw disk.
    pub bits: Option<(u32, u32)>,
}

/// Returns the number of pieces of 2^`bits` bytes that `len` bytes at `offset` touch.
fn count_touched(offset: u64, len: u64, bits: u32) -> u64 {
    if len == 0 {
        return 0;
    }
    ((offset + len - 1) >> bits) - (offset >> bits) + 1
}

/// Returns the number of table words for `len` bytes at `offset`: an L2 word for each cluster, and
/// an L1 word for each table.
pub fn words(bits: (u32, u32), offset: u64, len: u64) -> u64 {
    count_touched(offset, len, bits.0) + count_touched(offset, len, bits.1)
}

/// Returns the maximum of `Image::read_at`, or of `Chain::read_at` for the lowest of `shapes`,
/// which are top first.
///
/// It is 5 for each cluster that the bytes touch, and 2 for each L1 entry of this image that they
/// touch. For a raw disk it is 3 for each cluster, or 3 in total if no image is above it. Clusters
/// are counted in the smallest cluster size of this image and of those above it.
pub fn read(shapes: &[Shape], offset: u64, len: u64) -> u64 {
    let smallest = shapes.iter().filter_map(|shape| Some(shape.bits?.0)).min();
    // A raw disk alone is one cluster.
    let clusters = count_touched(offset, len, smallest.unwrap_or(63));
    match shapes.last().and_then(|shape| shape.bits) {
        Some((_, span_bits)) => 5 * clusters + 2 * count_touched(offset, len, span_bits),
        None => 3 * clusters,
    }
}

/// Returns the maximum of `Image::extent_at`: 2 for each table word in its range, for at most
/// [`EXTENT_WORDS`] words. A raw disk has no table words.
pub fn extent(shape: &Shape, offset: u64, max_len: u64) -> u64 {
    let len = max_len.min(shape.size.saturating_sub(offset));
    let words = shape.bits.map_or(0, |bits| words(bits, offset, len));
    2 * words.min(EXTENT_WORDS)
}

/// Returns the maximum number of table words that a check looks at: `l1_words`, the L1 words inside
/// the file, and those of one table more than a file of `file_len` bytes has room for.
pub fn words_of_check(bits: (u32, u32), l1_words: u64, file_len: u64) -> u64 {
    let l2_bits = bits.1 - bits.0;
    let tables = l1_words.min((file_len >> (l2_bits + 3)) + 1);
    l1_words + (tables << l2_bits)
}

/// Returns the maximum of a check that looks at `words` table words and inflates `inflated`
/// clusters: 4 for each word, and 11 for each cluster.
pub fn check(words: u64, inflated: u64) -> u64 {
    4 * words + 11 * inflated
}
