//! Panics of libraries on damaged files.
//!
//! Where such files are read, `rarebit-data` and `rarebit-models` turn a panic into an error that
//! names the file. Here its message is kept from the screen, where it would look like a crash of this
//! program, unless it does become one.

use std::any::Any;
use std::panic::{self, PanicHookInfo, UnwindSafe};
use std::sync::{Mutex, PoisonError};

/// Crates that read files, as their sources' folders begin.
const READERS: [&str; 3] = ["/arrow-", "/parquet-", "/tokenizers-"];

/// What such a panic said last.
static UNTOLD: Mutex<Option<String>> = Mutex::new(None);

/// Runs the program. A panic that nothing has caught is told and goes on.
pub(crate) fn run<T>(program: impl FnOnce() -> T + UnwindSafe) -> T {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| match is_of_a_reader(panic) {
        true => *untold() = Some(panic.to_string()),
        false => usual(panic),
    }));
    panic::catch_unwind(program).unwrap_or_else(|payload| tell(payload))
}

fn tell(payload: Box<dyn Any + Send>) -> ! {
    if let Some(untold) = untold().take() {
        crate::progress::note(&untold);
    }
    panic::resume_unwind(payload)
}

fn untold() -> std::sync::MutexGuard<'static, Option<String>> {
    UNTOLD.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_of_a_reader(panic: &PanicHookInfo<'_>) -> bool {
    let file = panic.location().map_or("", |location| location.file());
    let file = file.replace('\\', "/");
    READERS.iter().any(|folder| file.contains(folder))
}
