//! `rarebit train --online`: a policy learns from what it writes itself.
//!
//! A round is the way of any data through the other commands, in the run folder: the policy writes
//! (`samples.jsonl`), the scorer judges (`scored.jsonl`), `prepare` makes weighted pairs
//! (`prepared/`), the policy learns them (`checkpoints/`, `metrics.jsonl`), and `round.json` says how
//! it went. What is there is not made again, so a killed run goes on inside its round.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use burn::module::Module;
use rarebit_data::steps::pairs::PairOptions;
use rarebit_data::steps::transform::ScoreTransform;
use rarebit_data::steps::weigh::Embedders;
use rarebit_data::{
    Group, Pairing, PrepareOptions, SourceOptions, read_group_scores, read_samples,
};
use rarebit_deviation::Embedder;
use rarebit_models::causal_lm::CausalLm;
use rarebit_models::lora::LoraConfig;
use rarebit_train::{
    Example, ExampleTokenizer, LearnsFrom, METRICS, Outcome, PolicyRun, ReferenceCache, Round,
    epoch_batches, fingerprint, reference_logps, train_on,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::start::{Start, max_length, save_config};
use crate::error::{Context as _, Result, bail, ensure};
use crate::event::{Event, Stage};
use crate::generate::{Job, Prompt, Respondent, Writer, read_prompts, remove_partial};
use crate::model::scorer::Scorer;
use crate::model::{self, LoadedModel};
use crate::prepare::{Preparation, prepare};
use crate::scored::{read_rows, write_scored};
use crate::session::Session;
use crate::settings::online::OnlineSettings;
use crate::settings::run::RunConfig;
use crate::{examples, output};

/// What must be equal for a run to go on.
const STATE: &str = "online.json";
const ROUND: &str = "round.json";

/// How a round went. Means are over all responses that the policy wrote in it, before it learned
/// from them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Report {
    /// From 1.
    round: u64,
    /// Steps taken up to its end.
    step: u64,
    prompts: usize,
    responses: usize,
    pairs: usize,
    /// Mean score.
    reward: f64,
    /// Mean deviation of a response from the others of its prompt.
    deviation_semantic: Option<f64>,
    deviation_style: Option<f64>,
    /// Mean weight of the pairs.
    weight: f64,
    /// `log π(y) - log ref(y)`, averaged over the completions that are in a pair: an estimate of the
    /// KL divergence of the policy that wrote them from the one that the run started with.
    kl: Option<f64>,
    /// Mean loss of the round's steps.
    loss: Option<f64>,
}

