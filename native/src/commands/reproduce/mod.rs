//! `rarebit reproduce`: the paper's experiments in miniature, from one command.

mod claims;
mod diagnostics;
mod pipeline;
mod plan;
mod report;
mod rewards;
mod stages;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::Device;
use indicatif::HumanDuration;
use rarebit_eval::report::{render_markdown, render_page};
use rarebit_eval::study::{Study, StudySystem, study_csv};

use self::pipeline::{Pipeline, SeedRun, chosen, planned};
use self::plan::{Settings, System};
use self::report::{METRICS, Told};
use self::stages::Stages;
use rarebit_pipeline::output;

use super::counts::at_least_one;
use crate::global::Global;
use crate::{progress, tale_world};

/// Repeat the paper's experiments in miniature, and say which of its claims hold
///
/// On the world of tales, whose truth is known: SFT, DPO, ORPO, DDPO and DORPO with semantic, style
/// and both deviations, DivPO, the ablations with four responses per prompt, the controls that the
/// paper lacks, and the world's own tales, each with several seeds. The result is one HTML file,
/// the same as Markdown, and the numbers as CSV and JSON. Stages are cached by the content of their
/// inputs: a killed run resumes where it was, and a changed setting repeats only the stages that
/// depend on it.
///
/// Example: rarebit reproduce --quick
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ReproduceArgs {
    /// The output folder
    #[arg(long, short, value_name = "DIR", default_value = "reproduce")]
    output: PathBuf,
    /// One seed and a few steps: only shows that everything works
    #[arg(long)]
    quick: bool,
    /// Each determines the data, training and samples of one run of every system
    #[arg(long, value_name = "SEED", num_args = 1.., default_values_t = [42, 43, 44])]
    seeds: Vec<u64>,
    /// Run only these systems, and those that they start from [default: all]
    #[arg(long, value_name = "NAME", num_args = 1..)]
    systems: Vec<String>,
    /// Prompts to train on [default: 170]
    #[arg(long, value_parser = at_least_one())]
    train_prompts: Option<usize>,
    /// Held-out prompts to sample [default: 48]
    #[arg(long, value_parser = at_least_one())]
    test_prompts: Option<usize>,
    /// Samples of each model per held-out prompt [default: 8]
    #[arg(long, value_parser = at_least_one())]
    samples: Option<usize>,
    /// Training steps of every system except sft [default: 100]
    #[arg(long)]
    steps: Option<u64>,
    /// Print the numbers and verdicts as JSON instead of the report's path
    #[arg(long)]
    json: bool,
}

impl ReproduceArgs {
    fn settings(&self) -> Settings {
        let whole = Settings {
            seeds: self.seeds.clone(),
            train_prompts: 170,
            responses: 12,
            test_prompts: 48,
            samples: 8,
            sft_steps: 60,
            steps: 100,
            reward_steps: 200,
            resamples: 10_000,
        };
        let least = match self.quick {
            false => whole,
            true => Settings {
                seeds: self.seeds.iter().copied().take(1).collect(),
                train_prompts: 24,
                test_prompts: 6,
                samples: 4,
                sft_steps: 4,
                steps: 4,
                reward_steps: 4,
                resamples: 1000,
                ..whole
            },
        };
        Settings {
            train_prompts: self.train_prompts.unwrap_or(least.train_prompts),
            test_prompts: self.test_prompts.unwrap_or(least.test_prompts),
            samples: self.samples.unwrap_or(least.samples),
            steps: self.steps.unwrap_or(least.steps),
            ..least
        }
    }
}

pub(crate) fn run(args: ReproduceArgs, global: &Global) -> anyhow::Result<()> {
    let started = Instant::now();
    let settings = args.settings();
    let systems = chosen(&args.systems)?;
    let session = global.session()?;
    let base = args.output.join("base");
    tale_world::write_base(&base)?;
    let world = tale_world::world();
    let pipeline = Pipeline {
        settings: &settings,
        systems: &systems,
        session: &session,
        world: &world,
        base: &base,
    };
    let mut stages = Stages::new(
        &args.output.join("stages"),
        made_by(&session.device),
        planned(&settings, &systems),
    );
    let mut seeds: BTreeMap<u64, SeedRun> = BTreeMap::new();
    for &seed in &settings.seeds {
        seeds.insert(seed, pipeline.seed(seed, &mut stages)?);
    }
    pipeline.rewards(&mut seeds, &mut stages)?;

    let study = study(&systems, &seeds);
    let told = Told {
        settings: &settings,
        systems: &systems,
        study: &study,
        seeds: &seeds,
        stages: &stages,
        device: global.device.to_string(),
        quick: args.quick,
    };
    let found = told.found()?;
    let path = write(&args.output, &told, &found)?;
    progress::note(&format!(
        "{}; this run took {}",
        stages.summary(),
        HumanDuration(started.elapsed())
    ));
    let mut out = io::stdout().lock();
    match args.json {
        true => writeln!(out, "{}", serde_json::to_string(&told.json(&found))?)?,
        false => writeln!(out, "{}", path.display())?,
    }
    Ok(())
}

/// What besides its inputs decides the result of a stage: another backend, or another version of
/// this program, may compute other last digits.
fn made_by(device: &Device) -> String {
    let backend = match *device == Device::flex() {
        true => "cpu",
        false => "gpu",
    };
    format!("{}-{backend}", env!("CARGO_PKG_VERSION"))
}

/// The values of every system with every seed.
fn study(systems: &[&'static System], seeds: &BTreeMap<u64, SeedRun>) -> Study {
    let systems = systems.iter().map(|system| {
        let runs = seeds
            .iter()
            .filter_map(|(seed, run)| Some((*seed, run.made.get(system.name)?.values.clone())));
        StudySystem {
            name: system.name.to_owned(),
            runs: runs.collect(),
        }
    });
    Study {
        systems: systems.collect(),
    }
}

/// Writes every form of the result; gives the path of the one for people.
fn write(folder: &Path, told: &Told<'_>, found: &report::Found) -> anyhow::Result<PathBuf> {
    let page = told.page(found);
    let html = folder.join("reproduce.html");
    let names: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
    for (name, text) in [
        ("reproduce.html", render_page(&page)),
        ("reproduce.md", render_markdown(&page)),
        ("reproduce.csv", study_csv(told.study, &names)),
        (
            "reproduce.json",
            serde_json::to_string_pretty(&told.json(found))? + "\n",
        ),
    ] {
        output::write_atomically(&folder.join(name), |file| {
            Ok(file.write_all(text.as_bytes())?)
        })?;
    }
    Ok(html)
}
