//! `rarebit demo`: the whole way in a few minutes, on a world whose truth is known.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

use rarebit_data::{PrepareOptions, SourceOptions};
use rarebit_eval::report::{Block, Report, Section};
use rarebit_eval::{Bootstrap, EvalOptions, Evaluation, evaluate};
use rarebit_pipeline::evaluation::{read_run, read_system, write_evaluation, write_report};
use rarebit_pipeline::{Preparation, Session, prepare, train_policy};
use rarebit_tales::{Reading, Split, World, mode_coverage};

use super::counts::at_least_one;
use crate::global::Global;
use crate::progress;
use crate::tale_world::files::{readings, write_groups, write_judged};
use crate::tale_world::{self, GOLD};

/// Run the whole pipeline in a few minutes: data, training, samples, report
///
/// Generates a small dataset of tales whose plots, voices and quality are known, fine-tunes a base
/// model of 1.4 million parameters that is part of this program, and trains it twice on the same
/// pairs: with DPO and with DDPO. Then samples from both on held-out prompts and shows them side by
/// side in a report. After an interruption, run it again to resume.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct DemoArgs {
    /// The folder for everything the demo makes
    #[arg(long, short, value_name = "DIR", default_value = "demo")]
    output: PathBuf,
    /// Decides the data, the training and the samples
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Prompts to train on
    #[arg(long, default_value_t = 320, value_parser = at_least_one())]
    train_prompts: usize,
    /// Tales to each of them
    #[arg(long, default_value_t = 12, value_parser = at_least_one())]
    responses: usize,
    /// Held-out prompts to write to
    #[arg(long, default_value_t = 48, value_parser = at_least_one())]
    test_prompts: usize,
    /// Samples of each model per held-out prompt
    #[arg(long, default_value_t = 8, value_parser = at_least_one())]
    samples: usize,
    /// Steps of DPO and of DDPO
    #[arg(long, default_value_t = 210)]
    steps: u64,
}

/// The stages of training and the recipes that they follow.
const STAGES: [(&str, &str); 3] = [
    ("sft", tale_world::SFT),
    ("dpo", tale_world::DPO),
    ("ddpo", tale_world::DDPO),
];
const BASELINE: &str = "dpo";

pub(crate) fn run(args: DemoArgs, global: &Global) -> anyhow::Result<()> {
    let started = Instant::now();
    let demo = Demo {
        world: tale_world::world(),
        device: global.device.to_string(),
        session: global.session()?,
        args,
    };
    demo.write_data()?;
    demo.prepare()?;
    for (name, recipe) in STAGES {
        demo.train(name, recipe)?;
    }
    demo.write_samples()?;
    let report = demo.report()?;
    let seconds = started.elapsed().as_secs();
    progress::note(&format!(
        "done in {} min {:02} s; open this file in a browser:",
        seconds / 60,
        seconds % 60
    ));
    writeln!(io::stdout(), "{}", report.display())?;
    Ok(())
}

struct Demo {
    world: World,
    args: DemoArgs,
    /// The device that was asked for.
    device: String,
    session: Session,
}

impl Demo {
    fn path(&self, name: &str) -> PathBuf {
        self.args.output.join(name)
    }

    /// The base model and the tales, as a user would have them on disk.
    fn write_data(&self) -> anyhow::Result<()> {
        tale_world::write_base(&self.path("base"))?;
        let train = self.prompts(Split::Train, self.args.train_prompts)?;
        write_groups(
            &self.world,
            &train,
            self.args.responses,
            &self.path("tales.jsonl"),
        )?;
        let held_out = self.prompts(Split::HeldOut, self.args.test_prompts)?;
        write_groups(
            &self.world,
            &held_out,
            self.args.samples,
            &self.path("held-out.jsonl"),
        )
    }

    /// Prompts of the world; each seed begins at another one.
    fn prompts(&self, split: Split, count: usize) -> anyhow::Result<Vec<rarebit_tales::Prompt>> {
        tale_world::prompts(&self.world, split, self.args.seed, count, count)
    }

    fn prepare(&self) -> anyhow::Result<()> {
        let preparation = Preparation {
            options: PrepareOptions {
                seed: self.args.seed,
                ..PrepareOptions::default()
            },
            ..Preparation::new(&tale_world::SEMANTIC, &tale_world::STYLE)
        };
        let summary = prepare(
            &self.path("tales.jsonl"),
            &self.path("prepared"),
            &preparation,
            &self.session.events,
        )?;
        for (split, side) in &summary.splits {
            progress::note(&format!(
                "{}: {} prompts, {} tales, {} pairs",
                split.as_str(),
                side.prompts,
                side.responses,
                side.pairs
            ));
        }
        Ok(())
    }

    fn train(&self, name: &str, recipe: &str) -> anyhow::Result<()> {
        progress::note(&format!("training {name}"));
        let start = match name {
            "sft" => self.path("base"),
            _ => self.path("sft/model"),
        };
        let mut config = tale_world::recipe(recipe, &start, &self.path(name), self.args.seed)?;
        config.model.dataset_name = Some(self.path("prepared"));
        if name != "sft" {
            config.arguments.max_steps = Some(self.args.steps);
        }
        train_policy(&config, &self.session)?;
        Ok(())
    }

