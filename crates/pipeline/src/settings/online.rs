//! How rounds of online training go.

use rarebit_models::generation::GenerationConfig;
use serde::{Deserialize, Serialize};
use toml::Value;

use super::Reading;
use super::embedders::EmbedderSettings;
use super::sampling::SamplingSettings;
use crate::error::{Context as _, Result, ensure};
use crate::model::reward::RewardFormat;

/// How rounds of training on the policy's own responses go, under the names of TRL's
/// `OnlineDPOConfig` and `GRPOConfig` where they have one.
#[derive(clap::Args, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[command(next_help_heading = "Online")]
pub struct OnlineSettings {
    /// Train on what the policy writes to the data's prompts, round by round
    #[arg(long, num_args = 0..=1, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set)]
    pub online: bool,
    /// The judge of the responses: a reward model's folder, an adapter's folder, or a Hugging Face
    /// id; builtin:tales is the oracle of the demo's tales
    #[arg(
        long,
        value_name = "MODEL",
        default_value = "",
        hide_default_value = true
    )]
    pub reward_model_path: String,
    /// How the reward model reads a prompt and a response
    #[arg(long, value_enum, default_value = "tags")]
    pub reward_format: RewardFormat,
    /// Rounds
    #[arg(long, value_name = "N", default_value = "4")]
    pub num_rounds: u64,
    /// Prompts per round; without it, all
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompts_per_round: Option<usize>,
    /// Responses to each prompt
    #[arg(long, value_name = "K", default_value = "8")]
    pub num_generations: usize,
    /// Prefer pairs whose scores are at least this far apart
    #[arg(long, allow_negative_numbers = true, default_value = "0")]
    pub gap: f64,
    /// Responses that are sampled in one batch
    #[arg(long, value_name = "N", default_value = "64")]
    pub generation_batch_size: usize,
    /// What measures deviation.
    #[command(flatten)]
    #[serde(flatten)]
    pub embedders: EmbedderSettings,
    /// How responses are sampled.
    #[command(flatten)]
    #[serde(flatten)]
    pub sampling: SamplingSettings,
}

impl Default for OnlineSettings {
    fn default() -> Self {
        rarebit_train::defaults()
    }
}

impl OnlineSettings {
    /// Takes these settings out of a configuration; none if it is not online.
    pub(crate) fn take(reading: &mut Reading) -> Result<Option<Self>> {
        let mut own = reading.take_table(super::keys::<Self>());
        let is_online = own.get("online").and_then(Value::as_bool) == Some(true);
        if !is_online {
            own.remove("online");
            let stray = own.keys().next();
            ensure!(
                stray.is_none(),
                "`{}` has no effect without online = true (--online)",
                stray.map_or("", String::as_str)
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

    fn validate(&self) -> Result<()> {
        for (key, number) in [
            ("num_rounds", self.num_rounds),
            ("generation_batch_size", self.generation_batch_size as u64),
            (
                "max_new_tokens",
                self.sampling.truncation.max_new_tokens as u64,
            ),
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
        self.generation(0).map(drop)
    }

    /// How a round's responses are sampled.
    pub(crate) fn generation(&self, seed: u64) -> Result<GenerationConfig> {
        self.sampling
            .config(true, seed)
            .context("the policy cannot be sampled from")
    }
}

#[cfg(test)]
mod tests {
    use toml::Table;

    use super::*;

    fn take(text: &str) -> Result<Option<OnlineSettings>> {
        let mut table: Table = toml::from_str(text).expect("toml");
        table.insert("objective".to_owned(), Value::String("ddpo".to_owned()));
        let mut reading = Reading::new(table);
        let taken = OnlineSettings::take(&mut reading);
        assert!(reading.has("objective"));
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
            ("num_rounds = 2", "`num_rounds` has no effect"),
            ("online = true", "`reward_model_path` is missing"),
            (&format!("{online}num_rounds = 0"), "`num_rounds` is 0"),
            (&format!("{online}num_generations = 1"), "two responses"),
            (&format!("{online}gap = -1.0"), "`gap` is -1"),
            (&format!("{online}top_p = 2.0"), "top"),
        ] {
            let error = take(text).expect_err(text).chain();
            assert!(error.contains(needle), "{text}: {error}");
        }
    }
}
