//! The device reads that calls may make at most, as their documentation states.

use super::levels::Shape;

/// Of opening an image.
pub const OPEN: u64 = 1;

/// Of `Image::backing_name`.
pub const BACKING_NAME: u64 = 3;

/// The table words of one extent, and the one that ends it.
const EXTENT_WORDS: u64 = 4096 + 1;

/// The pieces of 2^`bits` bytes that some bytes touch.
fn touched(offset: u64, len: u64, bits: u32) -> u64 {
    if len == 0 {
        return 0;
    }
    ((offset + len - 1) >> bits) - (offset >> bits) + 1
}

/// Of `Chain::read_at`, in the image at `level`: 5 for each cluster that the bytes touch, counted in the smallest clusters of
/// this image and of those above it, and 2 for each L1 entry of its own. Of a raw disk, 3 for each of the smallest clusters
/// above it.
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

/// Of `Image::extent_at`: 2 for each table word, of which it looks at no more than lie in its range.
pub fn extent(shape: &Shape, offset: u64, len: u64) -> u64 {
    let len = len.min(shape.size.saturating_sub(offset));
    let words = touched(offset, len, shape.cluster_bits) + touched(offset, len, shape.span_bits);
    2 * words.min(EXTENT_WORDS)
}

/// Of a check that has looked at so many table words: 4 for each; and where it inflates, a read of each cluster that is
/// compressed, and 4 more for each that is corrupt.
pub fn check(words: u64, inflated: u64) -> u64 {
    4 * words + inflated * (5 + 2 + 4)
}
