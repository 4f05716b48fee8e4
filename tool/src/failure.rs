//! How the tool fails: with one line, or without a word.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use qcow1::{Error, Unsupported};

use crate::text::printable;

/// Why the tool stops.
pub(crate) enum Failure {
    /// Nobody reads what it writes: `qcow1 dump IMAGE - | head` is no error.
    ClosedPipe,
    /// With this line.
    Told(String),
}

impl Failure {
    /// A failure that concerns no file.
    pub(crate) fn told(message: impl Display) -> Self {
        Self::Told(message.to_string())
    }

    /// A failure that concerns a file.
    pub(crate) fn of(file: &Path, message: impl Display) -> Self {
        Self::Told(format!("{}: {message}", file.display()))
    }

    /// A failed write to a file, or to standard output under that name.
    pub(crate) fn write(file: &Path, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::ClosedPipe
        } else {
            Self::of(file, format_args!("cannot be written: {error}"))
        }
    }

    /// The same, with more to say.
    pub(crate) fn and(self, more: impl Display) -> Self {
        match self {
            Self::ClosedPipe => Self::ClosedPipe,
            Self::Told(message) => Self::Told(format!("{message}{more}")),
        }
    }

    /// Tells the user, and gives what to exit with.
    pub(crate) fn report(&self) -> ExitCode {
        match self {
            Self::ClosedPipe => ExitCode::SUCCESS,
            Self::Told(message) => {
                // Names may hold anything, line ends and terminal commands too. Nothing is left to do if this fails.
                let _ = writeln!(io::stderr(), "qcow1: {}", printable(message));
                ExitCode::FAILURE
            }
        }
    }
}

/// What the crate's error means to a user of this tool.
pub(crate) fn explain(error: &Error<io::Error>) -> String {
    match error {
        Error::Io(error) => format!("cannot be read: {error}"),
        Error::Unsupported(Unsupported::Version(version @ 2..=3)) => {
            format!("this is a QCOW2 image (version {version}), and only QCOW version 1 is read")
        }
        Error::MemoryTooSmall { needed } => format!("{error}: pass --memory {needed}"),
        Error::BackingRequired => "the image has a hole there and names a backing file: pass --backing raw:FILE or \
                                   --backing qcow:FILE, or --follow if you trust the image"
            .to_owned(),
        Error::KeyRequired => "the cluster is encrypted: pass --password-file FILE".to_owned(),
        other => other.to_string(),
    }
}
