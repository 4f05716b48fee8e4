//! The conformance suite of `tests/vectors`: the recipe of its images, and this crate's run over
//! them. `WRITE_VECTORS=1 cargo test --all-features --test vectors` writes the files.

mod case;
mod cases;
#[path = "../common/mod.rs"]
mod common;
mod deflate;
mod peers;
mod recipe;
mod run;
