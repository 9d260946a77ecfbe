//! Arguments shared by the commands that measure responses.

use std::path::PathBuf;

use anyhow::ensure;
use rarebit_eval::{EvalOptions, Evaluation, Mode, SystemSamples, Thresholds, evaluate};
use rarebit_pipeline::model::reward::{RewardFormat, RewardModel};
use rarebit_pipeline::settings::embedders::EmbedderSettings;

use super::counts::resamples;
use crate::global::Global;
use crate::progress;

/// How responses are measured
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct MeasureArgs {
    #[command(flatten)]
    pub(crate) embedders: EmbedderSettings,
    /// The system that the others are compared with [default: the first]
    #[arg(long, value_name = "NAME")]
    pub(crate) baseline: Option<String>,
    /// Measure only this many responses per prompt, drawn with the seed, so that systems with
    /// different numbers (such as people) are comparable; prompts with fewer are left out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    responses: Option<u32>,
    /// Bootstrap resamples
    #[arg(long, default_value_t = 10_000, value_parser = resamples())]
    resamples: u32,
    /// Seed of the drawn responses and of the bootstrap
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    /// Compute compression ratio, ROUGE-L and n-grams as the paper's reference code does
    #[arg(long)]
    reference_compat: bool,
    /// Semantic distance up to which two responses count as one. The default suits
    /// all-MiniLM-L6-v2; other embedders need another
    #[arg(long, value_name = "DISTANCE", default_value_t = Thresholds::default().distinct)]
    distinct_threshold: f64,
    /// Lowest score of a good response [default: the median of the baseline's scores]
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    quality_threshold: Option<f64>,
    /// Let a reward model judge quality: a folder, an adapter's folder or a Hugging Face id, with a
    /// sequence-classification head and one label. Its rewards replace all scores, so every system is
    /// judged by the same model
    #[arg(long, value_name = "MODEL")]
    pub(crate) reward_model: Option<String>,
    /// How the reward model reads a prompt and a response
    #[arg(long, value_enum, default_value_t, requires = "reward_model")]
    reward_format: RewardFormat,
}

impl MeasureArgs {
    /// Judges the systems, if a reward model is to, and measures them.
    pub(crate) fn evaluate(
        &self,
        mut systems: Vec<SystemSamples>,
        global: &Global,
    ) -> anyhow::Result<Evaluation> {
        if let Some(responses) = self.responses {
            for system in &mut systems {
                let counts = system.prompts.iter().map(|it| it.responses.len());
                let most = counts.max().unwrap_or(0);
                ensure!(
                    responses as usize <= most,
                    "--responses {responses}: no prompt of {} has so many, {most} is the most; give a lower number",
                    system.name
                );
                system.draw(responses as usize, self.seed);
            }
        }
        let judge = match &self.reward_model {
            Some(name) => {
                let session = global.session()?;
                Some(RewardModel::open(name, self.reward_format, &session)?)
            }
            None => None,
        };
        let (semantic, style) = (
            global.embedder(&self.embedders.semantic)?,
            global.embedder(&self.embedders.style)?,
        );
        if let Some(judge) = &judge {
            judge.judge(&mut systems)?;
        }
        let options = EvalOptions {
            seed: self.seed,
            resamples: self.resamples as usize,
            mode: if self.reference_compat {
                Mode::ReferenceCompat
            } else {
                Mode::Correct
            },
            baseline: self.baseline.clone(),
            thresholds: Thresholds {
                distinct: self.distinct_threshold,
                quality: self.quality_threshold,
            },
            ..EvalOptions::default()
        };
        let total: usize = systems.iter().map(|system| system.prompts.len()).sum();
        let bar = progress::bar(total as u64, "measuring");
        let mut before = (String::new(), 0, 0);
        let mut evaluation = evaluate(
            &systems,
            semantic.as_ref(),
            style.as_ref(),
            &options,
            &mut |step| {
                if before.0 != step.system {
                    before = (step.system.to_owned(), before.1 + before.2, step.total);
                }
                bar.set_position((before.1 + step.done) as u64);
            },
        )?;
        drop(bar);
        if let Some(judge) = &judge {
            let quality = evaluation.metrics.iter_mut();
            for metric in quality.filter(|metric| metric.name == "quality") {
                metric.source = format!("mean reward of {}", judge.name());
            }
        }
        Ok(evaluation)
    }
}

/// `NAME=FILE`, or a file named by its own stem.
pub(crate) fn split(argument: &str) -> (String, PathBuf) {
    match argument.split_once('=') {
        Some((name, file)) if !name.is_empty() => (name.to_owned(), PathBuf::from(file)),
        _ => {
            let path = PathBuf::from(argument);
            let stem = path.file_stem().map_or_else(
                || argument.to_owned(),
                |stem| stem.to_string_lossy().into_owned(),
            );
            (stem, path)
        }
    }
}
