//! Copying of matches within the output.

use super::InflateError::{self, DistanceTooFar};

/// The number of bytes that one step copies.
pub(super) const STEP: usize = 16;
/// What a match may overwrite after its end, at most.
pub(super) const TWO_STEPS: usize = 32;
const _: () = assert!(TWO_STEPS == 2 * STEP);

/// Copies `length` bytes from `distance` bytes before `at` to `at`, truncated to the output. Returns the end of the
/// copy. Bytes after that end may be overwritten.
pub(super) fn copy_match(output: &mut [u8], at: usize, length: usize, distance: usize) -> Result<usize, InflateError> {
    if distance > at {
        return Err(DistanceTooFar);
    }
    Ok(copy_any(output, at, length, distance))
}

/// Copies a match of any length, at any place in the output. `distance` must not reach back before the output.
#[inline(never)]
pub(super) fn copy_any(output: &mut [u8], at: usize, length: usize, distance: usize) -> usize {
    let start = at.wrapping_sub(distance);
    let end = at.wrapping_add(length);
    match output.get_mut(start..end.wrapping_add(TWO_STEPS)) {
        Some(span) => repeat(span, distance),
        None => {
            // Near the end of the output, bytewise. Bound: 258 turns, the longest match.
            let end = end.min(output.len());
            for to in at..end {
                let byte = output.get(to.wrapping_sub(distance)).copied().unwrap_or(0);
                if let Some(to) = output.get_mut(to) {
                    *to = byte;
                }
            }
            return end;
        }
    }
    end
}

/// Fills `span` with repetitions of its first `distance` bytes. Its last [`TWO_STEPS`] bytes are undefined afterwards.
fn repeat(span: &mut [u8], distance: usize) {
    // How far a step copies: `distance`, doubled until a step reads no byte that it writes.
    let mut whole = distance;
    if distance == 1 {
        let byte = span.first().copied().unwrap_or(0);
        span.fill(byte);
        return;
    }
    // Bound: 4 turns, since `whole` doubles. A distance is at least 1.
    while whole < STEP && whole != 0 {
        step(span, 0, whole);
        whole = whole.wrapping_mul(2);
    }
    let last = span.len().saturating_sub(TWO_STEPS).saturating_sub(whole);
    // Bound: 17 turns, as the longest match has 258 bytes.
    for from in (0..last).step_by(STEP) {
        step(span, from, from.wrapping_add(whole));
    }
}

/// Copies [`STEP`] bytes. Does nothing if either range is not inside `span`.
#[inline(always)]
pub(super) fn step(span: &mut [u8], from: usize, to: usize) {
    if let Some(&bytes) = span.get(from..).and_then(<[u8]>::first_chunk::<STEP>)
        && let Some(to) = span.get_mut(to..).and_then(<[u8]>::first_chunk_mut::<STEP>)
    {
        // A number stays in registers. For an array, the compiler calls `memmove` on small machines.
        *to = u128::from_ne_bytes(bytes).to_ne_bytes();
    }
}
