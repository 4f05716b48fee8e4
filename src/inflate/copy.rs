//! Matches: bytes of the output, again.

use super::InflateError::{self, DistanceTooFar};

/// Bytes that are copied at a time.
const STEP: usize = 16;

/// Copies `length` bytes from `distance` back to `at`, or as many as there is room for. Returns where they end. Behind
/// them, bytes that are not decoded yet may be overwritten.
#[inline(always)]
pub(super) fn copy_match_inline(
    output: &mut [u8],
    at: usize,
    length: usize,
    distance: usize,
) -> Result<usize, InflateError> {
    let start = at.checked_sub(distance).ok_or(DistanceTooFar)?;
    // Most matches go in two steps, unless a step would read what the same step is to write.
    if length <= 2 * STEP
        && (distance >= STEP || distance >= length)
        && output.get(at..at.wrapping_add(2 * STEP)).is_some()
    {
        step(output, start, at);
        step(output, start.wrapping_add(STEP), at.wrapping_add(STEP));
        return Ok(at.wrapping_add(length));
    }
    Ok(copy_any(output, at, length, distance))
}

/// The same without the steps in line.
pub(super) fn copy_match(output: &mut [u8], at: usize, length: usize, distance: usize) -> Result<usize, InflateError> {
    if distance > at {
        return Err(DistanceTooFar);
    }
    Ok(copy_any(output, at, length, distance))
}

/// The same for a `distance` that is known to be within the output, whatever the length and however near the end.
#[inline(never)]
fn copy_any(output: &mut [u8], at: usize, length: usize, distance: usize) -> usize {
    let start = at.wrapping_sub(distance);
    let end = at.wrapping_add(length);
    match output.get_mut(start..end.wrapping_add(2 * STEP)) {
        Some(span) => repeat(span, distance),
        None => {
            // Near the end of the output, byte by byte. Bound: 258 turns, the longest match.
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

/// Repeats the first `distance` bytes of `span` all over it, but for less than two steps at its end, which may or may
/// not be overwritten.
fn repeat(span: &mut [u8], distance: usize) {
    // What is repeated so far is a source too, so that no step need be shorter than the others.
    let mut whole = distance;
    if distance == 1 {
        let byte = span.first().copied().unwrap_or(0);
        span.fill(byte);
        return;
    }
    // Bound: 4 turns, for `whole` doubles. A distance is at least 1.
    while whole < STEP && whole != 0 {
        step(span, 0, whole);
        whole = whole.wrapping_mul(2);
    }
    let last = span.len().saturating_sub(2 * STEP).saturating_sub(whole);
    // Bound: 17 turns, as the longest match has 258 bytes.
    for from in (0..last).step_by(STEP) {
        step(span, from, from.wrapping_add(whole));
    }
}

#[inline(always)]
fn step(span: &mut [u8], from: usize, to: usize) {
    if let Some(&bytes) = span.get(from..).and_then(<[u8]>::first_chunk::<STEP>)
        && let Some(to) = span.get_mut(to..).and_then(<[u8]>::first_chunk_mut::<STEP>)
    {
        // As a number it stays in registers, where small machines would call `memmove` for an array.
        *to = u128::from_ne_bytes(bytes).to_ne_bytes();
    }
}
