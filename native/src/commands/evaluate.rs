//! `rarebit evaluate`: how good and how different the responses of one or several systems are.

use std::io::{self, Write};
use std::path::PathBuf;

use rarebit_pipeline::evaluation::{read_system, write_evaluation};
use rarebit_pipeline::output::Places;
use rarebit_pipeline::settings::columns::ColumnSettings;

use super::evaluation_table::table;
use super::measure_args::{MeasureArgs, split};
use crate::global::Global;
use crate::progress;

/// Measure how good and how different responses are
///
/// Takes one file of responses per system, as `rarebit generate` writes them or in any shape that
/// `rarebit prepare` reads. Measures semantic and style diversity, Vendi scores, distinct responses
/// and their utility, diversity among good responses, n-grams, self-BLEU, compression, ROUGE-L,
/// repeats, length, how distances are spread, and quality, with bootstrap intervals over prompts
/// and paired differences to a baseline. Quality is the mean of the responses' scores, or with
/// --reward-model of its rewards.
///
/// Systems named MODEL@SETTING, such as ddpo@t0.7 and ddpo@t1.3, are settings of one model. Models
/// are then also compared at equal quality, to show whether a gain is more than the effect of a
/// higher temperature. `rarebit sweep` makes such systems. Human responses are one more system:
/// gold=groups.parquet.
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
    /// Write the table of metrics as CSV, too. A name that a spreadsheet would run as a formula has an
    /// apostrophe before it
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Print the evaluation as JSON instead of a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    measures: MeasureArgs,
    #[command(flatten)]
    columns: ColumnSettings,
}

pub(crate) fn run(args: EvaluateArgs, global: &Global) -> anyhow::Result<()> {
    Places::default()
        .reads(args.systems.iter().map(|argument| split(argument).1))
        .reads(args.measures.embedders.files())
        .writes("--output", [&args.output])
        .writes("--csv", &args.csv)
        .check()?;
    let options = args.columns.options();
    let systems = args
        .systems
        .iter()
        .map(|argument| {
            let (name, file) = split(argument);
            read_system(&name, &file, &options)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let evaluation = args.measures.evaluate(systems, global)?;
    for system in &evaluation.systems {
        if let Some(note) = system.left_out() {
            progress::note(&format!("{}: {note}", system.name));
        }
    }
    write_evaluation(&evaluation, &args.output, args.csv.as_deref())?;
    let mut out = io::stdout().lock();
    match args.json {
        true => writeln!(out, "{}", serde_json::to_string(&evaluation)?)?,
        false => table(&evaluation, &mut out)?,
    }
    Ok(())
}
