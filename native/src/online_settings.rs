//! What `rarebit train --online` needs beside a run's other settings.

use anyhow::{Context, ensure};
use rarebit_models::generation::{GenerationConfig, LogitsProcessors};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::reward::RewardFormat;

/// How rounds go, under the names of transformers' `GenerationConfig` and TRL's `OnlineDPOConfig`
/// and `GRPOConfig` where they have one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OnlineSettings {
    /// Always true: without it there are none of these settings.
    pub(crate) online: bool,
    /// A reward model, or `builtin:tales`.
    pub(crate) reward_model_path: String,
    pub(crate) reward_format: RewardFormat,
    pub(crate) num_rounds: u64,
    /// All prompts where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prompts_per_round: Option<usize>,
    /// Responses to each prompt.
    pub(crate) num_generations: usize,
    /// Scores of a pair are at least this far apart where there are such.
    pub(crate) gap: f64,
    pub(crate) semantic: String,
    pub(crate) style: String,
    pub(crate) generation_batch_size: usize,
    pub(crate) max_new_tokens: usize,
    pub(crate) temperature: f64,
    pub(crate) top_k: usize,
    pub(crate) top_p: f64,
    pub(crate) min_p: f64,
    pub(crate) repetition_penalty: f64,
}

impl Default for OnlineSettings {
    /// The paper's sampling; deviation as `rarebit prepare` measures it.
    fn default() -> Self {
        Self {
            online: false,
            reward_model_path: String::new(),
            reward_format: RewardFormat::default(),
            num_rounds: 4,
            prompts_per_round: None,
            num_generations: 8,
            gap: 0.0,
            semantic: "sentence-transformers/all-MiniLM-L6-v2".to_owned(),
            style: "builtin:style".to_owned(),
            generation_batch_size: 64,
            max_new_tokens: 2048,
            temperature: 1.0,
            top_k: 50,
            top_p: 0.95,
            min_p: 0.0,
            repetition_penalty: 1.1,
        }
    }
}

impl OnlineSettings {
    /// Takes these settings out of a configuration; none where it is not online.
    pub(crate) fn take(table: &mut Table) -> anyhow::Result<Option<Self>> {
        let mut known = Table::try_from(Self::default())?;
        known.insert("prompts_per_round".to_owned(), Value::Integer(0));
        let mut own = Table::new();
        for key in known.keys() {
            own.extend(table.remove_entry(key));
        }
        let is_online = own.get("online").and_then(Value::as_bool) == Some(true);
        if !is_online {
            own.remove("online");
            let stranger = own.keys().next();
            ensure!(
                stranger.is_none(),
                "`{}` means nothing without online = true (--online)",
                stranger.map_or("", String::as_str)
            );
            return Ok(None);
        }
        ensure!(
            own.contains_key("reward_model_path"),
            "`reward_model_path` is missing: name the reward model that judges what the policy writes \
             (`rarebit reward train` makes one), or builtin:tales in the demo's world"
        );
        let settings: Self = Value::Table(own).try_into()?;
        settings.validate()?;
        Ok(Some(settings))
    }

    fn validate(&self) -> anyhow::Result<()> {
        for (key, number) in [
            ("num_rounds", self.num_rounds),
            ("generation_batch_size", self.generation_batch_size as u64),
            ("max_new_tokens", self.max_new_tokens as u64),
            (
                "prompts_per_round",
                self.prompts_per_round.unwrap_or(1) as u64,
            ),
        ] {
            ensure!(number > 0, "`{key}` is 0: it must be at least 1");
        }
        ensure!(
            self.num_generations >= 2,
            "`num_generations` is {}: a pair needs two responses",
            self.num_generations
        );
        ensure!(
            self.gap >= 0.0 && self.gap.is_finite(),
            "`gap` is {}: it must be 0 or more",
            self.gap
        );
        match self.logits().problem() {
            None => Ok(()),
            Some(problem) => Err(anyhow::anyhow!(problem)),
        }
        .context("the policy cannot be sampled from")
    }

    fn logits(&self) -> LogitsProcessors {
        LogitsProcessors {
            repetition_penalty: self.repetition_penalty as f32,
            temperature: self.temperature as f32,
            top_k: self.top_k,
            top_p: self.top_p as f32,
            min_p: self.min_p as f32,
        }
    }

    /// How a round's responses are drawn.
    pub(crate) fn generation(&self, seed: u64) -> GenerationConfig {
        GenerationConfig {
            max_new_tokens: self.max_new_tokens,
            do_sample: true,
            logits: self.logits(),
            seed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(text: &str) -> anyhow::Result<Option<OnlineSettings>> {
        let mut table: Table = toml::from_str(text).expect("toml");
        table.insert("objective".to_owned(), Value::String("ddpo".to_owned()));
        let taken = OnlineSettings::take(&mut table);
        assert!(table.contains_key("objective"));
        taken
    }

    #[test]
    fn settings_are_taken_out_of_the_others() {
        assert_eq!(take("").expect("none"), None);
        assert_eq!(take("online = false").expect("none"), None);
        let text = "online = true\nreward_model_path = 'm'\nnum_rounds = 2\nprompts_per_round = 3";
        let settings = take(text).expect("valid").expect("online");
        assert_eq!((settings.num_rounds, settings.num_generations), (2, 8));
        let again = toml::to_string(&settings).expect("toml");
        assert_eq!(take(&again).expect("valid"), Some(settings));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let online = "online = true\nreward_model_path = 'm'\n";
        for (text, needle) in [
            ("num_rounds = 2", "`num_rounds` means nothing"),
            ("online = true", "`reward_model_path` is missing"),
            (&format!("{online}num_rounds = 0"), "`num_rounds` is 0"),
            (&format!("{online}num_generations = 1"), "two responses"),
            (&format!("{online}gap = -1.0"), "`gap` is -1"),
            (&format!("{online}top_p = 2.0"), "top"),
        ] {
            let error = format!("{:#}", take(text).expect_err(text));
            assert!(error.contains(needle), "{text}: {error}");
        }
    }
}
