//! `rarebit reward score`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use rarebit_pipeline::model::reward::{RewardFormat, RewardModel};
use rarebit_pipeline::output::Places;
use rarebit_pipeline::scored::{read_rows, write_scored};

use crate::global::Global;

/// Score responses with a reward model
///
/// Reads samples of `rarebit generate`, and any other source that `rarebit prepare` reads. Writes the
/// same rows as JSONL with every column that they have and the rewards where their shape has scores:
/// `score`, in preference rows `score_chosen` and `score_rejected`, in grouped rows the list of
/// scores or each response's own. `prepare` and `evaluate` read these files, so a model's samples
/// can become preference pairs or a system to compare.
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
    Places::default()
        .reads(&args.files)
        .writes("--output", &places)
        .check()?;
    let read = args.files.iter().map(|file| read_rows(file));
    let read = read.collect::<Result<Vec<_>, _>>()?;
    let model = RewardModel::open(&args.model, args.reward_format, &global.session()?)?;
    for (mut rows, place) in read.into_iter().zip(places) {
        model.judge_groups(rows.iter_mut().map(|row| &mut row.group))?;
        write_scored(rows, &place)?;
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
