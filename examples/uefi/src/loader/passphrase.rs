//! The passphrase of an encrypted image, typed at the console.
//!
//! It is not read from a file, because the loader's volume is not encrypted: whoever has the disk would have the key
//! too.

use heapless::String;
use qcow1::Key;
use uefi::println;
use uefi::proto::console::text;
use uefi_boot::firmware;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// Asks for the passphrase of the image at this level of the chain (0 is the top), without echo, and passes the key to
/// `set`. It does not return the key, because a moved key leaves a copy on the stack, which nothing wipes.
pub fn ask(level: usize, set: impl FnOnce(&Key)) -> Result<(), Failure> {
    match level {
        0 => println!("loader: the image is encrypted; type its passphrase, which is not shown, and Enter"),
        _ => println!("loader: backing image {level} is encrypted; type its passphrase, which is not shown, and Enter"),
    }
    // The key is made of the first 16 bytes.
    let mut typed = Zeroizing::new(String::<64>::new());
    // The characters after those that fit, which backspace deletes first.
    let mut beyond = 0_usize;
    loop {
        match firmware::key()? {
            text::Key::Printable(char) => match char::from(char) {
                '\r' | '\n' => break,
                '\u{8}' if beyond > 0 => beyond -= 1,
                '\u{8}' => drop(typed.pop()),
                char => {
                    if beyond > 0 || typed.push(char).is_err() {
                        beyond += 1;
                    }
                }
            },
            text::Key::Special(_) => {}
        }
    }
    set(&Key::from_passphrase(typed.as_bytes()));
    Ok(())
}
