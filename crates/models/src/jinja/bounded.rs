//! Work on a template, on a thread of its own.
//!
//! What a template may take is bounded like this:
//!
//! - **Instructions and data**: minijinja's fuel ([`FUEL`](super::FUEL)) pays for each instruction and
//!   for each byte that one makes, 256 MB in all.
//! - **Single values**: [`value_size`](super::value_size) bounds their size and their depth, so that
//!   writing and comparing one is bounded too. Values that are held at once share their parts, all of
//!   which fuel has paid for.
//! - **Stack**: the parser's and minijinja's own recursion limits, [`limits`](super::limits) and the
//!   depth of values; the thread has several times what these allow.
//! - **Time**: fuel, except that a comparison of two large values costs as much as one of two small
//!   ones. A template that does nothing else is given up after [`PATIENCE`]; a thread cannot be stopped
//!   from outside, so it runs until its fuel is used up, and holds no more memory than said above. In
//!   the browser, which has no threads, the page waits that long.

use std::path::Path;
use std::time::Duration;

use crate::error::ModelError;

/// Callers' threads may have less than the parser takes.
#[cfg(not(target_family = "wasm"))]
const STACK: usize = 64 << 20;

/// Templates take milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Does some work on the template of that file, or says that it takes too long.
pub(super) fn bounded<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> Result<T, ModelError> + Send + 'static,
) -> Result<T, ModelError> {
    within(PATIENCE, path, work)
}

#[cfg(not(target_family = "wasm"))]
fn within<T: Send + 'static>(
    patience: Duration,
    path: &Path,
    work: impl FnOnce() -> Result<T, ModelError> + Send + 'static,
) -> Result<T, ModelError> {
    use std::sync::mpsc::{RecvTimeoutError, sync_channel};

    let (answer, answered) = sync_channel(1);
    let thread = std::thread::Builder::new()
        .name("chat template".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            // Nobody receives it once the caller has given up.
            let _ = answer.send(work());
        })
        .map_err(|error| {
            ModelError::chat_template(
                path,
                format!("no thread can be started to read it: {error}"),
            )
        })?;
    match answered.recv_timeout(patience) {
        Ok(result) => {
            // So that there are never more threads than templates being rendered.
            let _ = thread.join();
            result
        }
        Err(RecvTimeoutError::Timeout) => Err(ModelError::chat_template(
            path,
            format!("it does not finish within {} s", patience.as_secs()),
        )),
        Err(RecvTimeoutError::Disconnected) => Err(ModelError::chat_template(
            path,
            "reading it failed; the message above says why".to_owned(),
        )),
    }
}

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
    fn work_that_takes_too_long_or_panics_is_an_error() {
        let error = within::<()>(Duration::ZERO, Path::new("folder"), || {
            std::thread::sleep(Duration::from_millis(200));
            Ok(())
        });
        let error = error.expect_err("patience").to_string();
        assert!(error.contains("does not finish within 0 s"), "{error}");
        let error = bounded::<()>(Path::new("folder"), || panic!("on purpose"));
        let error = error.expect_err("a panic").to_string();
        assert!(error.contains("failed"), "{error}");
    }
}
