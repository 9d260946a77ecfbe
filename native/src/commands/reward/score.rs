//! `rarebit reward score`.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use rarebit_data::{Group, SourceOptions, Text, read_samples};
use serde_json::json;

use crate::commands::Global;
use crate::output;
use crate::reward::{RewardFormat, RewardModel};

/// Give responses a reward model's rewards as their `score`
///
/// Reads samples of `rarebit generate`, and any other source that `rarebit prepare` reads. Writes
/// rows {prompt_id, prompt, sample, response, score}, which `prepare` and `evaluate` read: what a
/// model wrote becomes preference pairs, or a system to compare.
///
/// Example: rarebit reward score runs/reward/model samples.jsonl --output scored.jsonl
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ScoreArgs {
    /// The reward model: a folder, an adapter's folder, or a Hugging Face id
    #[arg(value_name = "MODEL")]
    model: String,
    /// Files of responses
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The file to write; for several files, the folder for files of their names
    #[arg(long, short, value_name = "PATH")]
    output: PathBuf,
    /// How the model reads a prompt and a response
    #[arg(long, value_enum, default_value_t)]
    reward_format: RewardFormat,
}

pub(crate) fn run(args: &ScoreArgs, global: &Global) -> anyhow::Result<()> {
    let places = args.places()?;
    let mut read = Vec::new();
    for file in &args.files {
        let groups =
            read_samples(file, &SourceOptions::default())?.collect::<Result<Vec<Group>, _>>()?;
        ensure!(!groups.is_empty(), "{} holds no responses", file.display());
        read.push(groups);
    }
    let model = RewardModel::open(&args.model, args.reward_format, &global.open_device()?)?;
    for (mut groups, place) in read.into_iter().zip(places) {
        model.judge_groups(&mut groups)?;
        write_scored(&groups, &place)?;
        writeln!(std::io::stdout(), "{}", place.display())?;
    }
    Ok(())
}

impl ScoreArgs {
    /// Where each file's rows go.
    fn places(&self) -> anyhow::Result<Vec<PathBuf>> {
        if self.files.len() == 1 && !self.output.is_dir() {
            return Ok(vec![self.output.clone()]);
        }
        let mut places = Vec::new();
        for file in &self.files {
            let stem = file
                .file_stem()
                .with_context(|| format!("{} is no file", file.display()))?;
            let place = self.output.join(stem).with_extension("jsonl");
            ensure!(
                !places.contains(&place),
                "two files would be written to {}: score them one by one",
                place.display()
            );
            places.push(place);
        }
        Ok(places)
    }
}

/// Writes responses with their scores, a row each.
pub(crate) fn write_scored(groups: &[Group], path: &Path) -> anyhow::Result<()> {
    output::write_atomically(path, |file| {
        for group in groups {
            for response in &group.responses {
                let text: Text = response.beside(&group.prompt);
                let row = json!({
                    "prompt_id": group.id,
                    "prompt": group.prompt,
                    "sample": response.id,
                    "response": text,
                    "score": response.score,
                });
                writeln!(file, "{row}")?;
            }
        }
        Ok(())
    })
}
