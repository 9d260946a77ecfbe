//! The state of a run on disk: a run may be killed at any moment and its last complete checkpoint
//! is still there.

use std::collections::BTreeMap;
use std::fs;
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

    /// Fails if the checkpoints belong to another run.
    pub(crate) fn check(&self, fingerprint: &str) -> Result<(), TrainError> {
        let Some(&step) = self.steps().last() else {
            return Ok(());
        };
        if self.read_state(step)?.fingerprint == fingerprint {
            return Ok(());
        }
        Err(TrainError::OtherRun {
            path: self.path(step),
            what: "the model, the data, the objective or a training argument",
        })
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

    pub(crate) fn read_state(&self, step: u64) -> Result<RunState, TrainError> {
        let path = self.path(step).join(STATE);
        let bytes = fs::read(&path).map_err(TrainError::read(&path))?;
        serde_json::from_slice(&bytes).map_err(|error| TrainError::Damaged {
            path,
            reason: error.to_string(),
        })
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

    /// Removes all checkpoints but the newest `limit` and the best one, and the incomplete ones of
    /// killed runs.
    pub(crate) fn prune(&self, limit: usize, best: Option<u64>) -> Result<(), TrainError> {
        let steps = self.steps();
        let old = steps.len().saturating_sub(limit.max(1));
        for &step in steps[..old].iter().filter(|step| Some(**step) != best) {
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
        source: std::io::Error::other(error.to_string()),
    })?;
    let file = folder.join(STATE);
    let json = serde_json::to_vec_pretty(state).map_err(|error| TrainError::Damaged {
        path: file.clone(),
        reason: error.to_string(),
    })?;
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

/// Removes a folder if it exists.
fn clear(folder: &Path) -> Result<(), TrainError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(TrainError::write(folder)(error))
        }
        _ => Ok(()),
    }
}