    fn samples_file(&self, system: &str) -> PathBuf {
        self.path(&format!("samples/{system}.jsonl"))
    }

    /// Lets each model write to the held-out prompts, and the oracle judge what it wrote.
    fn write_samples(&self) -> anyhow::Result<()> {
        let prompts = self.prompts(Split::HeldOut, self.args.test_prompts)?;
        for (name, _) in STAGES {
            tale_world::write_samples(
                &self.path(&format!("{name}/model")),
                &prompts,
                self.args.samples,
                self.args.seed,
                &self.samples_file(name),
                &self.session,
            )?;
        }
        for name in STAGES.map(|(name, _)| name).into_iter().chain([GOLD]) {
            let source = if name == GOLD {
                self.path("held-out.jsonl")
            } else {
                self.samples_file(name)
            };
            write_judged(&readings(&source)?, &self.judged_file(name))?;
        }
        Ok(())
    }

    fn judged_file(&self, system: &str) -> PathBuf {
        self.path(&format!("judged/{system}.jsonl"))
    }

    fn report(&self) -> anyhow::Result<PathBuf> {
        // In the order of the story: the people, the start, the baseline, the method.
        let systems = [GOLD, "sft", "dpo", "ddpo"];
        let samples = systems
            .iter()
            .map(|name| read_system(name, &self.judged_file(name), &SourceOptions::default()))
            .collect::<Result<Vec<_>, _>>()?;
        let options = EvalOptions {
            seed: self.args.seed,
            baseline: Some(BASELINE.to_owned()),
            ..EvalOptions::default()
        };
        let evaluation = evaluate(
            &samples,
            &tale_world::SEMANTIC,
            &tale_world::STYLE,
            &options,
            &mut |_| {},
        )?;
        write_evaluation(
            &evaluation,
            &self.path("evaluation.json"),
            Some(&self.path("evaluation.csv")),
        )?;

        let report = Report {
            title: "DPO and DDPO on a world of tales".to_owned(),
            evaluation: &evaluation,
            baseline: Some(BASELINE.to_owned()),
            runs: STAGES
                .iter()
                .map(|(name, _)| read_run(&self.path(name)))
                .collect::<Result<_, _>>()?,
            extra_sections: vec![self.truth(&systems, &evaluation)?],
            reproduce: self.commands(),
            about: vec![
                ("rarebit".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
                ("seed".to_owned(), self.args.seed.to_string()),
                ("device".to_owned(), self.device.clone()),
                (
                    "system".to_owned(),
                    format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
                ),
            ],
        };
        let path = self.path("report.html");
        write_report(&report, &path)?;
        Ok(path)
    }

    /// What only a world with known truth can show: which plots and voices were really reached.
    fn truth(&self, systems: &[&str], evaluation: &Evaluation) -> anyhow::Result<Section> {
        let bootstrap = Bootstrap {
            resamples: evaluation.resamples,
            confidence: 0.95,
            seed: evaluation.seed,
        };
        let of = |what: fn(&[Reading]) -> f64, judged: &[(rarebit_data::Group, Vec<Reading>)]| {
            let values: Vec<f64> = judged.iter().map(|(_, readings)| what(readings)).collect();
            bootstrap
                .interval(&values)
                .map_or_else(String::new, |interval| {
                    format!(
                        "{:.2} [{:.2}, {:.2}]",
                        interval.mean, interval.low, interval.high
                    )
                })
        };
        let mut rows = Vec::new();
        for &name in systems {
            let judged = readings(&self.judged_file(name))?;
            rows.push(vec![
                name.to_owned(),
                of(
                    |readings| mode_coverage(readings).modes.distinct as f64,
                    &judged,
                ),
                of(|readings| mode_coverage(readings).modes.effective, &judged),
                of(|readings| mode_coverage(readings).plots.effective, &judged),
                of(|readings| mode_coverage(readings).voices.effective, &judged),
                of(
                    |readings| {
                        mode_coverage(readings).legible as f64 / readings.len().max(1) as f64
                    },
                    &judged,
                ),
                of(
                    |readings| {
                        readings
                            .iter()
                            .map(|reading| f64::from(reading.quality))
                            .sum::<f64>()
                            / readings.len().max(1) as f64
                    },
                    &judged,
                ),
            ]);
        }
        let columns = [
            "system",
            "modes",
            "effective modes",
            "effective plots",
            "effective voices",
            "legible",
            "quality",
        ];
        Ok(Section {
            title: "What was really told".to_owned(),
            blocks: vec![
                Block::Text(format!(
                    "In this world the truth is known: each tale has one of 8 plots and one of 6 voices, and an oracle reads \
                     them back by rules. A mode is a plot told in a voice. Counted over the {} samples to each of {} held-out \
                     prompts; effective numbers are exp(entropy). Means with 95 % intervals over prompts.",
                    self.args.samples, self.args.test_prompts
                )),
                Block::Table {
                    columns: columns.map(str::to_owned).to_vec(),
                    rows,
                },
            ],
        })
    }

    fn commands(&self) -> Vec<String> {
        let args = &self.args;
        vec![format!(
            "rarebit demo --seed {} --train-prompts {} --responses {} --test-prompts {} --samples {} --steps {}",
            args.seed,
            args.train_prompts,
            args.responses,
            args.test_prompts,
            args.samples,
            args.steps
        )]
    }
}
