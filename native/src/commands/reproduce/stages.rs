//! Cached stages: no work is done twice.
//!
//! A stage's folder is named by a hash of everything that determines its result: its settings, the
//! content of the files it reads, the program's version. A killed run thus resumes where it was, and
//! a changed setting repeats only the stages that depend on it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::HumanDuration;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use rarebit_pipeline::output;

use crate::progress;

/// What kind of work a stage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Data,
    Prepare,
    Train,
    Samples,
    Measure,
    Reward,
    Judge,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Prepare => "prepare",
            Self::Train => "train",
            Self::Samples => "samples",
            Self::Measure => "measure",
            Self::Reward => "reward",
            Self::Judge => "judge",
        }
    }
}

/// The record of a finished stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    /// A description for people.
    what: String,
    /// What determined its result.
    inputs: Value,
    /// The BLAKE3 hash of each file, by its path in the folder.
    files: BTreeMap<String, String>,
    /// How long it took.
    seconds: f64,
    /// Its processor time, where the operating system reports it.
    cpu_seconds: Option<f64>,
}

/// A finished stage.
#[derive(Clone, Debug)]
pub(super) struct Done {
    pub(super) folder: PathBuf,
    files: BTreeMap<String, String>,
}

impl Done {
    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// The hash of one of its files.
    pub(super) fn hash(&self, file: &str) -> &str {
        self.files.get(file).map_or("", String::as_str)
    }
}

/// The stages of a run.
pub(super) struct Stages {
    folder: PathBuf,
    /// What every result depends on besides its inputs.
    made_by: String,
    /// The number of stages of each kind to come, and an estimate of the seconds that one takes.
    left: BTreeMap<Kind, (usize, f64)>,
    took: BTreeMap<Kind, Took>,
    started: usize,
    total: usize,
    kept: usize,
}

/// The finished stages of a kind, including cached ones.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Took {
    pub(super) stages: usize,
    pub(super) seconds: f64,
    /// `None` where the operating system does not report it.
    pub(super) cpu_seconds: Option<f64>,
}

const RECORD: &str = "stage.json";

/// The estimates count as evidence of this many seconds: the first stages are too short to tell how
/// slow a machine is.
const BELIEVED: f64 = 10.0;

impl Stages {
    /// Stages in a folder; `planned` holds the number of each kind, and an estimate of the seconds that
    /// one takes.
    pub(super) fn new(
        folder: &Path,
        made_by: String,
        planned: BTreeMap<Kind, (usize, f64)>,
    ) -> Self {
        Self {
            folder: folder.to_path_buf(),
            made_by,
            total: planned.values().map(|(stages, _)| stages).sum(),
            left: planned,
            took: BTreeMap::new(),
            started: 0,
            kept: 0,
        }
    }

