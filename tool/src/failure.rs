//! Errors: one line on standard error, or nothing.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use qcow1::{Error, Unsupported};

use crate::text::printable;

/// Why the tool stops.
pub(crate) enum Failure {
    /// The reader closed the pipe: `qcow1 dump IMAGE - | head` is not an error.
    ClosedPipe,
    /// An error, as a line of text.
    Told(String),
}

impl Failure {
    /// Returns a failure that concerns no file.
    pub(crate) fn told(message: impl Display) -> Self {
        Self::Told(message.to_string())
    }

    /// Returns a failure that concerns a file.
    pub(crate) fn of(file: &Path, message: impl Display) -> Self {
        Self::Told(format!("{}: {message}", file.display()))
    }

    /// Returns a failed write to a file, or to standard output under that name.
    pub(crate) fn write(file: &Path, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::ClosedPipe
        } else {
            Self::of(file, format_args!("cannot be written: {error}"))
        }
    }

    /// Returns the failure with more text at its end.
    pub(crate) fn and(self, more: impl Display) -> Self {
        match self {
            Self::ClosedPipe => Self::ClosedPipe,
            Self::Told(message) => Self::Told(format!("{message}{more}")),
        }
    }

    /// Prints the failure's line, and returns the exit status.
    pub(crate) fn report(&self) -> ExitCode {
        match self {
            Self::ClosedPipe => ExitCode::SUCCESS,
            Self::Told(message) => {
                // Escaped, because names may contain line ends and terminal commands. A failure of this write is
                // ignored.
                let _ = writeln!(io::stderr(), "qcow1: {}", printable(message));
                ExitCode::FAILURE
            }
        }
    }
}

/// Returns the crate's error in words for a user of this tool.
pub(crate) fn explain(error: &Error<io::Error>) -> String {
    match error {
        // The crate's own error for a file without a size. The system's errors have numbers.
        Error::Io(error) if error.kind() == io::ErrorKind::Unsupported && error.raw_os_error().is_none() => {
            "has no size, and a disk needs one".to_owned()
        }
        Error::Io(error) => format!("cannot be read: {error}"),
        Error::Unsupported(Unsupported::Version(version @ 2..=3)) => {
            format!("this is a QCOW2 image (version {version}), and only QCOW version 1 can be read")
        }
        Error::MemoryTooSmall { needed } => format!("{error}: pass --memory {needed}"),
        Error::BackingRequired { .. } => {
            "the image has a hole there and names a backing file: pass --backing raw:FILE or \
                                   --backing qcow:FILE, or --follow if you trust the image"
                .to_owned()
        }
        Error::KeyRequired { .. } => "the cluster is encrypted: pass --password-file FILE".to_owned(),
        other => other.to_string(),
    }
}
