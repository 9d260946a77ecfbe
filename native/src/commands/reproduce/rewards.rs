//! Quality as the paper measures it: by a reward model trained on the votes of the training split.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;
use rarebit_data::SourceOptions;
use rarebit_pipeline::evaluation::read_system;
use rarebit_pipeline::model::reward::{RewardFormat, RewardModel};
use rarebit_pipeline::settings::reward::RewardConfig;
use rarebit_pipeline::{output, train_reward};
use serde_json::json;

use super::pipeline::{GROUPS, JUDGED, Pipeline, SeedRun, WEIGHTS, base_hash};
use super::plan::Data;
use super::stages::{Done, Kind, Stages};
use crate::tale_world;

/// The name of the mean reward among the values of a prompt.
pub(super) const REWARD: &str = "reward";
const REWARDS: &str = "rewards.json";

impl Pipeline<'_> {
    /// Trains one reward model, on the first seed's votes, and lets it judge every run, so that all
    /// rewards are comparable. Does nothing if no system learned from all responses.
    pub(super) fn rewards(
        &self,
        seeds: &mut BTreeMap<u64, SeedRun>,
        stages: &mut Stages,
    ) -> anyhow::Result<()> {
        let first = seeds.first_key_value();
        let Some((seed, data)) =
            first.and_then(|(seed, run)| Some((*seed, run.prepared.get(&Data::All)?.clone())))
        else {
            return Ok(());
        };
        let judge = self.train_reward(seed, &data, stages)?;
        for (seed, run) in seeds {
            for (name, made) in &mut run.made {
                let rewards = self.judge(&judge, name, *seed, &made.measured, stages)?;
                for (prompt, reward) in rewards {
                    let values = made.values.entry(prompt).or_default();
                    values.insert(REWARD.to_owned(), reward);
                }
            }
        }
        Ok(())
    }

    fn train_reward(&self, seed: u64, data: &Done, stages: &mut Stages) -> anyhow::Result<Done> {
        let settings = |output: &Path| -> anyhow::Result<RewardConfig> {
            let mut config = tale_world::reward_recipe(self.base, output, &data.folder, seed)?;
            config.arguments.max_steps = Some(self.settings.reward_steps);
            Ok(config)
        };
        let mut what_decides = settings(Path::new(""))?.to_table()?;
        for place in ["model_name_or_path", "output_dir", "dataset_name"] {
            what_decides.remove(place);
        }
        let inputs = json!({
            "start": base_hash(),
            "groups": data.hash(GROUPS),
            "settings": what_decides,
        });
        let what = format!("reward model, seed {seed}");
        stages.run(Kind::Reward, &what, inputs, &[WEIGHTS], |folder| {
            train_reward(&settings(folder)?, self.session)?;
            Ok(())
        })
    }

    /// The mean reward of each prompt's tales.
    fn judge(
        &self,
        judge: &Done,
        name: &str,
        seed: u64,
        measured: &Done,
        stages: &mut Stages,
    ) -> anyhow::Result<BTreeMap<String, f64>> {
        let inputs = json!({"judge": judge.hash(WEIGHTS), "tales": measured.hash(JUDGED)});
        let what = format!("{name}, seed {seed}");
        let done = stages.run(Kind::Judge, &what, inputs, &[REWARDS], |folder| {
            let file = measured.path(JUDGED);
            let mut samples = [read_system("it", &file, &SourceOptions::default())?];
            let model = judge.path("model");
            let model = model.to_string_lossy();
            RewardModel::open(&model, RewardFormat::Tags, self.session)?.judge(&mut samples)?;
            let rewards: BTreeMap<&String, f64> = samples
                .iter()
                .flat_map(|system| &system.prompts)
                .map(|prompt| {
                    let scores = prompt.responses.iter().filter_map(|it| it.score);
                    let mean = scores.sum::<f64>() / prompt.responses.len().max(1) as f64;
                    (&prompt.prompt_id, mean)
                })
                .collect();
            Ok(output::write_atomically(&folder.join(REWARDS), |file| {
                Ok(serde_json::to_writer(file, &rewards)?)
            })?)
        })?;
        let path = done.path(REWARDS);
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("cannot read {}", path.display()))
    }
}
