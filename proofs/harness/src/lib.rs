//! Exports functions of qcow1 for the proofs of their machine code.
//!
//! The modules are the files of the crate as they are. They are modules of this crate, so that
//! private items can be called without a wider public API.
//!
//! Each exported function takes words from the prover and returns words to it.
#![no_std]
#![allow(dead_code, unused_imports, rustdoc::all)]

#[path = "../../../src/device/mod.rs"]
mod device;
#[path = "../../../src/error/mod.rs"]
mod error;
#[path = "../../../src/format/mod.rs"]
mod format;
#[path = "../../../src/guest/mod.rs"]
mod guest;
#[path = "../../../src/image/mod.rs"]
mod image;
#[path = "../../../src/memory.rs"]
mod memory;
#[path = "../../../src/offset.rs"]
mod offset;
#[path = "../../../src/reader/mod.rs"]
mod reader;
// Again, because `reader` does not show it.
#[path = "../../../src/reader/table_cache.rs"]
mod table_cache;

mod exports;
mod read;
mod words;

unsafe extern "C" {
    /// Is defined nowhere, so a program with a panic path does not link.
    fn a_panic_path_is_left() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: it does not link.
    unsafe { a_panic_path_is_left() }
}