/// Trains a policy on what it writes itself, round by round, and writes it into the run folder, as
/// `model`. A run that was killed goes on inside its round.
///
/// # Errors
/// When a setting, a model or the data cannot be used, the folder holds another run, or the loss is
/// not finite.
pub fn train_online(
    config: &RunConfig,
    embedders: Embedders<'_>,
    session: &Session,
) -> Result<Outcome> {
    let Some(settings) = &config.online else {
        bail!("these are not the settings of an online run: call `train_policy`");
    };
    ensure!(
        config.objective().learns_from() == LearnsFrom::Pairs,
        "`online` makes pairs, and the objective {} does not learn from pairs",
        config.task.objective
    );
    let Start {
        config,
        mut loaded,
        adapter,
        device,
    } = Start::read(config, session)?;
    let config = &config;
    let prompts = prompts(config)?;
    let scorer = Scorer::open(&settings.reward_model_path, settings.reward_format, session)?;
    let rounds = Rounds {
        config,
        settings,
        prompts: &prompts,
        scorer,
        embedders,
        adapter: adapter.as_ref(),
        policy: loaded.hash.clone(),
        session,
    };
    rounds.claim_folder()?;
    save_config(&config.to_toml()?, &config.model.output_dir)?;
    // With an adapter the start is a second small one upon the same weights.
    let kept_start = adapter.as_ref().map(|_| loaded.model.clone());
    let limit = max_length(
        &config.arguments,
        loaded.model.config().max_position_embeddings(),
        &session.events,
    );

    let done = (0..settings.num_rounds)
        .take_while(|&round| rounds.report(round).is_ok())
        .count() as u64;
    let mut reports = (0..done)
        .map(|round| rounds.report(round))
        .collect::<Result<Vec<_>>>()?;
    let mut last: Option<Outcome> = None;
    // The last round that is done is read back from its checkpoint.
    for round in done.saturating_sub(1)..settings.num_rounds {
        let folder = rounds.folder(round);
        let is_done = round < done;
        let policy = loaded.model;
        if !is_done {
            session
                .events
                .note(&format!("round {} of {}", round + 1, settings.num_rounds));
            // The same weights, without what training adds to them.
            loaded.model = policy.valid();
            rounds.write_and_judge(round, &loaded)?;
            // Training replaces the weights one by one: nothing may hold on to the old ones.
            drop(loaded.model);
        }
        let encoder = ExampleTokenizer {
            tokenizer: &loaded.tokenizer,
            template: &loaded.template,
            max_length: Some(limit),
            truncation_mode: config.arguments.truncation_mode,
        };
        let round_config = rounds.round_config(round);
        let pairs = examples::read(&round_config, &encoder, &session.events)?.train;
        let pad = loaded.tokenizer.pad;
        let (mut reference, mut kl) = (Vec::new(), None);
        if !is_done && config.objective().needs_reference() {
            reference = match &kept_start {
                Some(start) => rounds.reference(start, &pairs, pad)?,
                None => {
                    let name = &config.model.model_name_or_path;
                    rounds.reference(
                        &model::load(name, session.models.as_ref(), &device)?.model,
                        &pairs,
                        pad,
                    )?
                }
            };
            kl = Some(divergence(&rounds.logps(&policy, &pairs, pad)?, &reference));
        }
        let run = PolicyRun {
            output_dir: &folder,
            arguments: &round_config.arguments,
            objective: config.objective(),
            train: &pairs,
            eval: &[],
            pad,
            policy: rounds.policy.clone(),
            adapter: rounds.adapter,
            reference_cache: None,
            round: Some(Round {
                index: round,
                of: settings.num_rounds,
                reference,
            }),
            stop: session.stop.clone(),
        };
        let optimizer = last.take().map(|outcome| outcome.optimizer);
        let outcome = train_on(policy, optimizer, &run, &mut |event| {
            session.events.send(&Event::Training(&event));
        })?;
        if !is_done {
            let before = reports.last().map_or(0, |report| report.step);
            let report = rounds.close(round, &pairs, kl, before + outcome.steps)?;
            session.events.note(&report.told());
            reports.push(report);
            rounds.write_log(&reports)?;
        }
        loaded.model = outcome.model.clone();
        last = Some(outcome);
    }
    let mut outcome = last.context("there is no round")?;
    outcome.steps = reports.last().map_or(0, |report| report.step);
    loaded.save(&config.model.output_dir.join("model"))?;
    Ok(outcome)
}

/// What all rounds share.
struct Rounds<'a> {
    config: &'a RunConfig,
    settings: &'a OnlineSettings,
    prompts: &'a [Prompt],
    scorer: Scorer,
    embedders: Embedders<'a>,
    adapter: Option<&'a LoraConfig>,
    /// A hash of the policy that the run starts from.
    policy: String,
    session: &'a Session,
}

