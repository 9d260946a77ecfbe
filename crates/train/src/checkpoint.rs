//! The state of a run on disk: a run may be killed at any moment and its last complete checkpoint
//! is still there.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use burn::optim::ModuleOptimizer;
use rarebit_models::ModelError;
use rarebit_models::NamedValues;
use rarebit_models::lora::Adaptable;
use rarebit_models::safetensors_file::{Precision, TensorFile, save};
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::plateau::Plateau;

const STATE: &str = "state.json";
const WEIGHTS: &str = "parameters.safetensors";
const OPTIMIZER: &str = "optimizer.burnpack";
const PREFIX: &str = "step-";
const PARTIAL: &str = "partial-";

/// The progress of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunState {
    /// Must match for the run to resume: see [`fingerprint`].
    pub(crate) fingerprint: String,
    /// Completed steps.
    pub(crate) step: u64,
    /// Steps since the last log line.
    pub(crate) pending_steps: u64,
    /// Sums of those steps' metrics.
    pub(crate) pending: BTreeMap<String, f64>,
    /// Tokens trained on so far.
    pub(crate) num_tokens: u64,
    /// Step and value of the lowest evaluation loss.
    pub(crate) best: Option<(u64, f64)>,
    /// Evaluations since then.
    pub(crate) evaluations_since_best: u64,
    /// State of `reduce_lr_on_plateau`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) plateau: Option<Plateau>,
    /// BLAKE3 hashes of the checkpoint's files by their names, of this one without its own hash; none
    /// in checkpoints of older versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) files: BTreeMap<String, String>,
}

impl RunState {
    /// The hash of everything but itself.
    fn own_hash(&self) -> serde_json::Result<String> {
        let mut rest = self.clone();
        rest.files.remove(STATE);
        let json = serde_json::to_vec(&rest)?;
        Ok(blake3::hash(&json).to_hex().to_string())
    }
}

/// A short hash of everything that a run's results depend on.
pub fn fingerprint(parts: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

/// The checkpoints of one run.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoints {
    folder: PathBuf,
}

impl Checkpoints {
    pub(crate) fn new(output_dir: &Path) -> Self {
        Self {
            folder: output_dir.join("checkpoints"),
        }
    }

