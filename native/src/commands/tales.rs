//! `rarebit tales`: the demo's world with known truth, as files.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::ensure;
use rarebit_pipeline::output::Places;
use rarebit_tales::{Reading, Split, World, mode_coverage};

use crate::tale_world::files::{readings, write_groups, write_judged};
use crate::tale_world::untrained::{Shape, write_untrained};

/// Write, judge and learn from the demo's world of tales, whose truth is known
///
/// Tales have a plot and a voice drawn from a skewed distribution and a quality that is independent
/// of both; votes are heavy-tailed. An oracle reads plot, voice and quality back from any text.
#[derive(clap::Subcommand, Clone, Debug)]
pub(crate) enum TalesCommand {
    /// Write prompts with several tales each, and their votes, as JSONL
    Write(WriteArgs),
    /// Let the oracle score responses and count the modes they reach
    Judge(JudgeArgs),
    /// Make an untrained base model: random weights, and a tokenizer trained on the world
    Base(BaseArgs),
}

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct WriteArgs {
    /// The JSONL file to write
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Prompts
    #[arg(long, default_value_t = 400)]
    prompts: usize,
    /// Tales per prompt
    #[arg(long, default_value_t = 12)]
    responses: usize,
    /// Take prompts that no base model was trained on
    #[arg(long)]
    held_out: bool,
    /// Skip the first prompts
    #[arg(long, default_value_t = 0)]
    skip: usize,
    /// Which world
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct JudgeArgs {
    /// Responses to the world's prompts, in any shape that `rarebit prepare` reads
    #[arg(value_name = "FILE")]
    input: PathBuf,
    /// Write the rows with the oracle's quality as `score`, and the plot and voice it read
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct BaseArgs {
    /// The model folder to write
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    #[command(flatten)]
    shape: Shape,
}

pub(crate) fn run(command: TalesCommand) -> anyhow::Result<()> {
    match command {
        TalesCommand::Write(args) => {
            let world = World::seeded(args.seed);
            let split = if args.held_out {
                Split::HeldOut
            } else {
                Split::Train
            };
            let prompts = world.prompts(split);
            let end = args.skip + args.prompts;
            ensure!(
                end <= prompts.len(),
                "the world has {} such prompts, not {end}",
                prompts.len()
            );
            write_groups(
                &world,
                &prompts[args.skip..end],
                args.responses,
                &args.output,
            )?;
            writeln!(io::stdout(), "{}", args.output.display())?;
        }
        TalesCommand::Judge(args) => judge(&args)?,
        TalesCommand::Base(args) => {
            write_untrained(&args.shape, &args.output)?;
            writeln!(io::stdout(), "{}", args.output.display())?;
        }
    }
    Ok(())
}

fn judge(args: &JudgeArgs) -> anyhow::Result<()> {
    Places::default()
        .reads([&args.input])
        .writes("--output", &args.output)
        .check()?;
    let judged = readings(&args.input)?;
    ensure!(
        !judged.is_empty(),
        "{} holds no responses",
        args.input.display()
    );
    if let Some(output) = &args.output {
        write_judged(&judged, output)?;
    }
    let all: Vec<Reading> = judged
        .iter()
        .flat_map(|(_, readings)| readings.clone())
        .collect();
    let prompts = judged.len() as f64;
    let mean = |of: fn(&[Reading]) -> f64| {
        judged.iter().map(|(_, readings)| of(readings)).sum::<f64>() / prompts
    };
    let rows = [
        ("responses", all.len() as f64),
        (
            "mean quality",
            all.iter()
                .map(|reading| f64::from(reading.quality))
                .sum::<f64>()
                / all.len() as f64,
        ),
        (
            "legible share",
            all.iter()
                .filter(|reading| reading.plot.is_some() && reading.voice.is_some())
                .count() as f64
                / all.len() as f64,
        ),
        (
            "modes per prompt",
            mean(|readings| mode_coverage(readings).modes.distinct as f64),
        ),
        (
            "effective modes per prompt",
            mean(|readings| mode_coverage(readings).modes.effective),
        ),
        (
            "plots per prompt",
            mean(|readings| mode_coverage(readings).plots.distinct as f64),
        ),
        (
            "voices per prompt",
            mean(|readings| mode_coverage(readings).voices.distinct as f64),
        ),
        (
            "effective modes in all",
            mode_coverage(&all).modes.effective,
        ),
    ];
    let mut out = io::stdout().lock();
    for (what, value) in rows {
        writeln!(out, "{what:<27}{value:>9.3}")?;
    }
    Ok(())
}
