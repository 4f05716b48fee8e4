//! Copying of matches within the output.

use core::cell::Cell;

/// Copies `length` bytes from `distance` bytes before `at` to `at`, truncated to the output.
/// Returns the end of the copy, which may be after that of the output. `distance` must not reach
/// back before the output. With the feature `fast`, bytes after the end of the copy may be
/// overwritten.
#[cfg_attr(feature = "fast", inline(never))]
pub(super) fn copy(output: &mut [u8], at: usize, length: usize, distance: usize) -> usize {
    let end = at.wrapping_add(length);
    #[cfg(feature = "fast")]
    if let Some(span) = output.get_mut(at.wrapping_sub(distance)..end.wrapping_add(steps::TWO_STEPS)) {
        steps::repeat(span, distance);
        return end;
    }
    // In cells, since the bytes read and those written may overlap.
    let output = Cell::from_mut(output).as_slice_of_cells();
    let to = output.get(at..).unwrap_or_default();
    let from = output.get(at.wrapping_sub(distance)..).unwrap_or_default();
    // Bound: 258 turns, the longest match.
    for at in 0..length {
        let (Some(to), Some(from)) = (to.get(at), from.get(at)) else {
            break;
        };
        to.set(from.get());
    }
    end
}

/// Copying of many bytes at a time.
#[cfg(feature = "fast")]
pub(super) mod steps {
    /// The number of bytes that one step copies.
    pub(crate) const STEP: usize = 16;
    /// What a match may overwrite after its end, at most.
    pub(crate) const TWO_STEPS: usize = 32;
    const _: () = assert!(TWO_STEPS == 2 * STEP);

    /// Fills `span` with repetitions of its first `distance` bytes. Its last [`TWO_STEPS`] bytes
    /// are undefined afterwards.
    pub(super) fn repeat(span: &mut [u8], distance: usize) {
        // The distance of a step: `distance`, doubled until a step reads no byte that it writes.
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
    pub(crate) fn step(span: &mut [u8], from: usize, to: usize) {
        if let Some(&bytes) = span.get(from..).and_then(<[u8]>::first_chunk::<STEP>)
            && let Some(to) = span.get_mut(to..).and_then(<[u8]>::first_chunk_mut::<STEP>)
        {
            // A number stays in registers. For an array, the compiler calls `memmove` on small
            // machines.
            *to = u128::from_ne_bytes(bytes).to_ne_bytes();
        }
    }
}
