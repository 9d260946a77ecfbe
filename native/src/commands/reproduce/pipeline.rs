//! The stages of one seed: tales, pairs, models, samples, values.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;
use rarebit_data::SourceOptions;
use rarebit_eval::study::Values;
use rarebit_eval::{EvalOptions, Thresholds, evaluate};
use rarebit_pipeline::evaluation::read_system;
use rarebit_pipeline::settings::run::RunConfig;
use rarebit_pipeline::{Events, Preparation, Session, output, prepare, train_policy};
use rarebit_tales::{Prompt, Reading, Split, World, mode_coverage};
use rarebit_train::LearnsFrom;
use serde_json::json;

use super::plan::{Data, MORE_PROMPTS, SYSTEMS, Settings, Start, System, Training};
use super::stages::{Done, Kind, Stages};
use crate::tale_world;
use crate::tale_world::files::{readings, write_groups, write_judged};

const TALES: &str = "tales.jsonl";
const MORE_TALES: &str = "more-tales.jsonl";
const HELD_OUT: &str = "held-out.jsonl";
pub(super) const GROUPS: &str = "train/groups.parquet";
pub(super) const PAIRS: &str = "train/pairs.parquet";
pub(super) const WEIGHTS: &str = "model/model.safetensors";
const SAMPLES: &str = "samples.jsonl";
pub(super) const JUDGED: &str = "judged.jsonl";
const VALUES: &str = "values.json";

/// The quality from which a tale is good: two of the four features of craft, and no deductions.
const GOOD: f64 = 0.5;

/// A measure of a prompt's tales, by its name.
type Truth = (&'static str, fn(&[Reading]) -> f64);

/// What the oracle measures besides quality, which is the mean of its scores.
const TRUTH: [Truth; 4] = [
    ("modes", |readings| mode_coverage(readings).modes.effective),
    ("plots", |readings| mode_coverage(readings).plots.effective),
    ("voices", |readings| {
        mode_coverage(readings).voices.effective
    }),
    ("legible", |readings| {
        mode_coverage(readings).legible as f64 / readings.len().max(1) as f64
    }),
];

/// The results of one system with one seed.
pub(super) struct Made {
    /// The hash of its weights; `None` for the world's own tales.
    pub(super) model: Option<String>,
    /// Its judged tales.
    pub(super) measured: Done,
    pub(super) values: Values,
}

/// The results of one seed.
pub(super) struct SeedRun {
    /// The results of each system, by its name.
    pub(super) made: BTreeMap<&'static str, Made>,
    /// The prepared training data.
    pub(super) prepared: BTreeMap<Data, Done>,
}

/// What all seeds share.
pub(super) struct Pipeline<'a> {
    pub(super) settings: &'a Settings,
    pub(super) systems: &'a [&'static System],
    pub(super) session: &'a Session,
    pub(super) world: &'a World,
    pub(super) base: &'a Path,
}

