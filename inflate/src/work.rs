//! Counts the work of building tables, so that tests can check its bound. Outside of tests it compiles to nothing.

/// The minimum number of input bytes for each set of tables.
///
/// A dynamic block takes 83 bits or more. Its header takes 17. Each code length of the code for code lengths takes 3,
/// and the block needs 18 of them to use a codeword length of 1, 16 for 2, 14 for 3, 12 for 4, 10 for 5. A code
/// whose shortest codeword has n bits lists the lengths of 2^n codewords or more, fills up to 257 lengths with runs of
/// zeros, and ends the block with n bits. The sum is smallest for n = 3 and 4. The shortest known block takes 90 bits.
#[cfg(test)]
pub(super) const BYTES_PER_SET: usize = 10;

/// The maximum number of code lengths, symbols and table entries written to build a set of tables.
///
/// The sum of 316 code lengths; 335 symbols, each written once when they are sorted and once as an entry; and 3,086
/// entries that repeat others or link the two levels: 2,046 and 294 + 147 for literals and lengths, 254 and 146 + 73
/// for distances, 126 for code lengths.
#[cfg(test)]
pub(super) const STEPS_PER_SET: usize = 4096;

#[cfg(test)]
std::thread_local! {
    static SETS: core::cell::Cell<usize> = const { core::cell::Cell::new(0) };
    static STEPS: core::cell::Cell<usize> = const { core::cell::Cell::new(0) };
}

/// Counts one set of tables, which a dynamic block builds.
#[inline(always)]
pub(super) fn set() {
    #[cfg(test)]
    SETS.set(SETS.get() + 1);
}

/// Counts `number` code lengths, symbols or table entries that are written.
#[inline(always)]
pub(super) fn steps(number: usize) {
    #[cfg(test)]
    STEPS.set(STEPS.get() + number);
    #[cfg(not(test))]
    let _ = number;
}

/// Returns the numbers of sets and of steps that this thread has counted since the last call.
#[cfg(test)]
pub(super) fn take() -> (usize, usize) {
    (SETS.take(), STEPS.take())
}
