//! `rarebit sweep`: models at several sampling settings, compared at equal quality.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use rarebit_data::SourceOptions;
use rarebit_eval::equal_quality_csv;
use rarebit_eval::report::Report;
use rarebit_models::generation::{GenerationConfig, LogitsProcessors};

use rarebit_pipeline::evaluation::{read_system, write_evaluation, write_report};
use rarebit_pipeline::generate::{
    BATCH_SIZE, Job, Layout, Prompt, Respondent, Sink, Writer, read_prompts,
};
use rarebit_pipeline::model::{self, LoadedModel};
use rarebit_pipeline::output::Places;
use rarebit_pipeline::settings::sampling::{SamplingSettings, TruncationSettings};
use rarebit_pipeline::{Session, output};

use super::command_line::own_command;
use super::counts::at_least_one;
use super::evaluation_table::table;
use super::measure_args::{MeasureArgs, split};
use crate::global::Global;
use crate::progress;
use crate::tale_world::files::{readings, write_judged};

/// Compare models at equal quality, over temperatures and min-p
///
/// A higher temperature makes any model more diverse and eventually worse. This command samples
/// every model at every temperature and min-p, judges and measures the responses, finds the best
/// diversity that each model reaches at a given quality, and compares the models at equal quality.
/// That shows whether a gain is more than the effect of the temperature. Responses are kept in the
/// folder; an interrupted sweep resumes.
///
/// For models behind an API, write responses with `rarebit generate --provider --temperature` and
/// evaluate them as gpt@t0.7=FILE gpt@t1=FILE.
///
/// Example: rarebit sweep dpo=runs/dpo/model ddpo=runs/ddpo/model --prompts-file prepared/test/groups.parquet
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct SweepArgs {
    /// A model, as NAME=MODEL or MODEL; the others are compared with the first one, unless
    /// --baseline names another
    #[arg(value_name = "NAME=MODEL", required = true)]
    models: Vec<String>,
    /// A file of prompts; takes what `rarebit generate --prompts-file` takes
    #[arg(long, value_name = "FILE")]
    prompts_file: PathBuf,
    /// Take only the first prompts of the file
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// The folder of responses, evaluation and report
    #[arg(long, short, value_name = "DIR", default_value = "sweep")]
    output: PathBuf,
    /// Temperatures
    #[arg(
        long,
        value_name = "T,T,..",
        value_delimiter = ',',
        default_value = "0.6,0.8,1.0,1.2,1.4"
    )]
    temperatures: Vec<f64>,
    /// Values of min-p
    #[arg(
        long,
        value_name = "P,P,..",
        value_delimiter = ',',
        default_value = "0"
    )]
    min_ps: Vec<f64>,
    /// Responses per prompt
    #[arg(long, short = 'n', default_value_t = 4)]
    num_return_sequences: usize,
    #[command(flatten)]
    truncation: TruncationSettings,
    /// Responses that are written side by side
    #[arg(long, default_value_t = BATCH_SIZE, value_parser = at_least_one())]
    batch_size: usize,
    /// Let the tales' oracle judge quality; only for prompts of `rarebit tales write`. Without this
    /// flag, --reward-model is needed
    #[arg(long, conflicts_with = "reward_model")]
    tales: bool,
    #[command(flatten)]
    measures: MeasureArgs,
}

