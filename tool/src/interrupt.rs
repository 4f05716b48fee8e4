//! Cleans up when a signal ends the tool.

use std::fs;
use std::path::PathBuf;
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::failure::status;
use crate::output::say;

/// What an interrupt does before it ends the tool.
pub(crate) enum Ending {
    Nothing,
    /// Removes a file that is not complete.
    Remove(PathBuf),
    /// Prints a line.
    Say(String),
}

/// What the next interrupt does. It can be changed at any time.
#[derive(Clone)]
pub(crate) struct Interrupt(Arc<Mutex<Ending>>);

impl Interrupt {
    /// Takes over the signals that ask the tool to end. Without a handler, a signal leaves files
    /// behind, which is harmless. The tool then ends with the status `exit`.
    pub(crate) fn new(exit: u8) -> Self {
        let this = Self(Arc::new(Mutex::new(Ending::Nothing)));
        let ending = this.clone();
        when_interrupted(move || {
            // Locked until the process ends, so that no thread uses a removed file.
            let ending = ending.lock();
            match &*ending {
                Ending::Nothing => {}
                Ending::Remove(path) => _ = fs::remove_file(path),
                Ending::Say(line) => say(line),
            }
            process::exit(exit.into());
        });
        this
    }

    /// Returns the ending. While it is borrowed, an interrupt waits.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Ending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the ending.
    pub(crate) fn set(&self, ending: Ending) {
        *self.lock() = ending;
    }
}

/// Ends with the status of an interrupted dump.
impl Default for Interrupt {
    fn default() -> Self {
        Self::new(status::INTERRUPTED)
    }
}

/// Makes a write beyond the limit of `ulimit -f` an error instead of the end of the tool.
pub(crate) fn survive_size_limit() {
    #[cfg(unix)]
    {
        // Any handler does: without one, the signal ends the process.
        let flag = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, flag);
    }
}

/// Calls `end` once a signal asks the process to end.
#[cfg(unix)]
fn when_interrupted(end: impl FnOnce() + Send + 'static) {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    // A handler would undo what `nohup` and a shell's `&` do: they start a process with signals
    // ignored.
    let ignored = ignored_signals().unwrap_or(0);
    let heeded = [SIGHUP, SIGINT, SIGTERM]
        .into_iter()
        .filter(|signal| ignored >> (signal - 1) & 1 == 0);
    if let Ok(mut signals) = signal_hook::iterator::Signals::new(heeded) {
        std::thread::spawn(move || signals.forever().next().map(|_| end()));
    }
}

/// Returns the ignored signals as bits, signal 1 in the lowest bit, or `None` if the system does
/// not report them.
#[cfg(unix)]
fn ignored_signals() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(not(unix))]
fn when_interrupted(end: impl FnOnce() + Send + 'static) {
    let end = Mutex::new(Some(end));
    let _ = ctrlc::set_handler(move || {
        if let Some(end) = end.lock().unwrap_or_else(PoisonError::into_inner).take() {
            end();
        }
    });
}
