//! An ArceOS unikernel that prints the sha256 of each file in its root directory.
#![no_std]
#![no_main]

use axstd::string::String;
use axstd::{format, fs, io, println};
use sha2::{Digest, Sha256};

#[unsafe(no_mangle)]
fn main() {
    if let Err(error) = print_digests() {
        println!("the root directory: {error}");
    }
}

fn print_digests() -> io::Result<()> {
    for entry in fs::read_dir("/")? {
        let entry = entry?;
        if entry.file_type().is_file() {
            let name = entry.file_name();
            match fs::read(&entry.path()) {
                Ok(bytes) => println!("{name}: sha256 {}", hex(&Sha256::digest(&bytes))),
                Err(error) => println!("{name}: {error}"),
            }
        }
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
