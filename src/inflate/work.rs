//! Counts the work of building tables, so that tests can check its bound. Outside of tests it compiles to nothing.

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
#[allow(dead_code)]
pub(crate) fn take() -> (usize, usize) {
    (SETS.take(), STEPS.take())
}
