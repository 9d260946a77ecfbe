//! Parsing and rendering of templates within limits.
//!
//! The resources of a template are limited as follows:
//!
//! - **Instructions and data**: minijinja's [fuel](super::FUEL) pays for every instruction and
//!   every byte that an instruction creates, 256 MB in total.
//! - **Single values**: [`value_size`](super::value_size) limits their size and depth, and thereby
//!   the memory for printing one. Values share their parts, all of which fuel has paid for.
//! - **Stack**: limited by the recursion limits of minijinja, by [`limits`](super::limits) and by
//!   the depth of values; the thread has several times that.
//! - **Time**: limited by fuel, except that comparing two large values costs as much fuel as
//!   comparing two small ones. A template that keeps doing so is abandoned after [`PATIENCE`]. A
//!   thread cannot be stopped from outside, so it runs until its fuel is used up, within the limits
//!   above. In a browser, which has no threads, the page waits for it.

use std::path::Path;
use std::time::Duration;

use crate::error::ModelError;

/// The caller's thread may have less stack than the parser needs.
#[cfg(not(target_family = "wasm"))]
const STACK: usize = 64 << 20;

/// Templates take milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `work` on the template in `path` on a thread of its own.
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
            // Fails if the caller has given up.
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
            // Ensures that there are no more threads than templates being rendered.
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
