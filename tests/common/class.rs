//! What the crate's errors are to the oracle.

use qcow1::Error;

use super::oracle::Refusal;

/// The class of an error of the crate's; `None` for those that the oracle knows nothing of.
pub fn class<E>(error: &Error<E>) -> Option<Refusal> {
    Some(match error {
        Error::NotQcow => Refusal::NotQcow,
        Error::Unsupported(_) => Refusal::Unsupported,
        Error::Corrupt(_) => Refusal::Corrupt,
        Error::OutOfRange => Refusal::OutOfRange,
        Error::BackingRequired => Refusal::BackingRequired,
        Error::KeyRequired => Refusal::KeyRequired,
        _ => return None,
    })
}
