//! Passes the microcontroller's memory layout to the linker. The build with unoptimized.toml needs more memory.

use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let layout = match env::var("FOOTPRINT_BUILD").as_deref() {
        Ok("unoptimized") => "memory/large.x",
        _ => "memory/small.x",
    };
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // The linker searches this package's folder first, so no file there has the name that cortex-m-rt includes.
    fs::copy(layout, out.join("memory.x"))?;
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=FOOTPRINT_BUILD");
    println!("cargo:rerun-if-changed={layout}");
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    Ok(())
}
