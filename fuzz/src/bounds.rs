//! The maximum number of device reads of each call, as its documentation states.

use super::levels::Shape;

/// The maximum of opening an image.
pub const OPEN: u64 = 1;

/// The maximum of `Image::backing_name`.
pub const BACKING_NAME: u64 = 3;

/// The maximum number of table words in one extent, plus the word that ends it.
const EXTENT_WORDS: u64 = 4096 + 1;

/// Returns the number of pieces of 2^`bits` bytes that `len` bytes at `offset` touch.
fn touched(offset: u64, len: u64, bits: u32) -> u64 {
    if len == 0 {
        return 0;
    }
    ((offset + len - 1) >> bits) - (offset >> bits) + 1
}

/// Returns the maximum of `Chain::read_at` for the image at `level`.
///
/// It is 5 for each cluster that the bytes touch, and 2 for each L1 entry of this image that they touch. For a raw disk
/// it is 3 for each cluster. Clusters are counted in the smallest cluster size of this image and of those above it.
///
/// With one level, this is the bound of `Image::read_at`.
pub fn chain_read(shapes: &[Shape], level: usize, offset: u64, len: u64) -> u64 {
    let shape = &shapes[level];
    let smallest = shapes[..=level].iter().map(|shape| shape.cluster_bits).min();
    let clusters = smallest.map_or(0, |bits| touched(offset, len, bits));
    if shape.is_raw {
        return 3 * clusters;
    }
    5 * clusters + 2 * touched(offset, len, shape.span_bits)
}

/// Returns the maximum of `Image::extent_at`: 2 for each table word in its range, for at most [`EXTENT_WORDS`] words.
pub fn extent(shape: &Shape, offset: u64, len: u64) -> u64 {
    let len = len.min(shape.size.saturating_sub(offset));
    let words = touched(offset, len, shape.cluster_bits) + touched(offset, len, shape.span_bits);
    2 * words.min(EXTENT_WORDS)
}

/// Returns the maximum of a check of `words` table words that inflates `inflated` clusters.
///
/// It is 4 for each word. For each inflated cluster, it is 7 to read it, and 4 more, since it may be corrupt.
pub fn check(words: u64, inflated: u64) -> u64 {
    4 * words + inflated * (5 + 2 + 4)
}