/// The number of stages of each kind, and an estimate of the seconds that one takes.
pub(super) fn planned(
    settings: &Settings,
    systems: &[&'static System],
) -> BTreeMap<Kind, (usize, f64)> {
    let seeds = settings.seeds.len();
    let mut data: Vec<Data> = systems
        .iter()
        .filter_map(|system| Some(system.training.as_ref()?.data))
        .collect();
    data.sort_unstable();
    data.dedup();
    let trained = systems.iter().filter(|it| it.training.is_some()).count();
    let judges = usize::from(data.contains(&Data::All));
    let samples = settings.test_prompts * settings.samples;
    [
        (Kind::Data, (seeds, 0.1)),
        (Kind::Prepare, (seeds * data.len(), 0.2)),
        (
            Kind::Train,
            (seeds * trained, 2.0 + 0.12 * settings.steps as f64),
        ),
        (
            Kind::Samples,
            (seeds * trained, 0.2 + 0.006 * samples as f64),
        ),
        (Kind::Measure, (seeds * systems.len(), 0.1)),
        (
            Kind::Reward,
            (judges, 2.0 + 0.15 * settings.reward_steps as f64),
        ),
        (
            Kind::Judge,
            (judges * seeds * systems.len(), 0.1 + 0.005 * samples as f64),
        ),
    ]
    .into()
}

impl Pipeline<'_> {
    /// Runs everything of one seed.
    pub(super) fn seed(&self, seed: u64, stages: &mut Stages) -> anyhow::Result<SeedRun> {
        let tales = self.tales(seed, stages)?;
        let mut prepared: BTreeMap<Data, Done> = BTreeMap::new();
        let mut sft: Option<Done> = None;
        let mut made = BTreeMap::new();
        for system in self.systems {
            let Some(training) = &system.training else {
                let gold = tales.path(HELD_OUT);
                let found = self.measure(system, seed, &gold, tales.hash(HELD_OUT), stages)?;
                made.insert(system.name, found.with_model(None));
                continue;
            };
            let data = match prepared.get(&training.data) {
                Some(data) => data.clone(),
                None => {
                    let data = self.prepare(training.data, seed, &tales, stages)?;
                    prepared.insert(training.data, data.clone());
                    data
                }
            };
            let start = match training.start {
                Start::Base => None,
                Start::Sft => Some(
                    sft.as_ref()
                        .context("sft comes before the systems that start from it")?,
                ),
            };
            let model = self.train(system, training, seed, &data, start, stages)?;
            let samples = self.write(system, seed, &tales, &model, stages)?;
            let found = self.measure(
                system,
                seed,
                &samples.path(SAMPLES),
                samples.hash(SAMPLES),
                stages,
            )?;
            made.insert(
                system.name,
                found.with_model(Some(model.hash(WEIGHTS).to_owned())),
            );
            if system.name == "sft" {
                sft = Some(model);
            }
        }
        Ok(SeedRun { made, prepared })
    }

    fn held_out(&self, seed: u64) -> anyhow::Result<Vec<Prompt>> {
        let count = self.settings.test_prompts;
        tale_world::prompts(self.world, Split::HeldOut, seed, count, count)
    }

    /// The tales to learn from, those of more prompts for few responses each, and those of the held-out
    /// prompts.
    fn tales(&self, seed: u64, stages: &mut Stages) -> anyhow::Result<Done> {
        let Settings {
            train_prompts,
            responses,
            test_prompts,
            samples,
            ..
        } = *self.settings;
        let inputs = json!({
            "seed": seed,
            "train_prompts": train_prompts,
            "responses": responses,
            "test_prompts": test_prompts,
            "samples": samples,
        });
        let files = [TALES, MORE_TALES, HELD_OUT];
        let what = format!("tales, seed {seed}");
        stages.run(Kind::Data, &what, inputs, &files, |folder| {
            let count = train_prompts * MORE_PROMPTS;
            let more = tale_world::prompts(self.world, Split::Train, seed, count, count)?;
            let write = |prompts: &[Prompt], responses, name| {
                write_groups(self.world, prompts, responses, &folder.join(name))
            };
            write(&more[..train_prompts], responses, TALES)?;
            write(&more, responses, MORE_TALES)?;
            write(&self.held_out(seed)?, samples, HELD_OUT)
        })
    }

    fn prepare(
        &self,
        data: Data,
        seed: u64,
        tales: &Done,
        stages: &mut Stages,
    ) -> anyhow::Result<Done> {
        let source = match data.takes_more_prompts() {
            true => MORE_TALES,
            false => TALES,
        };
        let options = data.options(seed);
        let inputs = json!({"tales": tales.hash(source), "options": options});
        let what = format!("{data}, seed {seed}");
        stages.run(Kind::Prepare, &what, inputs, &[GROUPS, PAIRS], |folder| {
            let preparation = Preparation {
                options: options.clone(),
                ..Preparation::new(&tale_world::SEMANTIC, &tale_world::STYLE)
            };
            let silent = Events::default();
            prepare(&tales.path(source), folder, &preparation, &silent)?;
            Ok(())
        })
    }

    fn train(
        &self,
        system: &System,
        training: &Training,
        seed: u64,
        data: &Done,
        start: Option<&Done>,
        stages: &mut Stages,
    ) -> anyhow::Result<Done> {
        let start_folder = start.map_or_else(|| self.base.to_path_buf(), |sft| sft.path("model"));
        let steps = match system.name {
            "sft" => self.settings.sft_steps,
            _ => self.settings.steps,
        };
        // Paths do not affect the result; the contents of the files do.
        let settings = |output: &Path| -> anyhow::Result<RunConfig> {
            let mut config = tale_world::recipe(training.recipe, &start_folder, output, seed)?;
            training.change.apply(&mut config);
            config.arguments.max_steps = Some(steps);
            let table = match config.objective().learns_from() {
                LearnsFrom::Completions => GROUPS,
                LearnsFrom::Pairs | LearnsFrom::Labelled => PAIRS,
            };
            config.model.dataset_name = None;
            config.model.train_file = Some(data.path(table));
            Ok(config)
        };
        let mut what_decides = settings(Path::new(""))?.to_table()?;
        for place in ["model_name_or_path", "output_dir", "train_file"] {
            what_decides.remove(place);
        }
        let inputs = json!({
            "start": start.map_or_else(base_hash, |sft| sft.hash(WEIGHTS).to_owned()),
            "groups": data.hash(GROUPS),
            "pairs": data.hash(PAIRS),
            "settings": what_decides,
        });
        let what = format!("{}, seed {seed}", system.name);
        let done = stages.run(Kind::Train, &what, inputs, &[WEIGHTS], |folder| {
            train_policy(&settings(folder)?, self.session)?;
            Ok(())
        })?;
        // Checkpoints serve to resume a killed run, and are three times as large as the model.
        let checkpoints = done.path("checkpoints");
        if checkpoints.is_dir() {
            fs::remove_dir_all(&checkpoints)
                .with_context(|| format!("cannot remove {}", checkpoints.display()))?;
        }
        Ok(done)
    }

    /// Samples a model on the held-out prompts.
    fn write(
        &self,
        system: &System,
        seed: u64,
        tales: &Done,
        model: &Done,
        stages: &mut Stages,
    ) -> anyhow::Result<Done> {
        let samples = self.settings.samples;
        let inputs = json!({
            "model": model.hash(WEIGHTS),
            "prompts": tales.hash(HELD_OUT),
            "samples": samples,
            "sampling": format!("{:?}", tale_world::sampling(seed)),
        });
        let what = format!("{}, seed {seed}", system.name);
        stages.run(Kind::Samples, &what, inputs, &[SAMPLES], |folder| {
            tale_world::write_samples(
                &model.path("model"),
                &self.held_out(seed)?,
                samples,
                seed,
                &folder.join(SAMPLES),
                self.session,
            )
        })
    }

    /// Lets the oracle judge the tales, and measures their diversity.
    fn measure(
        &self,
        system: &System,
        seed: u64,
        source: &Path,
        hash: &str,
        stages: &mut Stages,
    ) -> anyhow::Result<Measured> {
        let what = format!("{}, seed {seed}", system.name);
        let inputs = json!({"tales": hash});
        let done = stages.run(Kind::Measure, &what, inputs, &[JUDGED, VALUES], |folder| {
            let judged = readings(source)?;
            write_judged(&judged, &folder.join(JUDGED))?;
            let samples = read_system("it", &folder.join(JUDGED), &SourceOptions::default())?;
            let options = EvalOptions {
                // Intervals are computed over all seeds together.
                resamples: 1,
                thresholds: Thresholds {
                    quality: Some(GOOD),
                    ..Thresholds::default()
                },
                distances_for: 0,
                ..EvalOptions::default()
            };
            let evaluation = evaluate(
                &[samples],
                &tale_world::SEMANTIC,
                &tale_world::STYLE,
                &options,
                &mut |_| {},
            )?;
            let mut values: Values = evaluation
                .prompts
                .into_iter()
                .flat_map(|prompt| {
                    let id = prompt.prompt_id;
                    let systems = prompt.systems.into_values();
                    systems.map(move |system| (id.clone(), system.metrics))
                })
                .collect();
            for (group, readings) in &judged {
                let of_prompt = values.entry(group.id.clone()).or_default();
                for (name, value) in TRUTH {
                    of_prompt.insert(name.to_owned(), value(readings));
                }
            }
            Ok(output::write_atomically(&folder.join(VALUES), |file| {
                Ok(serde_json::to_writer(file, &values)?)
            })?)
        })?;
        let path = done.path(VALUES);
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let values = serde_json::from_slice(&text)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Measured {
            measured: done,
            values,
        })
    }
}

