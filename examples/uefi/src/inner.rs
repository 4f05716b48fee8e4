//! What stands as `\EFI\BOOT\BOOTX64.EFI` inside the QCOW1 disk: the end of the journey.
#![no_std]
#![no_main]

use uefi::{Status, entry, println};
use uefi_boot::firmware;

#[entry]
fn main() -> Status {
    println!("inner: started from inside the QCOW1 disk");
    firmware::exit_qemu(0x21);
    Status::SUCCESS
}
