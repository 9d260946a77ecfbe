//! What every task does: run commands, say something, fail.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What stops a task, as a sentence for the person who started it.
pub(crate) type Result<T = ()> = std::result::Result<T, String>;

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Runs a command to its end and fails if it does.
pub(crate) fn run(command: &mut Command) -> Result {
    let status = command
        .status()
        .map_err(|error| format!("{} does not start: {error}", shown(command)))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("{} failed: {status}", shown(command))),
    }
}

/// The standard output of a command that must succeed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .map_err(|error| format!("{} does not start: {error}", shown(command)))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("{} failed: {}", shown(command), output.status)),
    }
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

/// A line for the person who started the task.
#[expect(
    clippy::print_stderr,
    reason = "a task speaks to the person who started it"
)]
pub(crate) fn report(line: &str) {
    eprintln!("{line}");
}
