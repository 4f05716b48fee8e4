//! Passes the linker script, which ArceOS writes beside the program, to the linker.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // The folder of this script's output is three levels below the program's: release/build/PACKAGE/out.
    let out = std::env::var("OUT_DIR").unwrap_or_default();
    println!("cargo:rustc-link-arg=-T{out}/../../../linker_riscv64-qemu-virt.lds");
}
