//! `rarebit human`: let people say which responses are more diverse, and which are better.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::ensure;
use rarebit_data::{SourceOptions, read_samples};
use rarebit_eval::Bootstrap;
use rarebit_eval::human::{Judgements, Key, Selection, SelectionOptions, Study, analyse, page};
use rarebit_pipeline::evaluation::read_system;
use rarebit_pipeline::output::{self, Places};

use super::counts::resamples;
use super::human_results::{read_json, table};
use super::measure_args::split;
use crate::progress;

/// Let people compare systems: an annotation page, and what its answers say
///
/// `prepare` writes a page that shows, for each prompt, a set of responses of one system beside a
/// set of another, without their names, and asks which set is more diverse and which holds the best
/// writing. Annotators open it in a browser and save a file; `analyse` reads the files.
#[derive(clap::Subcommand, Clone, Debug)]
pub(crate) enum HumanCommand {
    Prepare(PrepareArgs),
    Analyse(AnalyseArgs),
}

/// Write the annotation page and, in a separate file, its key
///
/// The page is one HTML file that needs no network: send it to annotators, and keep the key. Each
/// system is compared with the baseline on the same prompts.
///
/// To show summaries in the place of long texts, write a prompt for each with --summary-prompts,
/// answer them with any model, and prepare again, with the same files and seed, with --summaries.
///
/// Example: rarebit human prepare dpo=dpo.jsonl ddpo=ddpo.jsonl
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct PrepareArgs {
    /// A system's responses, as NAME=FILE or FILE; two or more
    #[arg(value_name = "NAME=FILE", required = true)]
    systems: Vec<String>,
    /// The page to write
    #[arg(long, short, value_name = "FILE", default_value = "human.html")]
    output: PathBuf,
    /// Where to write which system is which; not for annotators
    #[arg(long, value_name = "FILE", default_value = "human-key.json")]
    key: PathBuf,
    /// The system that the others are compared with [default: the first]
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
    /// Prompts, drawn from those that all systems have answered
    #[arg(long, default_value_t = 20)]
    prompts: usize,
    /// Responses on each side, drawn from a system's own
    #[arg(long, default_value_t = 4)]
    responses: usize,
    /// What the page is called; seen by annotators
    #[arg(long, default_value = "Comparing texts")]
    title: String,
    /// The summaries: what `rarebit generate` wrote for the prompts of --summary-prompts, as rows
    /// {prompt_id, prompt, response}
    #[arg(long, value_name = "FILE", conflicts_with = "summary_prompts")]
    summaries: Option<PathBuf>,
    /// Write the prompts that ask for summaries, for `rarebit generate --prompts-file`, and no page
    #[arg(long, value_name = "FILE")]
    summary_prompts: Option<PathBuf>,
    /// Words that a summary prompt asks for
    #[arg(long, default_value_t = 100)]
    summary_words: usize,
    /// Seed of the drawn prompts and responses and of their order and sides
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

/// Compute win rates, sign tests and agreement from what annotators saved
///
/// For each system against the baseline and each question: the share of judgements for the system,
/// for neither and for the baseline, with bootstrap intervals over prompts; prompts by the majority
/// of annotators and the two-sided p of a sign test over them; Krippendorff's alpha.
///
/// Example: rarebit human analyse judgements-*.json --key human-key.json
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct AnalyseArgs {
    /// The files that annotators saved
    #[arg(value_name = "JUDGEMENTS.JSON", required = true)]
    judgements: Vec<PathBuf>,
    /// The key that was written with the page
    #[arg(long, value_name = "FILE", default_value = "human-key.json")]
    key: PathBuf,
    /// Write the result as JSON, for `rarebit report --human`
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print the result as JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Bootstrap resamples
    #[arg(long, default_value_t = 10_000, value_parser = resamples())]
    resamples: u32,
    /// Decides the resamples
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

pub(crate) fn run(command: HumanCommand) -> anyhow::Result<()> {
    match command {
        HumanCommand::Prepare(args) => prepare(&args),
        HumanCommand::Analyse(args) => run_analysis(&args),
    }
}

fn prepare(args: &PrepareArgs) -> anyhow::Result<()> {
    let places = Places::default()
        .reads(args.systems.iter().map(|argument| split(argument).1))
        .reads(&args.summaries);
    let places = match &args.summary_prompts {
        Some(prompts) => places.writes("--summary-prompts", [prompts]),
        None => places
            .writes("--key", [&args.key])
            .writes("--output", [&args.output]),
    };
    places.check()?;
    let systems = args
        .systems
        .iter()
        .map(|argument| {
            let (name, file) = split(argument);
            read_system(&name, &file, &SourceOptions::default())
        })
        .collect::<Result<Vec<_>, _>>()?;
    let options = SelectionOptions {
        prompts: args.prompts,
        responses: args.responses,
        baseline: args.baseline.clone(),
        seed: args.seed,
    };
    let selection = Selection::draw(&systems, &options)?;
    if selection.prompts() < args.prompts {
        progress::note(&format!(
            "{} prompts have {} responses of every system: all are taken, {} were asked for",
            selection.available, args.responses, args.prompts
        ));
    }
    let mut out = io::stdout().lock();
    if let Some(path) = &args.summary_prompts {
        output::write_atomically(path, |file| {
            for prompt in selection.summary_prompts(args.summary_words) {
                serde_json::to_writer(&mut *file, &prompt)?;
                file.write_all(b"\n")?;
            }
            Ok(())
        })?;
        writeln!(out, "{}", path.display())?;
        return Ok(());
    }
    let summaries = args.summaries.as_deref().map(read_summaries).transpose()?;
    let study = selection.study(summaries.as_ref())?;
    check_key(&args.key, &study)?;
    output::write_atomically(&args.key, |file| {
        Ok(serde_json::to_writer_pretty(file, &study.key)?)
    })?;
    output::write_atomically(&args.output, |file| {
        Ok(file.write_all(page(&study, &args.title).as_bytes())?)
    })?;
    progress::note(&format!(
        "{} pairs of sets; send {} to annotators and keep {}",
        study.items.len(),
        args.output.display(),
        args.key.display()
    ));
    writeln!(out, "{}", args.output.display())?;
    Ok(())
}

/// Summaries by the prompt_id that each was asked for under.
fn read_summaries(path: &Path) -> anyhow::Result<HashMap<String, String>> {
    let mut summaries = HashMap::new();
    for group in read_samples(path, &SourceOptions::default())? {
        let group = group?;
        if let Some(first) = group.responses.into_iter().next() {
            summaries.insert(group.id, first.text);
        }
    }
    Ok(summaries)
}

/// A key is never lost under another: without it, what annotators have said means nothing.
fn check_key(path: &Path, study: &Study) -> anyhow::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let is_same = read_json::<Key>(path, "").is_ok_and(|key| key == study.key);
    ensure!(
        is_same,
        "{} is the key of another study, whose judgements could not be read without it; give another \
         --key, or delete it",
        path.display()
    );
    Ok(())
}

fn run_analysis(args: &AnalyseArgs) -> anyhow::Result<()> {
    Places::default()
        .reads(&args.judgements)
        .reads([&args.key])
        .writes("--output", &args.output)
        .check()?;
    let key: Key = read_json(&args.key, "the key that `rarebit human prepare` wrote")?;
    let files = args
        .judgements
        .iter()
        .map(|path| read_json(path, "a file that the annotation page saved"))
        .collect::<anyhow::Result<Vec<Judgements>>>()?;
    let bootstrap = Bootstrap {
        resamples: args.resamples as usize,
        confidence: 0.95,
        seed: args.seed,
    };
    let found = analyse(&key, &files, &bootstrap)?;
    if let Some(path) = &args.output {
        output::write_atomically(path, |file| Ok(serde_json::to_writer_pretty(file, &found)?))?;
    }
    let mut out = io::stdout().lock();
    match args.json {
        true => writeln!(out, "{}", serde_json::to_string(&found)?)?,
        false => table(&found, &mut out)?,
    }
    Ok(())
}
