//! `rarebit report`: an evaluation and its training runs as one HTML file.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use rarebit_eval::Evaluation;
use rarebit_eval::report::Report;
use rarebit_pipeline::evaluation::{CONFIG, read_run, write_report};
use rarebit_pipeline::output::{self, Places};
use rarebit_train::METRICS;

use super::command_line::own_command;
use super::human_results;

/// Write one self-contained HTML file that shows what an evaluation found
///
/// The quality-diversity plane, all metrics with intervals, samples side by side, distances within
/// a prompt, human judgements, training curves, and how to reproduce it. The file needs no network.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ReportArgs {
    /// The evaluation that `rarebit evaluate` wrote
    #[arg(value_name = "EVALUATION.JSON")]
    evaluation: PathBuf,
    /// A training run's folder whose curves to show; may be repeated
    #[arg(long = "run", value_name = "DIR")]
    runs: Vec<PathBuf>,
    /// What people said, as `rarebit human analyse --output` wrote it
    #[arg(long, value_name = "FILE")]
    human: Option<PathBuf>,
    /// Where to write the report
    #[arg(long, short, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,
    /// The page's title; the systems' names when absent
    #[arg(long)]
    title: Option<String>,
    /// The system that the others are compared with [default: the evaluation's baseline]
    #[arg(long, value_name = "SYSTEM")]
    baseline: Option<String>,
    /// A command to list under how to reproduce, before this one; may be repeated
    #[arg(long = "command", value_name = "COMMAND")]
    commands: Vec<String>,
}

/// Writes the report and prints its path.
pub(crate) fn run(args: ReportArgs) -> anyhow::Result<()> {
    let of_runs = args.runs.iter();
    Places::default()
        .reads([&args.evaluation])
        .reads(&args.human)
        .reads(of_runs.flat_map(|run| [METRICS, CONFIG].map(|file| run.join(file))))
        .writes("--output", [&args.output])
        .check()?;
    let evaluation = read_evaluation(&args.evaluation)?;
    if let Some(baseline) = &args.baseline {
        check_baseline(&evaluation, baseline)?;
    }
    let runs = args
        .runs
        .iter()
        .map(|folder| read_run(folder))
        .collect::<Result<Vec<_>, _>>()?;
    let mut about = vec![
        ("rarebit".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        (
            "system".to_owned(),
            format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        ),
        (
            args.evaluation.display().to_string(),
            format!("blake3 {}", output::file_hash(&args.evaluation)?),
        ),
    ];
    for folder in &args.runs {
        let metrics = folder.join(METRICS);
        about.push((
            metrics.display().to_string(),
            format!("blake3 {}", output::file_hash(&metrics)?),
        ));
    }
    let mut extra_sections = Vec::new();
    if let Some(path) = &args.human {
        extra_sections.push(human_results::section(&human_results::read(path)?));
        about.push((
            path.display().to_string(),
            format!("blake3 {}", output::file_hash(path)?),
        ));
    }
    let mut reproduce = args.commands.clone();
    reproduce.push(own_command());
    let report = Report {
        title: args.title.unwrap_or_else(|| title_of(&evaluation)),
        evaluation: &evaluation,
        baseline: args.baseline,
        runs,
        extra_sections,
        reproduce,
        about,
    };
    write_report(&report, &args.output)?;
    writeln!(io::stdout(), "{}", args.output.display())?;
    Ok(())
}

fn read_evaluation(path: &Path) -> anyhow::Result<Evaluation> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!(
                "no evaluation at {}; make one with `rarebit evaluate`",
                path.display()
            )
        }
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            bail!(
                "{} is not text in UTF-8, so it is no evaluation; make one with `rarebit evaluate`",
                path.display()
            )
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    if text.trim().is_empty() {
        bail!(
            "{} is empty; make it again with `rarebit evaluate`",
            path.display()
        );
    }
    let evaluation: Evaluation = serde_json::from_str(&text).with_context(|| {
        format!(
            "{} is not an evaluation; give the JSON file that `rarebit evaluate` wrote",
            path.display()
        )
    })?;
    ensure!(
        !evaluation.prompts.is_empty(),
        "{} measures no prompt: there is nothing to report; make it again with `rarebit evaluate`",
        path.display()
    );
    Ok(evaluation)
}

fn check_baseline(evaluation: &Evaluation, baseline: &str) -> anyhow::Result<()> {
    if !evaluation
        .systems
        .iter()
        .any(|system| system.name == baseline)
    {
        bail!(
            "no system is named '{baseline}'; the evaluation holds {}",
            title_of(evaluation)
        );
    }
    if !evaluation
        .differences
        .iter()
        .any(|difference| difference.baseline == baseline)
    {
        bail!(
            "the evaluation holds no differences to '{baseline}'; compute them with `rarebit evaluate --baseline {baseline}`"
        );
    }
    Ok(())
}

fn title_of(evaluation: &Evaluation) -> String {
    let names: Vec<&str> = evaluation
        .systems
        .iter()
        .map(|system| system.name.as_str())
        .collect();
    match names.split_last() {
        None => "Evaluation".to_owned(),
        Some((only, [])) => (*only).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("evaluation.json");
        let absent = read_evaluation(&path).unwrap_err().to_string();
        assert!(
            absent.contains("no evaluation at") && absent.contains("rarebit evaluate"),
            "{absent}"
        );
        for content in ["", "{", "[1]", "\u{feff}hello"] {
            fs::write(&path, content).unwrap();
            let error = format!("{:#}", read_evaluation(&path).unwrap_err());
            assert!(
                error.contains("evaluation.json") && error.contains("rarebit evaluate"),
                "{error}"
            );
        }
        fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(
            read_evaluation(&path)
                .unwrap_err()
                .to_string()
                .contains("UTF-8")
        );
    }
}
