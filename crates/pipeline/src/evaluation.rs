//! Systems and their evaluations, as files.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use rarebit_data::{SourceOptions, read_samples};
use rarebit_eval::report::{Report, RunCurve, render};
use rarebit_eval::{Evaluation, SampleRow, SystemSamples, evaluation_csv};
use rarebit_train::METRICS;
use serde_json::Value;

use crate::error::{Context as _, PipelineError, Result, bail, ensure};
use crate::output;

/// The configuration in a run folder.
pub const CONFIG: &str = "config.toml";

/// Reads the responses of one system. Those that are not an answer are left out and counted.
///
/// # Errors
/// When the file cannot be read or holds no answer.
pub fn read_system(name: &str, path: &Path, options: &SourceOptions) -> Result<SystemSamples> {
    let mut rows = Vec::new();
    let mut unanswered = BTreeMap::new();
    for group in read_samples(path, options)? {
        let group = group?;
        for (sample, response) in group.responses.into_iter().enumerate() {
            if let Some(reason) = response.unanswered() {
                *unanswered.entry(reason.as_str().to_owned()).or_default() += 1;
                continue;
            }
            rows.push(SampleRow {
                prompt_id: group.id.clone(),
                prompt: group.prompt.to_string(),
                sample: sample as u32,
                response: response.text,
                score: response.score,
            });
        }
    }
    ensure!(
        !rows.is_empty(),
        "{} contains no usable response: all of them are empty, failed, filtered or refused",
        path.display()
    );
    let mut samples = SystemSamples::from_rows(name, &path.display().to_string(), rows)?;
    samples.unanswered = unanswered;
    Ok(samples)
}

/// Writes an evaluation as JSON, and its table as CSV if asked for.
///
/// # Errors
/// When a file cannot be written.
pub fn write_evaluation(evaluation: &Evaluation, path: &Path, csv: Option<&Path>) -> Result<()> {
    output::write_atomically(path, |file| Ok(serde_json::to_writer(file, evaluation)?))?;
    if let Some(csv) = csv {
        output::write_atomically(csv, |file| {
            Ok(file.write_all(evaluation_csv(evaluation).as_bytes())?)
        })?;
    }
    Ok(())
}

/// Renders a report into its file.
///
/// # Errors
/// When the file cannot be written.
pub fn write_report(report: &Report<'_>, path: &Path) -> Result<()> {
    output::write_atomically(path, |out| Ok(out.write_all(render(report).as_bytes())?))
}

/// The log and the configuration of a run folder.
///
/// # Errors
/// When it holds no log, or one that cannot be read.
pub fn read_run(folder: &Path) -> Result<RunCurve> {
    let metrics = folder.join(METRICS);
    let text = match fs::read_to_string(&metrics) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!(
                "{} is not a run folder: it holds no {METRICS}; give a folder that `rarebit train` wrote",
                folder.display()
            )
        }
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", metrics.display()));
        }
    };
    let config = match fs::read_to_string(folder.join(CONFIG)) {
        Ok(text) => text,
        // The curves can be shown without it.
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => {
            return Err(error)
                .with_context(|| format!("cannot read {}", folder.join(CONFIG).display()));
        }
    };
    let rows = rows(&text).with_context(|| format!("cannot read {}", metrics.display()))?;
    Ok(RunCurve {
        name: run_name(folder),
        rows,
        config,
    })
}

/// The rows of a log. A run that was killed may have left half a line at the end; half a line
/// anywhere else means that the file is not what it should be.
fn rows(text: &str) -> Result<Vec<Value>> {
    let mut rows = Vec::new();
    let mut lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .peekable();
    while let Some((index, line)) = lines.next() {
        match serde_json::from_str(line) {
            Ok(row) => rows.push(row),
            Err(_) if lines.peek().is_none() => break,
            Err(error) => {
                return Err(PipelineError::Invalid(format!(
                    "line {}: {error}",
                    index + 1
                )));
            }
        }
    }
    Ok(rows)
}

/// The folder's own name, also for `.` and `runs/x/..`.
fn run_name(folder: &Path) -> String {
    let whole = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    whole.file_name().map_or_else(
        || "run".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_last_line_is_dropped_and_no_other() {
        assert_eq!(
            rows("{\"step\":1}\n\n{\"step\":2}\n{\"st").unwrap().len(),
            2
        );
        let error = rows("{\"step\":1}\n{\"st\n{\"step\":3}\n")
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("line 2"), "{error}");
        assert!(rows("").unwrap().is_empty());
    }

    #[test]
    fn a_folder_that_is_no_run_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let run = read_run(folder.path()).unwrap_err().to_string();
        assert!(
            run.contains("metrics.jsonl") && run.contains("rarebit train"),
            "{run}"
        );
    }
}