impl Rounds<'_> {
    fn folder(&self, round: u64) -> PathBuf {
        let rounds = self.config.model.output_dir.join("rounds");
        rounds.join(format!("round-{:04}", round + 1))
    }

    fn seed(&self, round: u64) -> u64 {
        self.config.arguments.seed.wrapping_add(round)
    }

    /// Refuses the folder of another run, and marks a new one.
    fn claim_folder(&self) -> Result<()> {
        let mut config = self.config.clone();
        // How often it is saved, and where, does not change where it goes.
        config.arguments.save_steps = 0;
        config.arguments.save_total_limit = 0;
        config.model.output_dir = PathBuf::new();
        let ids = [self.embedders.semantic, self.embedders.style];
        let own = fingerprint(&[
            self.policy.as_bytes(),
            config.to_toml()?.as_bytes(),
            format!("{:?}", self.prompts).as_bytes(),
            format!("{:?}", ids.map(|one| one.map(Embedder::id))).as_bytes(),
            Scorer::hash(&self.settings.reward_model_path, self.session)?.as_bytes(),
        ]);
        let path = self.config.model.output_dir.join(STATE);
        match fs::read_to_string(&path) {
            Ok(text) => {
                let state: Value = serde_json::from_str(&text)
                    .with_context(|| format!("{} is damaged", path.display()))?;
                ensure!(
                    state["fingerprint"] == own.as_str(),
                    "{} was made with other settings (the model, the prompts, the scorer, an embedder or a \
                     setting): give another output_dir, or remove it to start anew",
                    self.config.model.output_dir.display()
                );
                Ok(())
            }
            Err(_) => output::write_atomically(&path, |file| {
                Ok(serde_json::to_writer(file, &json!({ "fingerprint": own }))?)
            }),
        }
    }

    fn report(&self, round: u64) -> Result<Report> {
        let path = self.folder(round).join(ROUND);
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))
    }

    /// The prompts of a round: as many as are asked for, all of them before any comes again.
    fn prompts_of(&self, round: u64) -> Vec<Prompt> {
        let each = self.settings.prompts_per_round;
        let each = each.unwrap_or(usize::MAX).min(self.prompts.len());
        let per_pass = self.prompts.len().div_ceil(each) as u64;
        let (pass, place) = (round / per_pass, round % per_pass);
        let lengths = vec![1; self.prompts.len()];
        let stretches = epoch_batches(&lengths, each, self.config.arguments.seed, pass);
        let places = stretches.get(place as usize).map_or(&[][..], Vec::as_slice);
        places.iter().map(|&i| self.prompts[i].clone()).collect()
    }

    /// What the policy writes, its scores, and the weighted pairs that they make.
    fn write_and_judge(&self, round: u64, loaded: &LoadedModel) -> Result<()> {
        let folder = self.folder(round);
        let (samples, scored) = (folder.join("samples.jsonl"), folder.join("scored.jsonl"));
        if !samples.is_file() {
            let writer = Writer {
                loaded,
                config: &self.settings.generation(self.seed(round))?,
                batch_size: self.settings.generation_batch_size,
            };
            let prompts = self.prompts_of(round);
            let count = self.settings.num_generations;
            let job = Job::to_file(&prompts, count, &samples, self.session);
            job.run(&Respondent::Local(&writer))?;
        } else {
            // A run that was killed after the samples were written has left its journal.
            remove_partial(&samples)?;
        }
        if !scored.is_file() {
            let mut rows = read_rows(&samples)?;
            self.scorer
                .judge(rows.iter_mut().map(|row| &mut row.group))?;
            write_scored(rows, &scored)?;
        }
        let prepared = folder.join("prepared");
        if prepared.join("summary.json").is_file() {
            return Ok(());
        }
        let options = PrepareOptions {
            seed: self.seed(round),
            test_size: 0.0,
            score_transform: ScoreTransform::None,
            pairs: Pairing::Score(PairOptions {
                gap: self.settings.gap,
                ..PairOptions::default()
            }),
            weighting: self.config.weighting.weighting(),
            ..PrepareOptions::default()
        };
        let preparation = Preparation {
            options,
            embedders: self.embedders,
            ..Preparation::default()
        };
        prepare(&scored, &prepared, &preparation, &self.session.events)?;
        Ok(())
    }

    /// The settings of a round's training.
    fn round_config(&self, round: u64) -> RunConfig {
        let mut config = self.config.clone();
        let table = |name: &str| self.folder(round).join("prepared/train").join(name);
        config.model.dataset_name = None;
        config.model.train_file = Some(table("pairs.parquet"));
        config.arguments.seed = self.seed(round);
        config
    }

    /// Log-probabilities of a round's pairs under the policy that the run started from.
    fn reference(&self, start: &CausalLm, pairs: &[Example], pad: u32) -> Result<Vec<[f32; 2]>> {
        let cache = ReferenceCache {
            folder: self.session.reference_cache(),
            policy: self.policy.clone(),
        };
        self.logps_of(start, pairs, pad, Some(&cache), Stage::ReferenceLogps)
    }

    fn logps(&self, policy: &CausalLm, pairs: &[Example], pad: u32) -> Result<Vec<[f32; 2]>> {
        self.logps_of(policy, pairs, pad, None, Stage::Logps)
    }

    fn logps_of(
        &self,
        model: &CausalLm,
        pairs: &[Example],
        pad: u32,
        cache: Option<&ReferenceCache>,
        stage: Stage,
    ) -> Result<Vec<[f32; 2]>> {
        let events = &self.session.events;
        let work = events.begin(stage, Some(pairs.len() as u64));
        let batch_size = self.config.arguments.per_device_eval_batch_size;
        let mut show = |done: usize, _| work.set(done as u64);
        Ok(reference_logps(
            model, pairs, batch_size, pad, cache, &mut show,
        )?)
    }

    /// Says how a round went, in its folder, and lets go of the checkpoints before it.
    fn close(&self, round: u64, pairs: &[Example], kl: Option<f64>, step: u64) -> Result<Report> {
        let folder = self.folder(round);
        let scored = read_samples(&folder.join("scored.jsonl"), &SourceOptions::default())?
            .collect::<Result<Vec<Group>, _>>()?;
        let scores: Vec<f64> = scored
            .iter()
            .flat_map(|group| &group.responses)
            .filter_map(|response| response.score)
            .collect();
        let deviations = read_group_scores(&folder.join("prepared/train/groups.parquet"))?
            .collect::<Result<Vec<_>, _>>()?;
        let log =
            fs::read_to_string(folder.join(METRICS)).context("cannot read the round's log")?;
        let losses = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok()?["loss"].as_f64());
        let report = Report {
            round: round + 1,
            step,
            prompts: scored.len(),
            responses: scores.len(),
            pairs: pairs.len(),
            reward: mean(scores).context("the policy wrote nothing")?,
            deviation_semantic: mean(deviations.iter().filter_map(|it| it.deviation_semantic)),
            deviation_style: mean(deviations.iter().filter_map(|it| it.deviation_style)),
            weight: mean(pairs.iter().map(|pair| f64::from(pair.weight()))).unwrap_or(1.0),
            kl,
            loss: mean(losses),
        };
        output::write_atomically(&folder.join(ROUND), |file| {
            Ok(serde_json::to_writer_pretty(file, &report)?)
        })?;
        if let Some(before) = round.checked_sub(1) {
            let checkpoints = self.folder(before).join("checkpoints");
            // A killed run may have removed them already.
            let _ = fs::remove_dir_all(checkpoints);
        }
        Ok(report)
    }

    /// The log of the run: a row for each round.
    fn write_log(&self, reports: &[Report]) -> Result<()> {
        let path = self.config.model.output_dir.join(METRICS);
        output::write_atomically(&path, |file| {
            for report in reports {
                writeln!(file, "{}", serde_json::to_string(report)?)?;
            }
            Ok(())
        })
    }
}

