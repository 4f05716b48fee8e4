//! Holes of files.

/// The shortest run of zeros that becomes a hole: the block of most file systems, in bytes.
pub(crate) const BLOCK: usize = 4096;

/// Splits bytes into runs of zero blocks and runs of others, and passes each with `true` if it is all zeros.
pub(crate) fn split<E>(mut rest: &[u8], mut run: impl FnMut(&[u8], bool) -> Result<(), E>) -> Result<(), E> {
    const ZEROS: [u8; BLOCK] = [0; BLOCK];
    let is_zero = |bytes: &[u8]| {
        let block = &bytes[..BLOCK.min(bytes.len())];
        *block == ZEROS[..block.len()]
    };
    while !rest.is_empty() {
        let (mut len, zero) = (0, is_zero(rest));
        while len < rest.len() && is_zero(&rest[len..]) == zero {
            len += BLOCK.min(rest.len() - len);
        }
        let (next, behind) = rest.split_at(len);
        run(next, zero)?;
        rest = behind;
    }
    Ok(())
}
