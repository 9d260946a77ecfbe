//! `rarebit reward evaluate`.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, ensure};
use rarebit_data::steps::transform::ScoreTransform;
use rarebit_eval::Bootstrap;
use rarebit_eval::evaluation::Interval;
use rarebit_eval::report::render_reward;
use rarebit_eval::reward::{Judged, RewardEvaluation, evaluate_reward};
use rarebit_pipeline::examples::scores::ScoreReading;
use rarebit_pipeline::model::reward::{RewardFormat, RewardModel};
use rarebit_pipeline::output::{self, Places};
use rarebit_pipeline::settings::named;

use crate::commands::counts::resamples;
use crate::global::Global;

/// Measure how well a reward model judges
///
/// Mean absolute error, Spearman's rank correlation over all responses and within a prompt, the
/// share of pairs of a prompt's responses that are put in the right order, and a calibration plot
/// (--html): on responses with scores, which are transformed as for training.
///
/// Example: rarebit reward evaluate runs/reward/model prepared/test/groups.parquet --html reward.html
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct EvaluateArgs {
    /// The reward model: a folder, an adapter's folder, or a Hugging Face id
    #[arg(value_name = "MODEL")]
    model: String,
    /// Responses with scores: groups.parquet, or any source that `rarebit prepare` reads
    #[arg(value_name = "FILE")]
    input: PathBuf,
    /// Write a page with the numbers and the calibration plot
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
    /// The column of scores [default: transformed_score where there is one, else score]
    #[arg(long, value_name = "NAME")]
    score_column: Option<String>,
    /// How scores that `rarebit prepare` has not transformed are mapped to [-1, 1]
    #[arg(long, default_value = "correct", value_parser = named::<ScoreTransform>(&["correct", "reference", "none"]))]
    score_transform: ScoreTransform,
    /// The lowest and the highest score of the data that the model learned from [default: those of
    /// FILE]
    #[arg(long, value_names = ["LOWEST", "HIGHEST"], num_args = 2, allow_negative_numbers = true)]
    score_range: Option<Vec<f64>>,
    /// How the model reads a prompt and a response
    #[arg(long, value_enum, default_value_t)]
    reward_format: RewardFormat,
    /// Bootstrap resamples
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = resamples())]
    resamples: u32,
    /// Seed of the bootstrap
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

pub(crate) fn run(args: &EvaluateArgs, global: &Global) -> anyhow::Result<()> {
    Places::default()
        .reads([&args.input])
        .writes("--html", &args.html)
        .check()?;
    let range = match args.score_range.as_deref() {
        Some(&[low, high]) => {
            ensure!(
                low < high,
                "--score-range {low} {high}: the lowest score comes first"
            );
            Some((low, high))
        }
        _ => None,
    };
    let reading = ScoreReading {
        column: args.score_column.clone(),
        transform: args.score_transform,
        range,
    };
    let session = global.session()?;
    let mut groups = reading.read(&args.input, &session.events)?.groups;
    let model = RewardModel::open(&args.model, args.reward_format, &session)?;
    let bootstrap = Bootstrap {
        resamples: args.resamples as usize,
        confidence: 0.95,
        seed: args.seed,
    };
    let evaluation = evaluate_reward(&model.judged(&mut groups)?, &bootstrap)
        .with_context(|| format!("{} holds no response with a score", args.input.display()))?;
    if let Some(path) = &args.html {
        let about = [
            ("model", model.name().to_owned()),
            ("responses", args.input.display().to_string()),
            ("rarebit", env!("CARGO_PKG_VERSION").to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value));
        let title = format!("Reward model {}", model.name());
        let page = render_reward(&title, &evaluation, &about);
        output::write_atomically(path, |file| Ok(file.write_all(page.as_bytes())?))?;
    }
    let mut out = io::stdout().lock();
    match args.json {
        true => writeln!(out, "{}", serde_json::to_string(&evaluation)?)?,
        false => table(&evaluation, &mut out)?,
    }
    Ok(())
}

/// What a person wants to know after training.
pub(super) fn summary(judged: &[Vec<Judged>], seed: u64) -> String {
    let bootstrap = Bootstrap {
        resamples: 0,
        confidence: 0.95,
        seed,
    };
    let Some(found) = evaluate_reward(judged, &bootstrap) else {
        return "no response was held out".to_owned();
    };
    let number = |found: Option<Interval>| {
        found.map_or_else(|| "none".to_owned(), |found| format!("{:.3}", found.mean))
    };
    format!(
        "on {} held-out responses: mean absolute error {:.3} ({:.3} by the median), Spearman {}, pair accuracy {}",
        found.responses,
        found.mae.mean,
        found.mae_of_median,
        number(found.spearman),
        number(found.pair_accuracy)
    )
}

fn table(found: &RewardEvaluation, out: &mut impl Write) -> io::Result<()> {
    let pairs = &found.pairs;
    let interval = |found: Option<&Interval>| {
        found.map_or_else(
            || "none".to_owned(),
            |it| format!("{:.3} [{:.3}, {:.3}]", it.mean, it.low, it.high),
        )
    };
    for (what, value) in [
        ("prompts", found.prompts.to_string()),
        ("responses", found.responses.to_string()),
        ("mean absolute error", interval(Some(&found.mae))),
        (
            "  of the median score",
            format!("{:.3}", found.mae_of_median),
        ),
        ("Spearman", interval(found.spearman.as_ref())),
        (
            "  within a prompt",
            interval(found.spearman_within_prompt.as_ref()),
        ),
        ("pair accuracy", interval(found.pair_accuracy.as_ref())),
        (
            "  pairs",
            (pairs.right + pairs.wrong + pairs.tied_rewards).to_string(),
        ),
    ] {
        writeln!(out, "{what:<24}{value}")?;
    }
    for bin in &found.calibration {
        writeln!(
            out,
            "reward {:>7.3}          score {:.3} [{:.3}, {:.3}]",
            bin.mean_reward, bin.mean_score, bin.low, bin.high
        )?;
    }
    Ok(())
}