impl Report {
    fn told(&self) -> String {
        let number = |what: &str, value: Option<f64>| {
            value.map_or_else(String::new, |value| format!(", {what} {value:.4}"))
        };
        format!(
            "round {}: reward {:.4}{}{}{}, {} pairs",
            self.round,
            self.reward,
            number("semantic deviation", self.deviation_semantic),
            number("style deviation", self.deviation_style),
            number("KL", self.kl),
            self.pairs
        )
    }
}

/// The prompts that the configuration names.
fn prompts(config: &RunConfig) -> Result<Vec<Prompt>> {
    let file = match (&config.model.dataset_name, &config.model.train_file) {
        (Some(folder), _) => folder.join("train/groups.parquet"),
        (None, file) => file.clone().unwrap_or_default(),
    };
    let prompts = read_prompts(&file, &config.columns.options())?;
    ensure!(!prompts.is_empty(), "{} holds no prompt", file.display());
    Ok(prompts)
}

/// Mean over the completions of `log π - log ref`.
fn divergence(policy: &[[f32; 2]], reference: &[[f32; 2]]) -> f64 {
    let both = policy.as_flattened().iter().zip(reference.as_flattened());
    mean(both.map(|(policy, reference)| f64::from(policy - reference))).unwrap_or(0.0)
}

fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values
        .into_iter()
        .fold((0.0, 0u64), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}
