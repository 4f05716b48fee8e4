//! The error of a stream that cannot fill its output.

use core::fmt;

/// Why a DEFLATE stream could not fill its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InflateError {
    /// The input ended before the output was full.
    InputEnded,
    /// The stream's last block ended before the output was full.
    EndsEarly,
    /// A block has the reserved type 3.
    BadBlockType,
    /// The two copies of a stored block's length disagree.
    StoredLengthMismatch,
    /// A block announces more literal/length or distance codes than the format has.
    TooManyCodes,
    /// A code's lengths describe more codewords than fit.
    OversubscribedCode,
    /// A code's lengths leave codewords unused.
    IncompleteCode,
    /// A code length repeats before the first one, or past the last one.
    BadLengthRepeat,
    /// A block has no code for its own end.
    NoEndOfBlock,
    /// A literal/length codeword has no symbol.
    BadSymbol,
    /// A distance codeword has no symbol.
    BadDistance,
    /// A match starts before the first byte of the output.
    DistanceTooFar,
}

impl fmt::Display for InflateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InputEnded => "the compressed data ends before the output is full",
            Self::EndsEarly => "the last compressed block ends before the output is full",
            Self::BadBlockType => "a compressed block has the reserved type 3",
            Self::StoredLengthMismatch => "the two copies of a stored block's length disagree",
            Self::TooManyCodes => "a compressed block announces more codes than the format has",
            Self::OversubscribedCode => "a compressed block's code is over-subscribed",
            Self::IncompleteCode => "a compressed block's code is incomplete",
            Self::BadLengthRepeat => "a code length repeats where none came before, or past the last one",
            Self::NoEndOfBlock => "a compressed block has no code for its own end",
            Self::BadSymbol => "a compressed literal or length is not a symbol of its code",
            Self::BadDistance => "a compressed distance is not a symbol of its code",
            Self::DistanceTooFar => "a match reaches back before the start of the output",
        })
    }
}

impl core::error::Error for InflateError {}

#[cfg(feature = "defmt")]
impl defmt::Format for InflateError {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{}", defmt::Debug2Format(self));
    }
}
