//! One look for everything that takes time: a bar on standard error, or where that is no terminal
//! a plain line every ten seconds.

use std::io::{self, IsTerminal};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{
    HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle,
};

const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// A bar, a count of bytes or a spinner; [`Progress::finish`] or a drop takes it away.
pub(crate) struct Progress {
    bar: ProgressBar,
    what: String,
    unit: Unit,
    /// When the last plain line was written; `None` on a terminal.
    plain: Option<Mutex<Instant>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Unit {
    Count,
    Bytes,
    None,
}

/// A bar for `len` items.
pub(crate) fn bar(len: u64, message: &str) -> Progress {
    Progress::new(ProgressBar::new(len), message, Unit::Count)
}

/// A bar for `len` bytes, such as a download.
pub(crate) fn bytes(len: u64, message: &str) -> Progress {
    Progress::new(ProgressBar::new(len), message, Unit::Bytes)
}

/// A sign of life for work of unknown length.
pub(crate) fn spinner(message: &str) -> Progress {
    Progress::new(ProgressBar::new_spinner(), message, Unit::None)
}

/// One line on standard error.
pub(crate) fn note(line: &str) {
    // Whoever closed standard error does not want it.
    let _ = io::Write::write_fmt(&mut io::stderr(), format_args!("{line}\n"));
}

impl Progress {
    fn new(bar: ProgressBar, what: &str, unit: Unit) -> Self {
        let terminal = io::stderr().is_terminal();
        if terminal {
            bar.set_style(style(unit));
            bar.set_prefix(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(200));
        } else {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        Self {
            bar,
            what: what.to_owned(),
            unit,
            plain: (!terminal).then(|| Mutex::new(Instant::now())),
        }
    }

    /// Advances by `delta` items or bytes.
    pub(crate) fn inc(&self, delta: u64) {
        self.bar.inc(delta);
        self.plain_line();
    }

    /// Begins at a position that was reached before: the time left is reckoned from here on.
    pub(crate) fn start_at(&self, position: u64) {
        self.bar.set_position(position);
        self.bar.reset_eta();
    }

    /// Moves to an absolute position.
    pub(crate) fn set_position(&self, position: u64) {
        self.bar.set_position(position);
        self.plain_line();
    }

    /// Shows details behind the bar, such as a loss.
    pub(crate) fn set_message(&self, details: impl Into<String>) {
        self.bar.set_message(details.into());
    }

    /// Takes the bar away and leaves one line that says what was done.
    pub(crate) fn finish(&self, summary: &str) {
        self.bar.finish_and_clear();
        note(&format!("{}: {summary}", self.what));
    }

    fn plain_line(&self) {
        let Some(last) = &self.plain else { return };
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= PLAIN_INTERVAL {
            *last = Instant::now();
            note(&self.plain_text());
        }
    }

    fn plain_text(&self) -> String {
        let position = self.bar.position();
        let length = self.bar.length().unwrap_or_default();
        let done = match self.unit {
            Unit::Count => format!("{} of {}", HumanCount(position), HumanCount(length)),
            Unit::Bytes => format!("{} of {}", HumanBytes(position), HumanBytes(length)),
            Unit::None => format!("{} so far", HumanCount(position)),
        };
        let left = match self.unit {
            Unit::None => String::new(),
            Unit::Count | Unit::Bytes => format!(", {} left", HumanDuration(self.bar.eta())),
        };
        let message = self.bar.message();
        let gap = if message.is_empty() { "" } else { "  " };
        format!("{}: {done}{left}{gap}{message}", self.what)
    }
}

/// A dropped bar is an interrupted one: it must not stay on the screen below the error.
impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style(unit: Unit) -> ProgressStyle {
    ProgressStyle::with_template(template(unit))
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸ ")
}

fn template(unit: Unit) -> &'static str {
    match unit {
        Unit::Count => "{prefix} {bar:24} {human_pos}/{human_len} {eta} {wide_msg}",
        Unit::Bytes => "{prefix} {bar:24} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        Unit::None => "{spinner} {prefix} {wide_msg}",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_lines_say_what_how_far_and_details() {
        let progress = bar(2_000, "embed");
        progress.inc(1_000);
        progress.set_message("loss 0.69");
        let text = progress.plain_text();
        assert!(text.starts_with("embed: 1,000 of 2,000, "), "{text}");
        assert!(text.ends_with(" left  loss 0.69"), "{text}");
    }

    #[test]
    fn every_unit_has_a_valid_template_and_a_plain_form() {
        for (progress, plain) in [
            (bar(3, "count"), "count: 0 of 3, "),
            (bytes(2048, "fetch"), "fetch: 0 B of 2.00 KiB, "),
            (spinner("read"), "read: 0 so far"),
        ] {
            let text = progress.plain_text();
            assert!(text.starts_with(plain), "{text}");
            assert!(ProgressStyle::with_template(template(progress.unit)).is_ok());
        }
    }
}
