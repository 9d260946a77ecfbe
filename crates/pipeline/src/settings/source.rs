//! Where a training run reads and writes.

use std::path::PathBuf;

use rarebit_train::METRICS;
use serde::{Deserialize, Serialize};

use crate::error::{Result, bail};
use crate::evaluation::CONFIG;
use crate::output::Places;

/// What a run starts from, learns from, and where it writes.
#[derive(clap::Args, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[command(next_help_heading = "Model and data")]
pub struct SourceSettings {
    /// The model to start from: a folder, an adapter's folder, or a Hugging Face id
    #[arg(
        long,
        value_name = "MODEL",
        default_value = "",
        hide_default_value = true
    )]
    pub model_name_or_path: String,
    /// The run folder
    #[arg(
        long,
        value_name = "DIR",
        default_value = ".",
        hide_default_value = true
    )]
    pub output_dir: PathBuf,
    /// A folder of `rarebit prepare`: trains on its train split, evaluates on its test split
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset_name: Option<PathBuf>,
    /// A file to train on, in any format that `rarebit prepare` reads: pairs, or responses for sft,
    /// kto and reward models
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_file: Option<PathBuf>,
    /// A file of the same kind to evaluate on
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eval_file: Option<PathBuf>,
}

impl SourceSettings {
    /// Keys that every configuration must set.
    pub(crate) const REQUIRED: [&str; 2] = ["model_name_or_path", "output_dir"];

    /// Whether there is exactly one place to learn from, and nothing is written over it.
    pub(crate) fn validate(&self) -> Result<()> {
        match (&self.dataset_name, &self.train_file) {
            (None, None) => bail!(
                "there is nothing to train on: give --dataset-name, a folder of `rarebit prepare`, or --train-file"
            ),
            (Some(_), Some(_)) => {
                bail!("`dataset_name` and `train_file` are both set: one of them is enough")
            }
            _ => Places::default()
                .reads(&self.train_file)
                .reads(&self.eval_file)
                .writes(
                    "--output-dir",
                    [CONFIG, METRICS].map(|name| self.output_dir.join(name)),
                )
                .check(),
        }
    }
}
