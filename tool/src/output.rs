//! Standard output, and a progress bar.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::Failure;
use crate::text::printable;

/// Whether the user asked for no notes.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Suppresses progress bars and notes.
pub(crate) fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

pub(crate) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Prints a line on standard error that is not an error.
pub(crate) fn note(message: impl Display) {
    if !is_quiet() {
        say(message);
    }
}

/// Prints a line on standard error.
pub(crate) fn say(message: impl Display) {
    // Escaped, because names may contain line ends and terminal commands. A failure of this write
    // is ignored.
    let _ = writeln!(io::stderr(), "qcow1: {}", printable(&message.to_string()));
}

/// The name of standard output in errors.
pub(crate) const STDOUT: &str = "standard output";

/// Lines on standard output.
pub(crate) struct Lines(BufWriter<File>);

impl Lines {
    pub(crate) fn new() -> Result<Self, Failure> {
        Ok(Self(BufWriter::new(stdout()?)))
    }

    pub(crate) fn line(&mut self, line: impl Display) -> Result<(), Failure> {
        self.text(format_args!("{line}\n"))
    }

    /// Writes text without a line end.
    pub(crate) fn text(&mut self, text: impl Display) -> Result<(), Failure> {
        write!(self.0, "{text}").map_err(|error| Failure::write(STDOUT.as_ref(), &error))
    }

    /// Writes the buffered bytes.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.0.flush().map_err(|error| Failure::write(STDOUT.as_ref(), &error))
    }

    /// Writes the buffered bytes. Must be called at the end.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        self.flush()
    }
}

/// Returns standard output as a file, which has metadata and no line buffer that copies each byte.
pub(crate) fn stdout() -> Result<File, Failure> {
    #[cfg(unix)]
    let stdout = std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned();
    #[cfg(windows)]
    let stdout = std::os::windows::io::AsHandle::as_handle(&io::stdout()).try_clone_to_owned();

    stdout
        .map(File::from)
        .map_err(|error| Failure::write(STDOUT.as_ref(), &error))
}

/// Returns a progress bar over `len` bytes on standard error. It shows nothing if that is not a
/// terminal.
pub(crate) fn progress(len: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{bar:40} {percent:>3}%  {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}  {eta} left",
    );
    let bar = match is_quiet() {
        true => ProgressBar::hidden(),
        false => ProgressBar::new(len),
    };
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