    /// Fails if the checkpoints belong to another run. Damaged ones tell nothing.
    pub(crate) fn check(&self, fingerprint: &str) -> Result<(), TrainError> {
        for step in self.steps().into_iter().rev() {
            match self.read_state(step) {
                Ok(state) if state.fingerprint == fingerprint => return Ok(()),
                Ok(_) => {
                    return Err(TrainError::OtherRun {
                        path: self.path(step),
                        what: "the model, the data, the objective or a training argument",
                    });
                }
                Err(TrainError::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The state of the newest checkpoint whose files are as they were written. `on_damaged` hears of
    /// newer ones: which file, and what is wrong with it.
    pub(crate) fn newest(
        &self,
        on_damaged: &mut dyn FnMut(&Path, &str),
    ) -> Result<Option<RunState>, TrainError> {
        let mut damage = None;
        for step in self.steps().into_iter().rev() {
            match self.verified(step) {
                Ok(state) => return Ok(Some(state)),
                Err(TrainError::Damaged { path, reason }) => {
                    on_damaged(&path, &reason);
                    damage.get_or_insert((path, reason));
                }
                Err(error) => return Err(error),
            }
        }
        match damage {
            None => Ok(None),
            Some((path, reason)) => Err(TrainError::NoCheckpoint {
                folder: self.folder.clone(),
                path,
                reason,
            }),
        }
    }

    /// Fails if the checkpoint of the best model, which no other can stand in for, is damaged.
    pub(crate) fn verified_best(&self, step: u64) -> Result<(), TrainError> {
        match self.verified(step) {
            Err(TrainError::Damaged { path, reason }) => Err(TrainError::DamagedBest {
                folder: self.folder.clone(),
                path,
                reason,
            }),
            verified => verified.map(drop),
        }
    }

    /// The state of a checkpoint whose files are as they were written.
    fn verified(&self, step: u64) -> Result<RunState, TrainError> {
        let state = self.read_state(step)?;
        for (name, expected) in state.files.iter().filter(|(name, _)| *name != STATE) {
            let path = self.path(step).join(name);
            let found = hash(&path).map_err(|error| unread(&path, error))?;
            if found != *expected {
                return Err(changed(path));
            }
        }
        Ok(state)
    }

    pub(crate) fn path(&self, step: u64) -> PathBuf {
        self.folder.join(format!("{PREFIX}{step:08}"))
    }

    /// Writes a checkpoint to a temporary folder, then renames the folder.
    pub(crate) fn save(
        &self,
        state: &RunState,
        parameters: &NamedValues,
        optimizer: &ModuleOptimizer,
    ) -> Result<PathBuf, TrainError> {
        let path = self.path(state.step);
        let partial = self.folder.join(format!("{PARTIAL}{}", state.step));
        let written = clear(&partial)
            .and_then(|()| write(&partial, state, parameters, optimizer))
            .and_then(|()| clear(&path));
        if let Err(error) = written {
            // Half a checkpoint would only keep a full disk full; `error` is the one to report.
            let _ = clear(&partial);
            return Err(error);
        }
        fs::rename(&partial, &path).map_err(TrainError::write(&path))?;
        Ok(path)
    }

    /// The steps of all complete checkpoints, ascending.
    pub(crate) fn steps(&self) -> Vec<u64> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut steps: Vec<u64> = entries
            .filter_map(|entry| {
                entry
                    .file_name()
                    .to_str()?
                    .strip_prefix(PREFIX)?
                    .parse()
                    .ok()
            })
            .collect();
        steps.sort_unstable();
        steps
    }

    fn read_state(&self, step: u64) -> Result<RunState, TrainError> {
        let path = self.path(step).join(STATE);
        let bytes = fs::read(&path).map_err(|error| unread(&path, error))?;
        let damaged = |error: serde_json::Error| TrainError::Damaged {
            path: path.clone(),
            reason: error.to_string(),
        };
        let state: RunState = serde_json::from_slice(&bytes).map_err(damaged)?;
        let own = state.own_hash().map_err(damaged)?;
        let is_whole = state.files.is_empty() || state.files.get(STATE) == Some(&own);
        if !is_whole || state.step != step {
            return Err(changed(path));
        }
        Ok(state)
    }

    pub(crate) fn load_model<M: Adaptable>(&self, step: u64, model: M) -> Result<M, TrainError> {
        let file =
            TensorFile::open(self.path(step).join(WEIGHTS)).map_err(|error| match error {
                ModelError::DamagedWeights { path, reason } => TrainError::Damaged { path, reason },
                other => other.into(),
            })?;
        Ok(model.with_trained_tensors(&file)?)
    }

    pub(crate) fn load_optimizer(
        &self,
        step: u64,
        optimizer: ModuleOptimizer,
    ) -> Result<ModuleOptimizer, TrainError> {
        let path = self.path(step).join(OPTIMIZER);
        optimizer.load(&path).map_err(|error| TrainError::Damaged {
            path,
            reason: error.to_string(),
        })
    }

    /// Removes all checkpoints but the newest `limit` up to `step` and the best one: later ones are
    /// damaged, as the run would have resumed from them. Removes the incomplete ones of killed runs,
    /// too.
    pub(crate) fn prune(
        &self,
        step: u64,
        limit: usize,
        best: Option<u64>,
    ) -> Result<(), TrainError> {
        let (steps, damaged): (Vec<u64>, Vec<u64>) =
            self.steps().into_iter().partition(|it| *it <= step);
        let old = steps.len().saturating_sub(limit.max(1));
        let old = steps[..old].iter().filter(|step| Some(**step) != best);
        for &step in old.chain(&damaged) {
            clear(&self.path(step))?;
        }
        let entries = fs::read_dir(&self.folder).map_err(TrainError::read(&self.folder))?;
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
                clear(&entry.path())?;
            }
        }
        Ok(())
    }
}

/// Writes a checkpoint's files and syncs them to disk.
fn write(
    folder: &Path,
    state: &RunState,
    parameters: &NamedValues,
    optimizer: &ModuleOptimizer,
) -> Result<(), TrainError> {
    fs::create_dir_all(folder).map_err(TrainError::write(folder))?;
    save(
        &folder.join(WEIGHTS),
        parameters,
        Precision::F32,
        &BTreeMap::new(),
    )?;
    let file = folder.join(OPTIMIZER);
    optimizer.save(&file).map_err(|error| TrainError::File {
        action: "write",
        path: file,
        source: io::Error::other(error.to_string()),
    })?;
    let mut state = state.clone();
    state.files.clear();
    for name in [WEIGHTS, OPTIMIZER] {
        let file = folder.join(name);
        let hash = hash(&file).map_err(TrainError::read(&file))?;
        state.files.insert(name.to_owned(), hash);
    }
    let file = folder.join(STATE);
    let unwritten = |error: serde_json::Error| TrainError::File {
        action: "write",
        path: file.clone(),
        source: error.into(),
    };
    let own = state.own_hash().map_err(unwritten)?;
    state.files.insert(STATE.to_owned(), own);
    let json = serde_json::to_vec_pretty(&state).map_err(unwritten)?;
    fs::write(&file, json).map_err(TrainError::write(&file))?;
    for entry in fs::read_dir(folder)
        .map_err(TrainError::read(folder))?
        .flatten()
    {
        fs::File::open(entry.path())
            .and_then(|file| file.sync_all())
            .map_err(TrainError::write(&entry.path()))?;
    }
    Ok(())
}

fn hash(file: &Path) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(fs::File::open(file)?)?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// A checkpoint without one of its files is damaged, as one that was cut off.
fn unread(path: &Path, error: io::Error) -> TrainError {
    match error.kind() {
        io::ErrorKind::NotFound => TrainError::Damaged {
            path: path.to_owned(),
            reason: "it is missing".to_owned(),
        },
        _ => TrainError::read(path)(error),
    }
}

fn changed(path: PathBuf) -> TrainError {
    TrainError::Damaged {
        path,
        reason: "it is not as it was written".to_owned(),
    }
}

/// Removes a folder if it exists.
fn clear(folder: &Path) -> Result<(), TrainError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(TrainError::write(folder)(error))
        }
        _ => Ok(()),
    }
}
