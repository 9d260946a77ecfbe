//! The adapter that a run trains, under peft's names.

use burn::tensor::Device;
use rarebit_models::lora::{Adaptable, LoraConfig, TargetModules};
use serde::{Deserialize, Deserializer, Serialize};
use toml::Value;

use super::{Reading, is_off};
use crate::error::{Result, bail, ensure};

/// The adapter that is trained; defaults are peft's unless a line says otherwise.
#[derive(clap::Args, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "LoRA")]
pub struct LoraSettings {
    /// Train a LoRA adapter instead of the whole model; set by any of lora-r, lora-alpha,
    /// lora-target-modules and lora-modules-to-save
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_peft: Option<bool>,
    /// Rank
    #[arg(long, value_name = "R", default_value = "16")]
    pub lora_r: usize,
    /// Scale: the adapter's output is multiplied by alpha / r
    #[arg(
        long,
        value_name = "ALPHA",
        default_value = "32",
        allow_negative_numbers = true
    )]
    pub lora_alpha: f64,
    /// Dropout of the adapter's input
    #[arg(long, value_name = "P", default_value = "0")]
    pub lora_dropout: f64,
    /// Layers that get an adapter: module name suffixes, all-linear, or one regular expression that
    /// matches full names; the default is the query and value projections, as each architecture
    /// calls them
    #[arg(long, value_name = "NAME", num_args = 1.., default_values = ["q_proj", "v_proj", "c_attn", "qkv_proj"])]
    #[serde(deserialize_with = "names")]
    pub lora_target_modules: Vec<String>,
    /// Modules that are trained in full beside the adapter, such as lm_head
    #[arg(long, value_name = "NAME", num_args = 1..)]
    #[serde(
        deserialize_with = "some_names",
        skip_serializing_if = "Option::is_none"
    )]
    pub lora_modules_to_save: Option<Vec<String>>,
    /// Scale by alpha / √r
    #[arg(long, num_args = 0..=1, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set)]
    #[serde(skip_serializing_if = "is_off")]
    pub use_rslora: bool,
}

impl Default for LoraSettings {
    fn default() -> Self {
        rarebit_train::defaults()
    }
}

impl LoraSettings {
    /// Settings that ask for an adapter without `use_peft`.
    const ASKING: [&str; 4] = [
        "lora_r",
        "lora_alpha",
        "lora_target_modules",
        "lora_modules_to_save",
    ];

    /// Takes these settings out of a configuration.
    pub(crate) fn take(reading: &mut Reading) -> Result<Self> {
        if Self::ASKING.iter().any(|key| reading.has(key)) {
            reading.set_default("use_peft", Value::Boolean(true));
        }
        let lora: Self = reading.take()?;
        lora.validate()?;
        Ok(lora)
    }

    fn validate(&self) -> Result<()> {
        let dropout = self.lora_dropout;
        ensure!(
            (0.0..1.0).contains(&dropout),
            "`lora_dropout` is {dropout}: it must be at least 0 and below 1"
        );
        let alpha = self.lora_alpha;
        ensure!(
            alpha > 0.0 && alpha.is_finite(),
            "`lora_alpha` is {alpha}: it must be above 0, or the adapter learns nothing"
        );
        ensure!(self.lora_r > 0, "`lora_r` is 0: it must be at least 1");
        Ok(())
    }

    /// The adapter to train, if one is asked for.
    pub fn config(&self) -> Option<LoraConfig> {
        if self.use_peft != Some(true) {
            return None;
        }
        Some(LoraConfig {
            r: self.lora_r,
            lora_alpha: self.lora_alpha,
            lora_dropout: self.lora_dropout,
            target_modules: match self.lora_target_modules.as_slice() {
                [word] if !is_name(word) => TargetModules::Word(word.clone()),
                names => TargetModules::Names(names.to_vec()),
            },
            use_rslora: self.use_rslora,
            modules_to_save: self.lora_modules_to_save.clone(),
            ..LoraConfig::default()
        })
    }

