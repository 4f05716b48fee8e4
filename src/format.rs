//! `defmt::Format` where a derived one would say too much or too little.

use crate::chain::PushError;
use crate::check::{CheckSummary, Finding};
use crate::device::BlockSize;
use crate::error::OpenError;

impl defmt::Format for BlockSize {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "BlockSize({=u32})", self.bytes());
    }
}

/// The reason; of the device there is nothing to say.
impl<D, E: defmt::Format> defmt::Format for OpenError<D, E> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "OpenError {{ error: {} }}", self.error());
    }
}

/// The reason; of the image there is nothing to say.
impl<I> defmt::Format for PushError<I> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "PushError {{ reason: {} }}", self.reason);
    }
}

impl defmt::Format for Finding {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Finding {{ corrupt: {} }}", self.corrupt);
    }
}

impl defmt::Format for CheckSummary {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "CheckSummary {{ findings: {=u64}, data_bytes: {=u64}, compressed_bytes: {=u64}, hole_bytes: {=u64}, \
             unreachable_bytes: {=u64} }}",
            self.findings,
            self.data_bytes,
            self.compressed_bytes,
            self.hole_bytes,
            self.unreachable_bytes
        );
    }
}

/// The names of the flaws of a stream are the same in both kinds of log.
#[cfg(feature = "deflate")]
impl defmt::Format for crate::inflate::InflateError {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{}", defmt::Debug2Format(self));
    }
}
