//! The host tool, run as a user runs it.

mod as_root;
mod chains;
mod dump;
mod keep_going;
mod look;
mod out;
mod place;
#[cfg(unix)]
mod readme;
#[cfg(unix)]
mod serve;
mod usage;
