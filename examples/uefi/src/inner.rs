//! Stands as `\EFI\BOOT\BOOTX64.EFI` inside a QCOW1 disk: says so, and switches the machine off.
#![no_std]
#![no_main]

use uefi::runtime::{self, ResetType};
use uefi::{Status, entry, println};
// The library has the panic handler.
use uefi_boot as _;

#[entry]
fn main() -> Status {
    println!("inner: started from inside the QCOW1 disk");
    runtime::reset(ResetType::SHUTDOWN, Status::SUCCESS, None)
}
