//! Counts the work of the headers of dynamic blocks, so that tests can check its bound. Outside of
//! tests it compiles to nothing.

/// The minimum number of input bytes for each dynamic block.
///
/// It takes 83 bits or more. Its header takes 17. Each code length of the code for code lengths
/// takes 3, and the block needs 18 of them to use a codeword length of 1, 16 for 2, 14 for 3, 12
/// for 4, 10 for 5. A code whose shortest codeword has n bits lists the lengths of 2^n codewords or
/// more, fills up to 257 lengths with runs of zeros, and ends the block with n bits. The sum is
/// smallest for n = 3 and 4. The shortest known block takes 90 bits.
#[cfg(test)]
pub(super) const BYTES_PER_BLOCK: usize = 10;

/// The maximum number of steps to read the code lengths of a block and to sort its symbols.
///
/// The sum of 316 code lengths, 316 symbols, the 19 symbols of the code for code lengths, each
/// sorted and written to its table, and 126 copies of these.
#[cfg(test)]
pub(super) const STEPS_PER_BLOCK: usize = 796;

/// The minimum number of input bytes for each set of tables but the first: the header of a block
/// and [`SHORT_BLOCK`](super::SHORT_BLOCK) symbols of a bit, or a long block before it.
#[cfg(test)]
pub(super) const BYTES_PER_TABLES: usize = BYTES_PER_BLOCK + super::SHORT_BLOCK / 8;
#[cfg(test)]
const _: () = assert!(
    BYTES_PER_TABLES == 42 && super::LONG_BLOCK >= BYTES_PER_TABLES,
    "as documented"
);

/// The maximum number of steps to fill a set of tables.
///
/// The sum of 316 symbols and of 2,960 entries that repeat others or link the two levels: 2,046 and
/// 294 + 147 for literals and lengths, 254 and 146 + 73 for distances.
#[cfg(test)]
pub(super) const STEPS_PER_TABLES: usize = 3276;

/// What a thread has counted.
#[cfg(test)]
#[derive(Clone, Copy, Default)]
pub(super) struct Work {
    /// The number of dynamic blocks whose code lengths were read.
    pub(super) blocks: usize,
    /// The number of sets of tables that were filled.
    pub(super) tables: usize,
    /// The number of code lengths, symbols and table entries that were written. Eight equal code
    /// lengths, or the symbols of these, are one step.
    pub(super) steps: usize,
}

#[cfg(test)]
std::thread_local! {
    static WORK: core::cell::Cell<Work> = const { core::cell::Cell::new(Work { blocks: 0, tables: 0, steps: 0 }) };
}

/// Counts a dynamic block.
#[inline(always)]
pub(super) fn count_block() {
    #[cfg(test)]
    add(1, 0, 0);
}

/// Counts a set of tables.
#[cfg(feature = "fast")]
#[inline(always)]
pub(super) fn count_tables() {
    #[cfg(test)]
    add(0, 1, 0);
}

/// Counts `number` steps.
#[inline(always)]
pub(super) fn count_steps(number: usize) {
    #[cfg(test)]
    add(0, 0, number);
    #[cfg(not(test))]
    let _ = number;
}

#[cfg(test)]
fn add(blocks: usize, tables: usize, steps: usize) {
    let work = WORK.get();
    WORK.set(Work {
        blocks: work.blocks + blocks,
        tables: work.tables + tables,
        steps: work.steps + steps,
    });
}

/// Returns what this thread has counted since the last call.
#[cfg(test)]
pub(super) fn take() -> Work {
    WORK.take()
}