    /// The model with the adapter that a run trains, and the adapter's settings: the one that the
    /// folder `name` is, as it is, a fresh one drawn from `seed`, or none.
    pub(crate) fn adapt<M: Adaptable>(
        &self,
        model: M,
        present: Option<LoraConfig>,
        name: &str,
        seed: u64,
        device: &Device,
    ) -> Result<(M, Option<LoraConfig>)> {
        match (present, self.config()) {
            (Some(adapter), None) if self.use_peft.is_none() => Ok((model, Some(adapter))),
            (Some(_), _) => bail!(
                "{name} is an adapter, which is trained further with its own settings: remove use_peft and the lora_ \
                 settings, or fold it into its base with `rarebit export --merge` first"
            ),
            (None, Some(lora)) => {
                device.seed(seed);
                Ok((model.with_lora(&lora)?, Some(lora)))
            }
            (None, None) => Ok((model, None)),
        }
    }
}

/// Module names as a list or as one string, separated by commas or spaces: `"q_proj,v_proj"`.
fn names<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a name or a list of names")]
    enum Names {
        One(String),
        Many(Vec<String>),
    }
    let given = match Names::deserialize(deserializer)? {
        Names::One(word) => vec![word],
        Names::Many(words) => words,
    };
    Ok(given.into_iter().flat_map(split).collect())
}

/// [`names`] of an optional setting.
fn some_names<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Vec<String>>, D::Error> {
    names(deserializer).map(Some)
}

/// The names in a string. A regular expression may contain commas and spaces, so a string is split
/// only if every piece is a name.
fn split(word: String) -> Vec<String> {
    let pieces = word.split([',', ' ']).filter(|piece| !piece.is_empty());
    let pieces: Vec<String> = pieces.map(str::to_owned).collect();
    match pieces.iter().all(|piece| is_name(piece)) && !pieces.is_empty() {
        true => pieces,
        false => vec![word],
    }
}

/// Whether this is a module's name or the end of one, not `all-linear` or a regular expression.
fn is_name(word: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    word.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use toml::Table;

    use super::*;

    fn take(text: &str) -> LoraSettings {
        let table: Table = toml::from_str(text).expect("toml");
        LoraSettings::take(&mut Reading::new(table)).expect("valid")
    }

    #[test]
    fn an_adapter_is_asked_for_by_its_settings_or_by_use_peft() {
        assert_eq!(take("").config(), None);
        assert_eq!(take("lora_dropout = 0.1").config(), None);
        assert_eq!(take("use_peft = false\nlora_r = 4").config(), None);
        let config = take("lora_r = 4").config().expect("an adapter");
        assert_eq!((config.r, config.lora_alpha), (4, 32.0));
        let names = ["q_proj", "v_proj", "c_attn", "qkv_proj"].map(str::to_owned);
        assert_eq!(config.target_modules, TargetModules::Names(names.to_vec()));
        let all = take("lora_target_modules = ['all-linear']").config();
        let word = TargetModules::Word("all-linear".to_owned());
        assert_eq!(all.expect("an adapter").target_modules, word);
    }

    #[test]
    fn names_are_separated_by_commas_or_spaces() {
        for (value, expected) in [
            (r#""q_proj,v_proj""#, &["q_proj", "v_proj"][..]),
            (r#""q_proj v_proj""#, &["q_proj", "v_proj"]),
            (r#""q_proj, mlp.c_proj,""#, &["q_proj", "mlp.c_proj"]),
            (
                r#"["q_proj,v_proj", "o_proj"]"#,
                &["q_proj", "v_proj", "o_proj"],
            ),
            (r#"["q_proj"]"#, &["q_proj"]),
        ] {
            let lora = take(&format!(
                "lora_target_modules = {value}\nlora_modules_to_save = {value}"
            ));
            assert_eq!(
                lora.lora_modules_to_save.as_deref(),
                Some(&*owned(expected))
            );
            let config = lora.config().expect("an adapter");
            let names = TargetModules::Names(owned(expected));
            assert_eq!(config.target_modules, names, "{value}");
        }
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_regular_expression_keeps_its_commas() {
        for word in [r".*\.\d{1,2}\..*(q|v)_proj", ".*q_proj, .*v_proj"] {
            let config = take(&format!("lora_target_modules = '{word}'")).config();
            let targets = config.expect("an adapter").target_modules;
            assert_eq!(targets, TargetModules::Word(word.to_owned()));
        }
    }

    #[test]
    fn anything_but_names_is_refused() {
        let table: Table = toml::from_str("lora_target_modules = 3").expect("toml");
        let error = LoraSettings::take(&mut Reading::new(table)).expect_err("a number");
        let error = format!("{error:#}");
        assert!(error.contains("a name or a list of names"), "{error}");
    }
}
