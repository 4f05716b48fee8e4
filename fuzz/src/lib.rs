//! The bodies of the fuzz targets: functions of the fuzzer's bytes, which the crate's own tests call too.
//!
//! Each returns whether the input is worth keeping: inputs that are refused at once or take too long are not. A target
//! panics if a result of the crate is wrong.

pub mod compare;
mod device;
mod forge;
mod levels;

mod chain;
mod check;
mod differential;
mod header;
mod image;
mod inflate;
mod session;

#[path = "../../tests/common/bounds.rs"]
pub mod bounds;
#[path = "../../tests/common/builder.rs"]
#[allow(dead_code)]
mod builder;
#[path = "../../tests/common/checker.rs"]
#[allow(dead_code)]
mod checker;
#[path = "../../tests/common/class.rs"]
pub mod class;
#[path = "../../tests/common/futures.rs"]
#[allow(dead_code)]
mod futures;
#[path = "../../tests/common/oracle.rs"]
#[allow(dead_code)]
pub mod oracle;

pub use chain::chain;
pub use check::check;
pub use differential::differential;
pub use header::header;
pub use image::image;
pub use inflate::inflate;
pub use session::session;

/// A target's body.
pub type Target = fn(&[u8]) -> bool;

/// All targets, with the names of their folders of seeds.
pub const TARGETS: [(&str, Target); 7] = [
    ("chain", chain),
    ("check", check),
    ("differential", differential),
    ("header", header),
    ("image", image),
    ("inflate", inflate),
    ("session", session),
];

/// The key of every encrypted image.
const KEY: [u8; 16] = [7; 16];
