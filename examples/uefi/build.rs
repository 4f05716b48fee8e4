//! Tells the linker that `qcow1.efi` is a driver: the firmware keeps it in memory after its entry point has returned.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-arg-bin=qcow1=/subsystem:efi_boot_service_driver");
}
