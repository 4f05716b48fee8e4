//! Errors: one line on standard error, or nothing.

use std::fmt::Display;
use std::io;
use std::path::Path;

use qcow1::{Error, Unsupported};

use crate::output::say;

/// The exit statuses. Only `check` exits with those of a corrupt image and of an image with unused
/// bytes; these are qemu-img's.
pub(crate) mod status {
    pub(crate) const SUCCESS: u8 = 0;
    pub(crate) const ERROR: u8 = 1;
    pub(crate) const CORRUPT: u8 = 2;
    pub(crate) const UNREACHABLE: u8 = 3;
    /// Only of `dump --keep-going`: part of the disk could not be read.
    pub(crate) const INCOMPLETE: u8 = 4;
    /// An image is not a QCOW version 1 image.
    pub(crate) const OTHER_FORMAT: u8 = 5;
    /// A signal ended the tool.
    pub(crate) const INTERRUPTED: u8 = 130;
}

/// Why the tool stops.
pub(crate) enum Failure {
    /// The reader closed the pipe: `qcow1 dump IMAGE - | head` is not an error.
    ClosedPipe,
    /// An error, as a line of text, and the exit status.
    Message(String, u8),
}

impl Failure {
    /// Returns a failure that concerns no file.
    pub(crate) fn message(message: impl Display) -> Self {
        Self::Message(message.to_string(), status::ERROR)
    }

    /// Returns a failure that concerns a file.
    pub(crate) fn of(file: &Path, message: impl Display) -> Self {
        Self::message(format_args!("{}: {message}", file.display()))
    }

    /// Returns the crate's error about an image.
    pub(crate) fn image(file: &Path, error: &Error<io::Error>) -> Self {
        let is_other = matches!(
            error,
            Error::Empty | Error::NotQcow | Error::Unsupported(Unsupported::Version(_))
        );
        match Self::of(file, explain(error)) {
            Self::Message(message, _) if is_other => Self::Message(message, status::OTHER_FORMAT),
            failure => failure,
        }
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
            Self::Message(message, status) => Self::Message(format!("{message}{more}"), status),
        }
    }

    /// Prints the failure's line, and returns the exit status.
    pub(crate) fn report(&self) -> u8 {
        match self {
            Self::ClosedPipe => status::SUCCESS,
            Self::Message(message, status) => {
                say(message);
                *status
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
            "the image has a hole there and names a backing file: pass --backing raw:FILE \
                                          or --backing qcow:FILE, or --follow if you trust the image"
                .to_owned()
        }
        Error::KeyRequired { .. } => {
            "the cluster is encrypted: pass --password-file FILE, or --key-file FILE for a file of QEMU's".to_owned()
        }
        other => other.to_string(),
    }
}