pub(crate) fn run(mut args: SweepArgs, global: &Global) -> anyhow::Result<()> {
    ensure!(
        args.tales || args.measures.reward_model.is_some(),
        "quality is not judged: give --reward-model, or --tales for the tales' oracle"
    );
    ensure!(
        args.num_return_sequences > 1,
        "--num-return-sequences is {}: diversity needs two or more",
        args.num_return_sequences
    );
    let results = [
        "evaluation.json",
        "evaluation.csv",
        "equal-quality.csv",
        "report.html",
    ];
    Places::default()
        .reads([&args.prompts_file])
        .reads(args.measures.embedders.files())
        .writes("--output", results.map(|name| args.output.join(name)))
        .check()?;
    let settings = args.settings()?;
    let mut prompts = read_prompts(&args.prompts_file, &SourceOptions::default())?;
    prompts.truncate(args.limit.unwrap_or(usize::MAX));
    ensure!(
        !prompts.is_empty(),
        "there is no prompt in {}",
        args.prompts_file.display()
    );
    let models: Vec<(String, PathBuf)> = args.models.iter().map(|it| split(it)).collect();
    for (at, (name, _)) in models.iter().enumerate() {
        ensure!(
            models[..at].iter().all(|(other, _)| other != name),
            "two models are called {name}: name them, as in {name}=MODEL"
        );
    }
    let baseline = match args.measures.baseline.take() {
        None => &models[0].0,
        Some(name) => models
            .iter()
            .map(|(known, _)| known)
            .find(|known| **known == name)
            .with_context(|| format!("no model is called {name}, which --baseline asks for"))?,
    };
    args.measures.baseline = Some(system(baseline, &settings[0]));
    let mut systems = Vec::new();
    for (name, place) in &models {
        let session = global.session()?;
        let models = session.models.as_ref();
        let loaded = model::load(&place.to_string_lossy(), models, &session.device)?;
        for config in &settings {
            let name = system(name, config);
            let file = args.responses(&loaded, config, &name, &prompts, &session)?;
            systems.push(read_system(&name, &file, &SourceOptions::default())?);
        }
    }
    let evaluation = args.measures.evaluate(systems, global)?;
    write_evaluation(
        &evaluation,
        &args.output.join("evaluation.json"),
        Some(&args.output.join("evaluation.csv")),
    )?;
    output::write_atomically(&args.output.join("equal-quality.csv"), |file| {
        Ok(file.write_all(equal_quality_csv(&evaluation).as_bytes())?)
    })?;
    let page = args.output.join("report.html");
    let report = Report {
        title: "Diversity at equal quality".to_owned(),
        evaluation: &evaluation,
        baseline: None,
        runs: Vec::new(),
        extra_sections: Vec::new(),
        reproduce: vec![own_command()],
        about: vec![("rarebit".to_owned(), env!("CARGO_PKG_VERSION").to_owned())],
    };
    write_report(&report, &page)?;
    let mut out = io::stdout().lock();
    table(&evaluation, &mut out)?;
    writeln!(out, "{}", page.display())?;
    Ok(())
}

/// What a model at a setting is called: `ddpo@t0.7`, `ddpo@t0.7-p0.05`.
fn system(model: &str, config: &GenerationConfig) -> String {
    let LogitsProcessors {
        temperature, min_p, ..
    } = config.logits;
    let min_p = match min_p > 0.0 {
        true => format!("-p{min_p}"),
        false => String::new(),
    };
    format!("{model}@t{temperature}{min_p}")
}

impl SweepArgs {
    fn settings(&self) -> anyhow::Result<Vec<GenerationConfig>> {
        let mut settings: Vec<GenerationConfig> = Vec::new();
        for &temperature in &self.temperatures {
            for &min_p in &self.min_ps {
                let sampling = SamplingSettings {
                    temperature,
                    min_p,
                    truncation: self.truncation.clone(),
                };
                let config = sampling.config(true, self.measures.seed)?;
                if !settings.contains(&config) {
                    settings.push(config);
                }
            }
        }
        Ok(settings)
    }

    /// The file of a model's responses at a setting, written if it is not there.
    fn responses(
        &self,
        loaded: &LoadedModel,
        config: &GenerationConfig,
        name: &str,
        prompts: &[Prompt],
        session: &Session,
    ) -> anyhow::Result<PathBuf> {
        let writer = Writer {
            loaded,
            config,
            batch_size: self.batch_size,
        };
        let job = |path| Job {
            sink: Sink::File {
                path,
                layout: Layout::Rows,
                model: name,
            },
            ..Job::to_file(prompts, self.num_return_sequences, path, session)
        };
        let respondent = Respondent::Local(&writer);
        // A file is named after what decides it, so that none is taken for another.
        let fingerprint = job(&self.output).fingerprint(&respondent);
        let folder = self.output.join("responses");
        let file = folder.join(format!("{}.{fingerprint}.jsonl", file_name(name)));
        if file.exists() {
            progress::note(&format!("{} is there already", file.display()));
        } else {
            job(&file).run(&respondent)?;
        }
        if !self.tales {
            return Ok(file);
        }
        let judged = self.output.join("judged").join(name_of(&file));
        write_judged(&readings(&file)?, &judged)?;
        Ok(judged)
    }
}

fn name_of(file: &Path) -> &Path {
    file.file_name().map_or(file, Path::new)
}

/// A name that any file system takes.
fn file_name(name: &str) -> String {
    let plain = |character: char| match character {
        '/' | '\\' | ':' => '-',
        other => other,
    };
    name.chars().map(plain).collect()
}
