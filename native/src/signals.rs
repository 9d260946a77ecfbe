//! What Ctrl-C and a scheduler that wants the machine back do to a run: the first signal asks it to
//! stop, the second ends it.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::Context as _;
use rarebit_pipeline::Stop;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// What a shell adds to the number of the signal that ended a program.
const BY_SIGNAL: i32 = 128;

/// The signal that came last.
fn last() -> &'static Arc<AtomicUsize> {
    static LAST: OnceLock<Arc<AtomicUsize>> = OnceLock::new();
    LAST.get_or_init(Arc::default)
}

/// What SIGINT and SIGTERM ask to stop from here on; a second one ends the program at once.
pub(crate) fn stop() -> anyhow::Result<Stop> {
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order, so that the first signal does not end the program.
        flag::register_conditional_shutdown(signal, BY_SIGNAL + signal, Arc::clone(&asked))
            .and_then(|_| flag::register(signal, Arc::clone(&asked)))
            .and_then(|_| flag::register_usize(signal, Arc::clone(last()), signal as usize))
            .context("cannot listen for signals")?;
    }
    Ok(asked.into())
}

/// The exit code of a run that a signal stopped, as shells count them: 130 or 143.
pub(crate) fn exit_code() -> ExitCode {
    let signal = last().load(Ordering::Relaxed) as i32;
    u8::try_from(BY_SIGNAL + signal).map_or(ExitCode::FAILURE, ExitCode::from)
}
