//! Work on a template within bounds of stack, memory and time.
//!
//! Fuel pays for instructions and what each of them makes, but not for what a value is worth when
//! it is written, compared or let go. Measured with minijinja 3.1 and [`FUEL`](super::FUEL):
//!
//! - Fuel is enough to put a list into itself 1.3 million times. Letting go of it overflows a stack
//!   of 8 MB; writing and comparing it takes most, almost 500 bytes of stack a time.
//! - A list added to itself 33 times is copied, 8,589,934,592 items of 24 bytes; up to the 32nd time
//!   it is not, and costs nothing.
//! - A list of twice itself, 26 times over, is 200 MB when it is joined to a text, and so is, all at
//!   once, a list repeated that is repeated.
//! - A slice of a slice, 20,000 times over, takes minutes to be asked for its length.

use std::path::Path;
use std::time::Duration;

#[cfg(not(target_family = "wasm"))]
use super::refused;
use crate::error::ModelError;

/// More than comparing what is nested as deep as fuel allows takes. The system gives only what is
/// used of it.
#[cfg(not(target_family = "wasm"))]
const STACK: usize = if cfg!(target_pointer_width = "64") {
    1 << 30
} else {
    1 << 28
};

/// More than any conversation takes at once; all that fuel pays for is 128 MB one after the other.
#[cfg(not(target_family = "wasm"))]
const MEMORY: usize = 64 << 20;

/// Templates take milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Does some work on the template of that file, or says that it takes too much.
///
/// Memory is bounded where [`Rationed`](crate::ration::Rationed) allocates it.
pub(super) fn bounded<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> Result<T, ModelError> + Send + 'static,
) -> Result<T, ModelError> {
    within(PATIENCE, path, work)
}

/// A thread cannot be stopped from outside. One that takes too long or wants too much is left to
/// itself, and ends with the program.
#[cfg(not(target_family = "wasm"))]
fn within<T: Send + 'static>(
    patience: Duration,
    path: &Path,
    work: impl FnOnce() -> Result<T, ModelError> + Send + 'static,
) -> Result<T, ModelError> {
    use std::sync::mpsc::{RecvTimeoutError, sync_channel};

    use crate::ration;

    let (answer, answered) = sync_channel(1);
    let thread = std::thread::Builder::new()
        .name("chat template".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            let too_much = answer.clone();
            let tell = move || {
                let _ = too_much.try_send(None);
            };
            ration::begin(MEMORY, Box::new(tell));
            let result = work();
            ration::end();
            // Nobody listens any more where patience came to its end.
            let _ = answer.send(Some(result));
        })
        .map_err(|error| refused(path, format!("it cannot be read on a thread: {error}")))?;
    match answered.recv_timeout(patience) {
        Ok(Some(result)) => {
            // Not to have more threads than templates that are rendered.
            let _ = thread.join();
            result
        }
        Ok(None) => Err(refused(
            path,
            format!(
                "it does not come to an end within {} MB of memory",
                MEMORY >> 20
            ),
        )),
        Err(RecvTimeoutError::Timeout) => Err(refused(
            path,
            format!("it does not come to an end within {} s", patience.as_secs()),
        )),
        Err(RecvTimeoutError::Disconnected) => Err(refused(
            path,
            "reading it failed: the message above says why".to_owned(),
        )),
    }
}

/// There are no threads here; a page that hangs is closed.
#[cfg(target_family = "wasm")]
fn within<T>(
    _: Duration,
    _: &Path,
    work: impl FnOnce() -> Result<T, ModelError>,
) -> Result<T, ModelError> {
    work()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_long_or_panics_is_an_error() {
        let error = within::<()>(Duration::ZERO, Path::new("folder"), || {
            std::thread::sleep(Duration::from_secs(3600));
            Ok(())
        });
        let error = error.expect_err("patience").to_string();
        assert!(error.contains("come to an end within 0 s"), "{error}");
        let error = bounded::<()>(Path::new("folder"), || panic!("as a test wants it"));
        let error = error.expect_err("a panic").to_string();
        assert!(error.contains("failed"), "{error}");
    }
}
