//! The host tool, run as a user runs it.

mod chains;
mod dump;
mod look;
mod place;
#[cfg(unix)]
mod readme;
mod usage;
