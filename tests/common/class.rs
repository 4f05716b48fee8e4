//! Maps the crate's errors to the oracle's.

use qcow1::Error;

use super::oracle::Refusal;

/// Returns the class of the crate's error, or `None` if the oracle has no such error.
pub fn class<E>(error: &Error<E>) -> Option<Refusal> {
    Some(match error {
        Error::NotQcow | Error::Empty => Refusal::NotQcow,
        Error::Unsupported(_) => Refusal::Unsupported,
        Error::Corrupt(_) => Refusal::Corrupt,
        Error::OutOfRange => Refusal::OutOfRange,
        Error::BackingRequired { .. } => Refusal::BackingRequired,
        Error::KeyRequired { .. } => Refusal::KeyRequired,
        _ => return None,
    })
}
