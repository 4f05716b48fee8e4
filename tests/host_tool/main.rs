//! The host tool, `examples/qcow1`, as a user runs it.

#[path = "../common/tool.rs"]
mod tool;

mod chains;
mod dump;
mod look;
mod usage;
