//! `rarebit evaluate`: how good and how different the responses of one or several systems are.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rarebit_data::{SourceOptions, read_samples};
use rarebit_eval::evaluation::{Histogram, Interval};
use rarebit_eval::{
    EvalOptions, Evaluation, Mode, SampleRow, SystemSamples, Thresholds, evaluate, evaluation_csv,
};

use super::Global;
use crate::embedder::DEFAULT_SEMANTIC;
use crate::reward::{RewardFormat, RewardModel};
use crate::{output, progress};

/// Measure how good and how different responses are
///
/// Takes one file of responses per system, as `rarebit generate` writes them or in any shape that
/// `rarebit prepare` reads. Measures semantic and style diversity, Vendi scores, distinct responses
/// and their utility, diversity among good responses, n-grams, self-BLEU, compression, ROUGE-L,
/// repeats, length, how distances are spread, and quality, with bootstrap intervals over prompts
/// and paired differences to a baseline. Quality is the mean of the responses' scores, or with
/// --reward-model of its rewards.
///
/// Systems named MODEL@SETTING, such as ddpo@t0.7 and ddpo@t1.3, are settings of one model: models
/// are then compared at equal quality, too, so that a gain is seen to be more than hotter sampling.
/// `rarebit sweep` makes them. People are a system like any other: gold=groups.parquet.
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
    #[command(flatten)]
    measures: MeasureArgs,
    /// The column of a response's quality
    #[arg(long, value_name = "NAME", default_value = "score")]
    score_column: String,
}

/// How responses are measured
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct MeasureArgs {
    /// Embedder of what is told; takes what `prepare --semantic` takes
    #[arg(long, value_name = "EMBEDDER", default_value = DEFAULT_SEMANTIC)]
    semantic: String,
    /// Embedder of how it is told
    #[arg(long, value_name = "EMBEDDER", default_value = "builtin:style")]
    style: String,
    /// The system that the others are compared with [default: the first]
    #[arg(long, value_name = "NAME")]
    pub(crate) baseline: Option<String>,
    /// Measure so many responses of each prompt, drawn by the seed, so that systems with more of
    /// them (such as people) are comparable; prompts with fewer are left out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    responses: Option<u32>,
    /// Bootstrap resamples
    #[arg(long, default_value_t = 10_000)]
    resamples: usize,
    /// Decides what is drawn
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    /// Compute compression ratio, ROUGE-L and n-grams as the paper's reference code does
    #[arg(long)]
    reference_compat: bool,
    /// Semantic distance up to which two responses count as one. The default suits
    /// all-MiniLM-L6-v2; other embedders need another
    #[arg(long, value_name = "DISTANCE", default_value_t = Thresholds::default().distinct)]
    distinct_threshold: f64,
    /// Score from which on a response is good [default: the median of the baseline's scores]
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    quality_threshold: Option<f64>,
    /// Let a reward model judge quality: a folder or Hugging Face id of a LLaMA with
    /// sequence-classification head and one label. Its rewards replace all scores, so that every
    /// system is judged alike
    #[arg(long, value_name = "MODEL")]
    pub(crate) reward_model: Option<String>,
    /// How the reward model reads a prompt and a response
    #[arg(long, value_enum, default_value_t, requires = "reward_model")]
    reward_format: RewardFormat,
}

pub(crate) fn run(args: EvaluateArgs, global: &Global) -> anyhow::Result<()> {
    let systems = args
        .systems
        .iter()
        .map(|argument| {
            let (name, file) = split(argument);
            read_system(&name, &file, &args.score_column)
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let evaluation = args.measures.evaluate(systems, global)?;
    write(&evaluation, &args.output, args.csv.as_deref())?;
    let mut out = io::stdout().lock();
    match args.json {
        true => writeln!(out, "{}", serde_json::to_string(&evaluation)?)?,
        false => table(&evaluation, &mut out)?,
    }
    Ok(())
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
                system.draw(responses as usize, self.seed);
            }
        }
        let judge = match &self.reward_model {
            Some(name) => {
                let device = global.open_device()?;
                Some(RewardModel::open(name, self.reward_format, &device)?)
            }
            None => None,
        };
        let (semantic, style) = (
            global.embedder(&self.semantic)?,
            global.embedder(&self.style)?,
        );
        if let Some(judge) = &judge {
            judge.judge(&mut systems)?;
        }
        let options = EvalOptions {
            seed: self.seed,
            resamples: self.resamples,
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
pub(crate) fn table(evaluation: &Evaluation, out: &mut impl Write) -> io::Result<()> {
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
    for (kind, label) in [
        ("semantic", "Semantic distances"),
        ("style", "Style distances"),
    ] {
        let systems = &evaluation.systems;
        let histograms = systems.iter().map(|system| system.histograms.get(kind));
        let bins = histograms.clone().flatten().map(|it| it.bins.len()).max();
        // The last bin that any system has says how far the scale goes.
        let Some(bins) = bins.filter(|bins| *bins > 0) else {
            continue;
        };
        write!(out, "{label:label_width$}")?;
        for histogram in histograms {
            let cell = histogram.map_or_else(String::new, |it| bars(it, bins));
            write!(out, "  {cell:>24}")?;
        }
        writeln!(out)?;
    }
    for it in &evaluation.equal_quality {
        // The mean over all levels; the levels are in the file and the report.
        if it.level.is_none() {
            let metric = evaluation.metrics.iter().find(|one| one.name == it.metric);
            writeln!(
                out,
                "{} of {} at {}'s quality: {:+.3} [{:+.3}, {:+.3}], p {:.3}",
                metric.map_or(&*it.metric, |metric| &*metric.label),
                it.family,
                it.baseline,
                it.difference.mean,
                it.difference.low,
                it.difference.high,
                it.p
            )?;
        }
    }
    Ok(())
}

/// A histogram in a line, from distance 0 to the end of bin `bins`: `0 ▁▃█▂ 0.4`.
fn bars(histogram: &Histogram, bins: usize) -> String {
    const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    /// As many as stand in a cell of the table beside the ends of the scale.
    const COLUMNS: usize = 18;
    let each = bins.div_ceil(COLUMNS);
    let share = |column: &[Interval]| column.iter().map(|bin| bin.mean).sum::<f64>();
    let shares: Vec<f64> = histogram.bins.chunks(each).map(share).collect();
    let highest = shares.iter().copied().fold(0.0, f64::max);
    let bar = |share: &f64| match highest > 0.0 {
        // Whatever is there is seen.
        true => BARS[(share / highest * 8.0).ceil() as usize],
        false => ' ',
    };
    let drawn: String = shares.iter().map(bar).collect();
    let columns = bins.div_ceil(each);
    let end = bins as f64 * histogram.width;
    format!("0 {drawn:columns$} {end:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_fits_into_a_cell() {
        let bin = |mean| Interval {
            mean,
            low: mean,
            high: mean,
            prompts: 1,
        };
        let histogram = |shares: &[f64]| Histogram {
            width: 0.05,
            bins: shares.iter().map(|share| bin(*share)).collect(),
        };
        assert_eq!(bars(&histogram(&[0.5, 0.25, 0.0, 0.01]), 6), "0 █▄ ▁   0.3");
        let wide = bars(&histogram(&[0.025; 36]), 36);
        assert_eq!(wide, "0 ██████████████████ 1.8");
        assert_eq!(bars(&histogram(&[]), 2), "0    0.1");
    }
}
