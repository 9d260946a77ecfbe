//! The adapter that a run trains, under peft's names.

use anyhow::{bail, ensure};
use burn::tensor::Device;
use rarebit_models::lora::{Adaptable, LoraConfig, TargetModules};
use serde::{Deserialize, Serialize};

/// peft's choice, queries and values, as the architectures call them.
const DEFAULT_TARGETS: [&str; 4] = ["q_proj", "v_proj", "c_attn", "qkv_proj"];

/// What a configuration says of the adapter; peft's defaults where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoraSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) use_peft: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lora_r: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lora_alpha: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lora_dropout: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lora_target_modules: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lora_modules_to_save: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) use_rslora: Option<bool>,
}

impl LoraSettings {
    /// Every key of a configuration that belongs here.
    pub(crate) const KEYS: [&str; 7] = [
        "use_peft",
        "lora_r",
        "lora_alpha",
        "lora_dropout",
        "lora_target_modules",
        "lora_modules_to_save",
        "use_rslora",
    ];

    pub(crate) fn validate(&self) -> anyhow::Result<()> {
        if let Some(dropout) = self.lora_dropout {
            ensure!(
                (0.0..1.0).contains(&dropout),
                "`lora_dropout` is {dropout}: it must be at least 0 and below 1"
            );
        }
        ensure!(
            self.lora_r != Some(0),
            "`lora_r` is 0: it must be at least 1"
        );
        Ok(())
    }

    /// Writes out what an adapter takes where nothing was said.
    pub(crate) fn fill_defaults(&mut self) {
        let Some(lora) = self.config() else { return };
        self.use_peft = Some(true);
        self.lora_r = Some(lora.r);
        self.lora_alpha = Some(lora.lora_alpha);
        self.lora_dropout = Some(lora.lora_dropout);
        self.lora_target_modules = Some(match lora.target_modules {
            TargetModules::Word(word) => vec![word],
            TargetModules::Names(names) => names,
        });
        self.use_rslora = Some(lora.use_rslora);
    }

    /// The adapter to train, with peft's defaults where nothing is said.
    pub(crate) fn config(&self) -> Option<LoraConfig> {
        let asked = self.lora_r.is_some()
            || self.lora_alpha.is_some()
            || self.lora_target_modules.is_some()
            || self.lora_modules_to_save.is_some();
        if !self.use_peft.unwrap_or(asked) {
            return None;
        }
        let targets = self
            .lora_target_modules
            .clone()
            .unwrap_or_else(|| DEFAULT_TARGETS.map(str::to_owned).into());
        Some(LoraConfig {
            r: self.lora_r.unwrap_or(16),
            lora_alpha: self.lora_alpha.unwrap_or(32.0),
            lora_dropout: self.lora_dropout.unwrap_or(0.0),
            target_modules: match targets.as_slice() {
                [word] if !is_name(word) => TargetModules::Word(word.clone()),
                _ => TargetModules::Names(targets),
            },
            use_rslora: self.use_rslora.unwrap_or(false),
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
    ) -> anyhow::Result<(M, Option<LoraConfig>)> {
        match (present, self.config()) {
            (Some(adapter), None) if self.use_peft != Some(false) => Ok((model, Some(adapter))),
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

/// Whether it names layers by their ends, and is neither `all-linear` nor a regular expression.
fn is_name(word: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    word.chars().all(is_plain)
}
