//! Matches: bytes of the output, again.

use super::InflateError::{self, DistanceTooFar};

/// Most matches are no longer than this, and go in one piece.
const PIECE: usize = 32;

/// Copies `length` bytes from `distance` back to `at`, or as many as there is room for. Returns where they end. Behind
/// them, bytes that are not decoded yet may be overwritten.
#[inline(always)]
pub(super) fn copy_match(output: &mut [u8], at: usize, length: usize, distance: usize) -> Result<usize, InflateError> {
    let (done, room) = output.split_at_mut_checked(at).ok_or(DistanceTooFar)?;
    let start = done.len().checked_sub(distance).ok_or(DistanceTooFar)?;
    let source = done.get(start..).unwrap_or_default();
    if length <= PIECE
        && let Some(from) = source.first_chunk::<PIECE>()
        && let Some(to) = room.first_chunk_mut::<PIECE>()
    {
        *to = *from;
        return Ok(at.wrapping_add(length));
    }
    Ok(copy_any(output, at, length, distance))
}

/// The same for a `distance` that is known to be within the output, whatever the length and however near the end.
#[inline(never)]
fn copy_any(output: &mut [u8], at: usize, length: usize, distance: usize) -> usize {
    let end = at.saturating_add(length).min(output.len());
    let span = output.get_mut(at.saturating_sub(distance)..end).unwrap_or_default();
    if distance == 1 {
        let byte = span.first().copied().unwrap_or(0);
        span.fill(byte);
        return end;
    }
    // The source and what was copied of it so far repeat every `distance` bytes, so all of it is source again.
    let mut whole = distance.max(1);
    // Bound: 9 turns, as `whole` doubles, until 258 bytes are copied.
    while let Some((source, room)) = span.split_at_mut_checked(whole)
        && !room.is_empty()
    {
        let length = source.len().min(room.len());
        if let (Some(from), Some(to)) = (source.get(..length), room.get_mut(..length)) {
            to.copy_from_slice(from);
        }
        whole = whole.wrapping_add(length);
    }
    end
}
