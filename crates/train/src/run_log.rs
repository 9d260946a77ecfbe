//! The log of a run: one line of JSON per logged step, and the same values for TensorBoard.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use crate::error::TrainError;
use crate::tensorboard::EventWriter;

/// The name of the log file.
pub const METRICS: &str = "metrics.jsonl";

pub(crate) struct RunLog {
    path: PathBuf,
    lines: File,
    /// Opened with the first line, so that restarting a finished run leaves no empty file.
    events: Option<EventWriter>,
    folder: PathBuf,
    resumed_at: u64,
}

impl RunLog {
    /// Opens the log of a run that has completed `step` steps. Lines of later steps are dropped, as
    /// these steps were lost and will be repeated.
    pub(crate) fn open(output_dir: &Path, step: u64) -> Result<Self, TrainError> {
        let path = output_dir.join(METRICS);
        keep_until(&path, step)?;
        let lines = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(TrainError::write(&path))?;
        Ok(Self {
            path,
            lines,
            events: None,
            folder: output_dir.to_owned(),
            resumed_at: step,
        })
    }

    pub(crate) fn write(
        &mut self,
        step: u64,
        values: &BTreeMap<String, f64>,
    ) -> Result<(), TrainError> {
        let mut row = Map::from_iter([("step".to_owned(), Value::from(step))]);
        row.extend(
            values
                .iter()
                .map(|(name, &value)| (name.clone(), Value::from(value))),
        );
        let mut line = Value::Object(row).to_string();
        line.push('\n');
        self.lines
            .write_all(line.as_bytes())
            .map_err(TrainError::write(&self.path))?;
        let time = now();
        let events = match &mut self.events {
            Some(events) => events,
            none => none.insert(
                match self.resumed_at {
                    0 => EventWriter::create(&self.folder, time),
                    step => EventWriter::resume(&self.folder, time, step),
                }
                .map_err(TrainError::write(&self.folder))?,
            ),
        };
        let path = events.path().to_owned();
        for (name, &value) in values.iter().filter(|(name, _)| *name != "epoch") {
            // TensorBoard groups curves by the part before the slash, as transformers' names do.
            let tag = match name.strip_prefix("eval_") {
                Some(name) => format!("eval/{name}"),
                None => format!("train/{name}"),
            };
            events
                .scalar(step, time, &tag, value)
                .map_err(TrainError::write(&path))?;
        }
        events.flush().map_err(TrainError::write(&path))
    }
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

/// Drops the lines of steps after `step`, and an incomplete last line.
fn keep_until(path: &Path, step: u64) -> Result<(), TrainError> {
    if !path.is_file() {
        return Ok(());
    }
    let reader = BufReader::new(File::open(path).map_err(TrainError::read(path))?);
    let mut kept = Vec::new();
    for line in reader.lines() {
        let line = line.map_err(TrainError::read(path))?;
        let of = serde_json::from_str::<Value>(&line)
            .ok()
            .and_then(|row| row.get("step")?.as_u64());
        if of.is_some_and(|of| of <= step) && step > 0 {
            kept.extend(line.bytes());
            kept.push(b'\n');
        }
    }
    let partial = path.with_extension("partial");
    fs::write(&partial, kept)
        .and_then(|()| fs::rename(&partial, path))
        .map_err(TrainError::write(path))
}
