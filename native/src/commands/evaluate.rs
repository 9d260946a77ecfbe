//! `rarebit evaluate`: how good and how different the responses of one or several systems are.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rarebit_data::{SourceOptions, read_samples};
use rarebit_eval::{
    EvalOptions, Evaluation, Mode, SampleRow, SystemSamples, evaluate, evaluation_csv,
};

use super::Global;
use crate::embedder::DEFAULT_SEMANTIC;
use crate::reward::{RewardFormat, RewardModel};
use crate::{output, progress};

/// Measure how good and how different responses are
///
/// Takes one file of responses per system, as `rarebit generate` writes them or in any shape that
/// `rarebit prepare` reads. Measures semantic and style diversity, n-grams, compression, ROUGE-L,
/// repeats, length, and quality, with bootstrap intervals over prompts and paired differences to a
/// baseline. Quality is the mean of the responses' scores, or with --reward-model of its rewards.
///
/// Example: rarebit evaluate dpo=dpo.jsonl ddpo=ddpo.jsonl --baseline dpo
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct EvaluateArgs {
    /// A system's responses, as NAME=FILE or FILE
    #[arg(value_name = "NAME=FILE", required = true)]
    systems: Vec<String>,
    /// Where to write the evaluation
    #[arg(long, short, value_name = "FILE", default_value = "evaluation.json")]
    output: PathBuf,
    /// Write the table of metrics as CSV, too
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Print the evaluation as JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Embedder of what is told
    #[arg(long, value_name = "EMBEDDER", default_value = DEFAULT_SEMANTIC)]
    semantic: String,
    /// Embedder of how it is told
    #[arg(long, value_name = "EMBEDDER", default_value = "builtin:style")]
    style: String,
    /// The system that the others are compared with [default: the first]
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
    /// Bootstrap resamples
    #[arg(long, default_value_t = 10_000)]
    resamples: usize,
    /// Decides the resamples
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Compute compression ratio and ROUGE-L as the paper's reference code does
    #[arg(long)]
    reference_compat: bool,
    /// The column of a response's quality
    #[arg(long, value_name = "NAME", default_value = "score")]
    score_column: String,
    /// Let a reward model judge quality: a folder or Hugging Face id of a LLaMA with
    /// sequence-classification head and one label. Its rewards replace all scores, so that every
    /// system is judged alike
    #[arg(long, value_name = "MODEL")]
    reward_model: Option<String>,
    /// How the reward model reads a prompt and a response
    #[arg(long, value_enum, default_value_t, requires = "reward_model")]
    reward_format: RewardFormat,
}

pub(crate) fn run(args: EvaluateArgs, global: &Global) -> anyhow::Result<()> {
    let mut systems = args
        .systems
        .iter()
        .map(|argument| {
            let (name, file) = split(argument);
            read_system(&name, &file, &args.score_column)
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let judge = match &args.reward_model {
        Some(name) => {
            let device = global.open_device()?;
            Some(RewardModel::open(name, args.reward_format, &device)?)
        }
        None => None,
    };
    let (semantic, style) = (
        global.embedder(&args.semantic)?,
        global.embedder(&args.style)?,
    );
    if let Some(judge) = &judge {
        judge.judge(&mut systems)?;
    }
    let options = EvalOptions {
        seed: args.seed,
        resamples: args.resamples,
        mode: if args.reference_compat {
            Mode::ReferenceCompat
        } else {
            Mode::Correct
        },
        baseline: args.baseline,
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
    write(&evaluation, &args.output, args.csv.as_deref())?;
    let mut out = io::stdout().lock();
    match args.json {
        true => writeln!(out, "{}", serde_json::to_string(&evaluation)?)?,
        false => table(&evaluation, &mut out)?,
    }
    Ok(())
}

/// `NAME=FILE`, or a file named by its own stem.
fn split(argument: &str) -> (String, PathBuf) {
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

/// Reads the responses of one system.
pub(crate) fn read_system(
    name: &str,
    path: &Path,
    score_column: &str,
) -> anyhow::Result<SystemSamples> {
    let mut options = SourceOptions::default();
    options.columns.score = score_column.to_owned();
    let mut rows = Vec::new();
    for group in read_samples(path, &options)? {
        let group = group?;
        for (sample, response) in group.responses.into_iter().enumerate() {
            rows.push(SampleRow {
                prompt_id: group.id.clone(),
                prompt: group.prompt.to_string(),
                sample: sample as u32,
                response: response.text,
                score: response.score,
            });
        }
    }
    Ok(SystemSamples::from_rows(
        name,
        &path.display().to_string(),
        rows,
    )?)
}

/// Writes the evaluation, and its table if asked for.
pub(crate) fn write(
    evaluation: &Evaluation,
    path: &Path,
    csv: Option<&Path>,
) -> anyhow::Result<()> {
    output::write_atomically(path, |file| Ok(serde_json::to_writer(file, evaluation)?))?;
    if let Some(csv) = csv {
        output::write_atomically(csv, |file| {
            Ok(file.write_all(evaluation_csv(evaluation).as_bytes())?)
        })?;
    }
    Ok(())
}

/// Systems as columns, metrics as rows.
fn table(evaluation: &Evaluation, out: &mut impl Write) -> io::Result<()> {
    let label_width = evaluation
        .metrics
        .iter()
        .map(|metric| metric.label.chars().count())
        .max()
        .unwrap_or(0);
    write!(out, "{:label_width$}", "")?;
    for system in &evaluation.systems {
        write!(out, "  {:>24}", system.name)?;
    }
    writeln!(out)?;
    for metric in &evaluation.metrics {
        write!(out, "{:label_width$}", metric.label)?;
        for system in &evaluation.systems {
            let cell = system
                .metrics
                .get(&metric.name)
                .map_or_else(String::new, |interval| {
                    format!(
                        "{:.3} [{:.3}, {:.3}]",
                        interval.mean, interval.low, interval.high
                    )
                });
            write!(out, "  {cell:>24}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}
