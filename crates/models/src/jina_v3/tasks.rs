//! The task adapters of a folder.

use std::path::{Path, PathBuf};

use super::JinaV3Config;
use crate::config_file;
use crate::error::ModelError;
use crate::files;
use crate::lora::{ADAPTER_CONFIG, ADAPTER_MODEL};

/// The default task.
const DEFAULT_TASK: &str = "text-matching";
/// The name that selects the model without an adapter.
const NO_TASK: &str = "none";

/// The peft folders of the adapters in transformers' layout.
pub const TASK_FOLDERS: [&str; 5] = [
    "retrieval_query",
    "retrieval_passage",
    "separation",
    "classification",
    "text_matching",
];

/// Where the adapter of a task is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Adapter {
    /// In the checkpoint's stacked tensors.
    Stacked(Stack),
    /// In a peft folder.
    Peft(PathBuf),
}

/// The index of a task in stacked adapters, `[tasks, .., ..]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stack {
    pub(super) place: usize,
    pub(super) tasks: usize,
    pub(super) rank: usize,
    pub(super) scale: f64,
}

impl Adapter {
    /// The adapter of a task, with the task's name as the folder spells it. Without a name, that of
    /// the default task, or `None` if the folder has no adapters.
    ///
    /// # Errors
    /// If the folder has no adapter of that name.
    pub(crate) fn choose(
        folder: &Path,
        config: &JinaV3Config,
        task: Option<&str>,
    ) -> Result<Option<(String, Self)>, ModelError> {
        let stacked = config.lora_adaptations.clone().unwrap_or_default();
        let tasks = match stacked.is_empty() {
            false => stacked.clone(),
            true => TASK_FOLDERS
                .iter()
                .filter(|task| files::is_file(&folder.join(task).join(ADAPTER_CONFIG)))
                .map(|task| (*task).to_owned())
                .collect(),
        };
        let asked = match task {
            Some(NO_TASK) => return Ok(None),
            None if tasks.is_empty() => return Ok(None),
            Some(task) => task,
            None => DEFAULT_TASK,
        };
        let spelled = |task: &str| task.replace(['.', '-'], "_");
        let Some(place) = tasks
            .iter()
            .position(|task| spelled(task) == spelled(asked))
        else {
            let reason = match tasks.is_empty() {
                true => format!("the folder has no adapter for `{asked}` or any other task"),
                false => format!(
                    "the folder has no adapter for `{asked}`, only for {}; use `{NO_TASK}` for the model without one",
                    tasks.join(", ")
                ),
            };
            return Err(config_file::wrong(folder, "task", reason));
        };
        let adapter = match stacked.is_empty() {
            true => Self::Peft(folder.join(&tasks[place])),
            false => {
                let rank = config.lora_rank.unwrap_or(4);
                Self::Stacked(Stack {
                    place,
                    tasks: stacked.len(),
                    rank,
                    scale: config.lora_alpha.unwrap_or(1.0) / rank as f64,
                })
            }
        };
        Ok(Some((tasks[place].clone(), adapter)))
    }

    /// The files of the adapter other than the checkpoint.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Stacked(_) => Vec::new(),
            Self::Peft(folder) => [ADAPTER_CONFIG, ADAPTER_MODEL]
                .map(|file| folder.join(file))
                .to_vec(),
        }
    }
}