    /// Runs a stage unless it is cached: `make` writes `files` into the folder that it is given, where
    /// it finds whatever a killed run left.
    pub(super) fn run(
        &mut self,
        kind: Kind,
        what: &str,
        inputs: Value,
        files: &[&str],
        make: impl FnOnce(&Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<Done> {
        let inputs = json!({"made_by": self.made_by, "kind": kind, "inputs": inputs});
        let key = blake3::hash(inputs.to_string().as_bytes()).to_hex();
        let folder = self.folder.join(kind.as_str()).join(&key[..16]);
        self.started += 1;
        let (record, is_kept) = match kept(&folder, files) {
            Some(record) => (record, true),
            None => {
                progress::note(&format!(
                    "[{} of {}] {} {what}; {}",
                    self.started,
                    self.total,
                    kind.as_str(),
                    self.time_left()
                ));
                fs::create_dir_all(&folder)
                    .with_context(|| format!("cannot create {}", folder.display()))?;
                let (wall, cpu) = (Instant::now(), cpu_seconds());
                make(&folder).with_context(|| format!("{} {what}", kind.as_str()))?;
                let files = files
                    .iter()
                    .map(|file| Ok(((*file).to_owned(), output::file_hash(&folder.join(file))?)))
                    .collect::<anyhow::Result<_>>()?;
                let record = Record {
                    what: what.to_owned(),
                    inputs,
                    files,
                    seconds: wall.elapsed().as_secs_f64(),
                    cpu_seconds: cpu_seconds().zip(cpu).map(|(now, then)| now - then),
                };
                output::write_atomically(&folder.join(RECORD), |file| {
                    Ok(serde_json::to_writer_pretty(file, &record)?)
                })?;
                (record, false)
            }
        };
        self.count(kind, &record, is_kept);
        Ok(Done {
            folder,
            files: record.files,
        })
    }

    fn count(&mut self, kind: Kind, record: &Record, is_kept: bool) {
        self.kept += usize::from(is_kept);
        let took = self.took.entry(kind).or_default();
        took.cpu_seconds = match took.stages {
            0 => record.cpu_seconds,
            _ => took.cpu_seconds.zip(record.cpu_seconds).map(|(a, b)| a + b),
        };
        took.stages += 1;
        took.seconds += record.seconds;
        if let Some((stages, _)) = self.left.get_mut(&kind) {
            *stages = stages.saturating_sub(1);
        }
    }

    fn time_left(&self) -> String {
        let left = Duration::from_secs_f64(self.seconds_left());
        format!("about {} left", HumanDuration(left))
    }

    /// Kinds that have run take their mean time; the others their estimate, scaled by how much slower
    /// this machine is than the estimates so far.
    fn seconds_left(&self) -> f64 {
        let guess = |kind: &Kind| self.left.get(kind).map_or(0.0, |(_, seconds)| *seconds);
        let took: f64 = self.took.values().map(|took| took.seconds).sum();
        let guessed: f64 = (self.took.iter())
            .map(|(kind, took)| took.stages as f64 * guess(kind))
            .sum();
        let slower = (took + BELIEVED) / (guessed + BELIEVED);
        (self.left.iter())
            .map(|(kind, (stages, guess))| {
                let each = match self.took.get(kind) {
                    Some(took) => took.seconds / took.stages as f64,
                    None => guess * slower,
                };
                *stages as f64 * each
            })
            .sum()
    }

    /// What was done, in one line.
    pub(super) fn summary(&self) -> String {
        format!(
            "{} stages: {} made, {} found done",
            self.started,
            self.started - self.kept,
            self.kept
        )
    }

    /// The finished stages by kind.
    pub(super) fn took(&self) -> impl Iterator<Item = (&'static str, Took)> {
        self.took.iter().map(|(kind, took)| (kind.as_str(), *took))
    }
}

/// The record of a finished stage whose files are unchanged.
fn kept(folder: &Path, files: &[&str]) -> Option<Record> {
    let text = fs::read(folder.join(RECORD)).ok()?;
    let record: Record = serde_json::from_slice(&text).ok()?;
    files
        .iter()
        .all(|file| {
            let hash = output::file_hash(&folder.join(file)).ok();
            hash.is_some() && hash.as_ref() == record.files.get(*file)
        })
        .then_some(record)
}

/// The processor time of this program, as Linux reports it.
fn cpu_seconds() -> Option<f64> {
    /// The length of a tick on every current Linux.
    const SECONDS: f64 = 0.01;
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The name may contain spaces; it ends with the last parenthesis. State is then the third field,
    // and the 14th and 15th are user and kernel time.
    let (_, rest) = text.rsplit_once(')')?;
    let ticks: Vec<f64> = rest
        .split_whitespace()
        .skip(11)
        .take(2)
        .map_while(|field| field.parse().ok())
        .collect();
    (ticks.len() == 2).then(|| ticks.iter().sum::<f64>() * SECONDS)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_stage_runs_once_for_its_inputs_and_again_if_its_files_have_changed() {
        let home = tempfile::tempdir().unwrap();
        let made = Cell::new(0);
        let stage = |inputs: Value, version: &str| {
            let mut stages = Stages::new(home.path(), version.to_owned(), BTreeMap::new());
            let done = stages
                .run(Kind::Data, "test", inputs, &["a.txt"], |folder| {
                    made.set(made.get() + 1);
                    Ok(fs::write(folder.join("a.txt"), "text")?)
                })
                .unwrap();
            (done.path("a.txt"), made.get())
        };
        let (path, count) = stage(json!({"x": 1}), "1");
        assert_eq!(count, 1);
        assert_eq!(stage(json!({"x": 1}), "1").1, 1);
        assert_eq!(stage(json!({"x": 2}), "1").1, 2);
        assert_eq!(stage(json!({"x": 1}), "2").1, 3);
        fs::write(path, "other").unwrap();
        assert_eq!(stage(json!({"x": 1}), "1").1, 4);
    }

    #[test]
    fn remaining_time_is_scaled_to_this_machine() {
        let planned = [(Kind::Train, (3, 10.0)), (Kind::Judge, (5, 2.0))];
        let mut stages = Stages::new(Path::new(""), String::new(), planned.into());
        assert_eq!(stages.seconds_left(), 40.0);
        let record = Record {
            what: String::new(),
            inputs: Value::Null,
            files: BTreeMap::new(),
            seconds: 30.0,
            cpu_seconds: None,
        };
        stages.count(Kind::Train, &record, false);
        assert_eq!(stages.seconds_left(), 2.0 * 30.0 + 5.0 * 2.0 * 2.0);
    }

    #[test]
    fn a_failed_stage_is_not_cached() {
        let home = tempfile::tempdir().unwrap();
        let mut stages = Stages::new(home.path(), String::new(), BTreeMap::new());
        let mut run = |fails: bool| {
            stages.run(Kind::Train, "x, seed 1", json!({}), &["a"], |folder| {
                fs::write(folder.join("a"), "half")?;
                anyhow::ensure!(!fails, "out of luck");
                Ok(())
            })
        };
        let error = format!("{:#}", run(true).unwrap_err());
        assert_eq!(error, "train x, seed 1: out of luck");
        assert!(run(false).is_ok());
    }

    #[test]
    fn processor_time_is_counted_where_the_system_reports_it() {
        if !Path::new("/proc/self/stat").exists() {
            return;
        }
        let before = cpu_seconds().unwrap();
        let mut sum = 0u64;
        while cpu_seconds().unwrap() < before + 0.02 {
            sum = sum.wrapping_add(std::hint::black_box(1));
        }
        assert!(sum > 0);
    }
}
