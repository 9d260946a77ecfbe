//! `rarebit prepare`: from any source of responses to weighted preference pairs.

use std::io::{self, Write};
use std::path::PathBuf;

use rarebit_data::output::Compression;
use rarebit_data::steps::clean::CleanOptions;
use rarebit_data::steps::divpo::DivpoOptions;
use rarebit_data::steps::given::Contradicting;
use rarebit_data::steps::pairs::PairOptions;
use rarebit_data::steps::surprise::SurpriseModel;
use rarebit_data::steps::transform::ScoreTransform;
use rarebit_data::steps::weigh::DeviationOver;
use rarebit_data::{Pairing, PrepareOptions, Summary, prepared_files};
use rarebit_pipeline::output::Places;
use rarebit_pipeline::settings::named;
use rarebit_pipeline::{Preparation, TokenCounter, prepare};

use super::source_args::{SourceArgs, WeightingArgs};
use crate::event_view;
use crate::global::Global;

/// Turn responses with scores into weighted preference pairs
///
/// Reads JSONL (plain, .gz, .zst), CSV or Parquet in any of these layouts, recognised by column:
/// {post_title, post_text, comment_texts, comment_scores}, {prompt, responses: [{text, score}]},
/// {prompt, response, score}, {prompt, completion}, {prompt, generations, generation_scores},
/// {messages}, and preference rows {prompt?, chosen, rejected}. A prompt or response may be a list of
/// messages: conversations stay conversations.
///
/// Writes OUTPUT/{train,test}/{groups,pairs}.parquet and OUTPUT/summary.json. The same input,
/// options and seed give the same bytes.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct PrepareArgs {
    /// The source of responses
    #[arg(value_name = "FILE")]
    input: PathBuf,
    /// The folder to write
    #[arg(long, short, value_name = "DIR", default_value = "prepared")]
    output: PathBuf,
    /// Seed of the split and of the drawn pairs
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// The share of prompts to hold out
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    test_size: f64,
    /// How scores are scaled for reward models. correct: log(x + 1), applied a hundred times and
    /// mapped to [-1, 1]; reference: the same with the reference code's error; none: unchanged
    #[arg(long, default_value = "correct", value_parser = named::<ScoreTransform>(&["correct", "reference", "none"]))]
    score_transform: ScoreTransform,
    /// How Parquet is compressed
    #[arg(long, default_value = "zstd", value_parser = named::<Compression>(&["zstd", "snappy", "none"]))]
    compression: Compression,
    /// Write each table as JSONL, too
    #[arg(long)]
    jsonl: bool,
    #[command(flatten)]
    cleaning: CleaningArgs,
    #[command(flatten)]
    pairing: PairingArgs,
    /// Measure deviation over all kept responses of a prompt, or, as the reference code does, only
    /// over those that are in a pair
    #[arg(long, help_heading = "Deviation and weights", default_value = "all", value_parser = named::<DeviationOver>(&["all", "paired"]))]
    deviation_over: DeviationOver,
    #[command(flatten)]
    weighting: WeightingArgs,
    #[command(flatten, next_help_heading = "Reading")]
    source: SourceArgs,
}

/// What is dropped
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Cleaning")]
struct CleaningArgs {
    /// Keep a leading [..] tag in the titles of posts
    #[arg(long)]
    keep_tag: bool,
    /// Keep the comments of moderators and bots
    #[arg(long)]
    keep_moderator: bool,
    /// Drop responses that have more tokens than this, counted with prompt and chat template;
    /// needs --tokenizer
    #[arg(long, value_name = "N", default_value_t = 2048)]
    max_tokens: usize,
    /// The model folder whose tokenizer and chat template count tokens
    #[arg(long, value_name = "DIR")]
    tokenizer: Option<PathBuf>,
    /// Keep only the first of exactly repeated responses to a prompt
    #[arg(long)]
    dedup: bool,
}

/// Which responses meet
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Pairs")]
struct PairingArgs {
    /// By score: better-scored against worse-scored responses. DivPO: the most deviating of the best
    /// against the least deviating of the worst, to train with DPO
    #[arg(long, value_enum, default_value_t)]
    pairs: PairsBy,
    /// divpo: the share of a prompt's responses that count as the best, and as the worst; at least
    /// --max-pairs and at most half of the responses
    #[arg(long, value_name = "SHARE", default_value_t = DivpoOptions::default().rho)]
    rho: f64,
    /// Prefer pairs whose scores are at least this far apart, each response used once; -1 takes
    /// every pair of different scores
    #[arg(long, default_value_t = 5.0, allow_negative_numbers = true)]
    gap: f64,
    /// The most pairs per prompt that are drawn with --gap -1
    #[arg(long, value_name = "N", default_value_t = 100)]
    all_pairs_cap: usize,
    /// The most pairs to keep per prompt [default: all; divpo: 2]
    #[arg(long, value_name = "N")]
    max_pairs: Option<usize>,
    /// What to do with given pairs whose chosen response has the lower score: keep them, drop them
    /// or swap their sides. They are counted in any case
    #[arg(long, default_value = "keep", value_parser = named::<Contradicting>(&["keep", "drop", "swap"]))]
    contradicting: Contradicting,
    /// Keep the pairs with the best-scored chosen response first
    #[arg(long)]
    best_first: bool,
    /// The most words by which the two responses of a pair may differ in length
    #[arg(long, value_name = "WORDS")]
    max_length_difference: Option<usize>,
}

