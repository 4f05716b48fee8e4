//! Parses and prints numbers and names.

use std::path::PathBuf;

use indicatif::BinaryBytes;
use serde_json::Value;

/// Parses a number of bytes: decimal, or hexadecimal after 0x, with an optional binary suffix.
pub(crate) fn number(argument: &str) -> Result<u64, String> {
    let digits = argument.strip_suffix("iB").unwrap_or(argument);
    let (digits, shift) = match digits.char_indices().next_back() {
        Some((at, 'k' | 'K')) => (&digits[..at], 10),
        Some((at, 'm' | 'M')) => (&digits[..at], 20),
        Some((at, 'g' | 'G')) => (&digits[..at], 30),
        Some((at, 't' | 'T')) => (&digits[..at], 40),
        Some((at, 'p' | 'P')) => (&digits[..at], 50),
        // A hexadecimal number may end in the digit `e`.
        Some((at, 'e' | 'E')) if !is_hexadecimal(digits) => (&digits[..at], 60),
        // "iB" is part of a suffix.
        _ if digits.len() != argument.len() => return Err(UNCLEAR.to_owned()),
        _ => (digits, 0),
    };
    // "64 MiB", as the tool prints it.
    let digits = digits.trim_end_matches(' ');
    let (digits, radix) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (digits, 10),
    };
    // `from_str_radix` would allow a sign.
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(UNCLEAR.to_owned());
    }
    u64::from_str_radix(digits, radix)
        .ok()
        .and_then(|number| number.checked_mul(1 << shift))
        .ok_or_else(|| "the number is too large: the maximum is 2^64 - 1".to_owned())
}

const UNCLEAR: &str = "write a number of bytes, such as 4096, 0x1000, 4k or 4KiB";

fn is_hexadecimal(digits: &str) -> bool {
    digits.starts_with("0x") || digits.starts_with("0X")
}

/// Returns bytes as a file name, or `None` if they are not a valid name on this system. On Unix
/// every name is valid.
pub(crate) fn path(name: &[u8]) -> Option<PathBuf> {
    #[cfg(unix)]
    return Some(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(name).into());

    #[cfg(not(unix))]
    return std::str::from_utf8(name).ok().map(PathBuf::from);
}

/// Escapes characters that a terminal would act on. A name in an image may contain any character,
/// such as commands that move the cursor and marks that reverse the direction of text.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for char in text.chars() {
        if is_command(char) {
            printable.extend(char.escape_default());
        } else {
            printable.push(char);
        }
    }
    printable
}

fn is_command(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns a JSON object with its fields in this order.
pub(crate) fn object(fields: &[(&str, Value)], separator: &str) -> String {
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| format!("\"{name}\": {}", json(value)))
        .collect();
    format!("{{{}}}", fields.join(separator))
}

/// Returns JSON that a terminal does not act on: JSON itself does not escape DEL and characters
/// beyond ASCII.
fn json(value: &Value) -> String {
    let mut json = String::new();
    for char in value.to_string().chars() {
        if is_command(char) {
            // All of these have four digits.
            json.push_str(&format!("\\u{:04x}", u32::from(char)));
        } else {
            json.push(char);
        }
    }
    json
}

/// Returns a number of bytes for people.
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        _ => format!("{bytes} bytes ({})", BinaryBytes(bytes)),
    }
}
