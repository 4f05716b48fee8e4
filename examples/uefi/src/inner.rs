//! The test program for `\EFI\BOOT\BOOTX64.EFI` inside a QCOW1 disk, instead of an operating system: prints a line and
//! returns.
#![no_std]
#![no_main]

use uefi::{Status, entry, println};
// The library has the panic handler.
use uefi_boot as _;

#[entry]
fn main() -> Status {
    println!("inner: started from inside the QCOW1 disk");
    Status::SUCCESS
}