/// Measured tales, before their model is known.
struct Measured {
    measured: Done,
    values: Values,
}

impl Measured {
    fn with_model(self, model: Option<String>) -> Made {
        Made {
            model,
            measured: self.measured,
            values: self.values,
        }
    }
}

/// The hash of the base model.
pub(super) fn base_hash() -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, bytes) in tale_world::BASE {
        hasher.update(name.as_bytes());
        hasher.update(bytes);
    }
    hasher.finalize().to_hex().to_string()
}

/// The systems with these names, and those that they start from; all if none is named.
pub(super) fn chosen(names: &[String]) -> anyhow::Result<Vec<&'static System>> {
    let known: Vec<&str> = SYSTEMS.iter().map(|system| system.name).collect();
    for name in names {
        anyhow::ensure!(
            known.contains(&name.as_str()),
            "there is no system {name}; the systems are {}",
            known.join(", ")
        );
    }
    let is_named = |system: &System| names.is_empty() || names.iter().any(|it| it == system.name);
    let needs_sft = SYSTEMS.iter().any(|system| {
        let from_sft = |it: &Training| it.start == Start::Sft;
        is_named(system) && system.training.as_ref().is_some_and(from_sft)
    });
    Ok(SYSTEMS
        .iter()
        .filter(|system| is_named(system) || (needs_sft && system.name == "sft"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_system_starts_from_comes_with_it() {
        let names = |asked: &[&str]| {
            let asked: Vec<String> = asked.iter().map(|&name| name.to_owned()).collect();
            chosen(&asked).map(|it| it.iter().map(|system| system.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["dpo", "gold"]).unwrap(), ["gold", "sft", "dpo"]);
        assert_eq!(names(&["orpo"]).unwrap(), ["orpo"]);
        assert_eq!(names(&[]).unwrap().len(), SYSTEMS.len());
        let error = names(&["ddpp"]).unwrap_err().to_string();
        assert!(error.starts_with("there is no system ddpp; the systems are gold, sft"));
    }
}