/// How pairs are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum PairsBy {
    #[default]
    Score,
    Divpo,
}

impl PairingArgs {
    fn pairing(&self) -> Pairing {
        match self.pairs {
            PairsBy::Score => Pairing::Score(PairOptions {
                gap: self.gap,
                all_pairs_cap: self.all_pairs_cap,
                max_pairs: self.max_pairs,
                best_first: self.best_first,
                max_length_difference: self.max_length_difference,
            }),
            PairsBy::Divpo => Pairing::Divpo(DivpoOptions {
                rho: self.rho,
                max_pairs: self.max_pairs.unwrap_or(DivpoOptions::default().max_pairs),
                max_length_difference: self.max_length_difference,
            }),
        }
    }
}

impl PrepareArgs {
    fn options(&self) -> PrepareOptions {
        PrepareOptions {
            seed: self.seed,
            test_size: self.test_size,
            source: self
                .source
                .options(!self.cleaning.keep_tag, Some(&self.output)),
            score_transform: self.score_transform,
            clean: CleanOptions {
                drop_moderator: !self.cleaning.keep_moderator,
                max_tokens: self.cleaning.max_tokens,
                dedup: self.cleaning.dedup,
            },
            pairs: self.pairing.pairing(),
            contradicting: self.pairing.contradicting,
            deviation: self.weighting.measure(),
            deviation_over: self.deviation_over,
            weighting: self.weighting.weighting(),
            compression: self.compression,
            jsonl: self.jsonl,
        }
    }
}

/// Prepares, says on standard error what was kept and dropped, and prints the summary's path.
pub(crate) fn run(args: PrepareArgs, global: &Global) -> anyhow::Result<()> {
    Places::default()
        .reads([&args.input])
        .reads(args.weighting.files())
        .writes("--output", prepared_files(&args.output, &args.options()))
        .check()?;
    let embedders = args.weighting.embedders(global)?;
    let surprise = args.weighting.surprise(global)?;
    let counter = args
        .cleaning
        .tokenizer
        .as_deref()
        .map(TokenCounter::read)
        .transpose()?;
    let preparation = Preparation {
        options: args.options(),
        embedders: embedders.as_ref(),
        surprise: surprise.as_ref().map(|model| model as &dyn SurpriseModel),
        counter: counter.as_ref(),
    };
    let summary = prepare(
        &args.input,
        &args.output,
        &preparation,
        &event_view::events(),
    )?;
    describe(&summary, &mut io::stderr().lock())?;
    writeln!(
        io::stdout(),
        "{}",
        args.output.join("summary.json").display()
    )?;
    Ok(())
}

/// What a person wants to know at once; the file has the rest.
fn describe(summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    let (source, prompts) = (&summary.source, &summary.prompts);
    writeln!(
        out,
        "read       {} rows, {} prompts, {} responses",
        source.rows, prompts.read, source.responses
    )?;
    writeln!(out, "           {}", source.reading)?;
    for (reason, rows) in &source.skipped_rows {
        writeln!(
            out,
            "skipped    {} rows: {}, first at {}",
            rows.count,
            reason.as_str(),
            rows.first
        )?;
    }
    for (reason, count) in &summary.dropped_responses {
        writeln!(out, "dropped    {count} responses: {}", reason.as_str())?;
    }
    if let Some(note) = summary.given_pairs.and_then(|counts| counts.note()) {
        writeln!(out, "pairs      {note}")?;
    }
    for (count, what) in [
        (prompts.emptied, "with no response left"),
        (prompts.alone, "with one response: weight 1"),
        (prompts.all_tied, "whose scores are all equal"),
        (prompts.all_repeats, "whose responses are all one text"),
        (prompts.without_scores, "with fewer than two scores"),
        (prompts.without_pairs, "without a pair"),
    ] {
        if count > 0 {
            writeln!(out, "prompts    {count} {what}")?;
        }
    }
    if summary.repeated_responses > 0 {
        writeln!(
            out,
            "repeats    {} responses repeat an earlier one; --dedup drops them",
            summary.repeated_responses
        )?;
    }
    for (split, side) in &summary.splits {
        write!(
            out,
            "{:<10} {} prompts, {} responses, {} pairs",
            split.as_str(),
            side.prompts,
            side.responses,
            side.pairs
        )?;
        if let (Some(mean), Some(zero)) = (side.mean_weight_chosen, side.zero_weight_chosen) {
            write!(
                out,
                ", mean weight of chosen {mean:.3}, {:.1} % of them 0",
                zero * 100.0
            )?;
        }
        writeln!(out)?;
    }
    Ok(())
}
