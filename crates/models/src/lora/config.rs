//! An adapter's settings, as peft reads and writes them.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::config_file;
use crate::error::ModelError;
use crate::files;

/// File of an adapter's settings.
pub const ADAPTER_CONFIG: &str = "adapter_config.json";

/// peft's `LoraConfig`, as far as rarebit applies it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoraConfig {
    /// Rank.
    pub r: usize,
    /// Scale: the adapter's output is multiplied by `lora_alpha / r`.
    #[serde(serialize_with = "whole")]
    pub lora_alpha: f64,
    /// Dropout of the adapter's input while training.
    pub lora_dropout: f64,
    /// The layers that get an adapter.
    pub target_modules: TargetModules,
    /// Layers that get none even if `target_modules` matches them.
    pub exclude_modules: Option<TargetModules>,
    /// Indices of the blocks whose layers get one; all if absent. Applies to targets given by name.
    #[serde(deserialize_with = "one_or_many")]
    pub layers_to_transform: Option<Vec<usize>>,
    /// The segment before the block's index in a layer's name; any if absent.
    #[serde(deserialize_with = "one_or_many")]
    pub layers_pattern: Option<Vec<String>>,
    /// Ranks of individual layers: from a regular expression for the end of a layer's name to the
    /// rank. The first match counts.
    #[serde(deserialize_with = "or_empty")]
    pub rank_pattern: Map<String, Value>,
    /// Alphas of individual layers, likewise.
    #[serde(deserialize_with = "or_empty")]
    pub alpha_pattern: Map<String, Value>,
    /// Scale by `lora_alpha / √r` instead (arXiv 2312.03732).
    pub use_rslora: bool,
    /// Modules that are trained in full and saved with the adapter, by the ends of their names.
    pub modules_to_save: Option<Vec<String>>,
    /// Whether `modules_to_save` trains an embedding that is the head as well as one weight.
    /// Otherwise the two become separate weights.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ensure_weight_tying: bool,
}

impl LoraConfig {
    /// Scale of the adapter's output for layers without a rank or alpha of their own.
    pub fn scale(&self) -> f64 {
        self.scale_of(self.r, self.lora_alpha)
    }

    /// Scale for a rank and an alpha.
    pub(crate) fn scale_of(&self, r: usize, alpha: f64) -> f64 {
        let rank = r as f64;
        alpha / if self.use_rslora { rank.sqrt() } else { rank }
    }
}

impl Default for LoraConfig {
    /// peft's defaults, for all linear layers.
    fn default() -> Self {
        Self {
            r: 8,
            lora_alpha: 8.0,
            lora_dropout: 0.0,
            target_modules: TargetModules::all_linear(),
            exclude_modules: None,
            layers_to_transform: None,
            layers_pattern: None,
            rank_pattern: Map::new(),
            alpha_pattern: Map::new(),
            use_rslora: false,
            modules_to_save: None,
            ensure_weight_tying: false,
        }
    }
}

/// A selection of layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TargetModules {
    /// `all-linear`, which is every linear layer except the head, or a regular expression for the
    /// full name of a layer.
    Word(String),
    /// Names, or their last segments, such as `q_proj` or `mlp.c_proj`.
    Names(Vec<String>),
}

impl TargetModules {
    const ALL_LINEAR: &'static str = "all-linear";

    /// Every linear layer except the head.
    pub fn all_linear() -> Self {
        Self::Word(Self::ALL_LINEAR.to_owned())
    }

    /// Whether this is every linear layer except the head.
    pub fn is_all_linear(&self) -> bool {
        matches!(self, Self::Word(word) if word.eq_ignore_ascii_case(Self::ALL_LINEAR))
    }
}

impl fmt::Display for TargetModules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) if self.is_all_linear() => write!(f, "`{word}`"),
            Self::Word(word) => write!(f, "the regular expression `{word}`"),
            Self::Names(names) if names.is_empty() => f.write_str("an empty list"),
            Self::Names(names) => write!(f, "`{}`", names.join("`, `")),
        }
    }
}

/// peft's keys that do not affect the output of a trained adapter.
const WITHOUT_EFFECT: [&str; 16] = [
    "auto_mapping",
    "base_model_name_or_path",
    "corda_config",
    "eva_config",
    "fan_in_fan_out",
    "inference_mode",
    "loftq_config",
    "lora_ga_config",
    "megatron_config",
    "megatron_core",
    "peft_type",
    "peft_version",
    "qalora_group_size",
    "revision",
    "runtime_config",
    "task_type",
];

/// Reads the settings of a peft folder.
///
/// # Errors
/// If there are none, or they need more than LoRA on linear layers.
pub fn read_adapter_config(folder: &Path) -> Result<LoraConfig, ModelError> {
    let path = folder.join(ADAPTER_CONFIG);
    let bytes = files::read(&path).map_err(|source| ModelError::Read {
        path: path.clone(),
        source,
    })?;
    let json = |source| ModelError::Json {
        path: path.clone(),
        source,
    };
    let value: Map<String, Value> = serde_json::from_slice(&bytes).map_err(json)?;
    check(&value, &path)?;
    let config: LoraConfig = config_file::parse(&path, &Value::Object(value))?;
    let dropout = config.lora_dropout;
    if !(0.0..1.0).contains(&dropout) {
        return Err(ModelError::Setting {
            path,
            key: "lora_dropout".to_owned(),
            reason: format!("it is {dropout}, and must be at least 0 and below 1"),
        });
    }
    Ok(config)
}

/// Rejects settings that peft applies and rarebit does not.
fn check(value: &Map<String, Value>, path: &Path) -> Result<(), ModelError> {
    let known = serde_json::to_value(LoraConfig::default()).unwrap_or_default();
    for (key, value) in value {
        let is_neutral = match key.as_str() {
            "peft_type" => value == "LORA",
            "bias" => value == "none",
            // Other initializations change the base's weights.
            "init_lora_weights" => match value {
                Value::String(name) => ["gaussian", "orthogonal", "eva"].contains(&name.as_str()),
                _ => true,
            },
            "ensure_weight_tying" => true,
            key if known.get(key).is_some() || WITHOUT_EFFECT.contains(&key) => true,
            _ => match value {
                Value::Null | Value::Bool(false) => true,
                Value::Array(items) => items.is_empty(),
                Value::Object(fields) => fields.is_empty(),
                _ => false,
            },
        };
        if !is_neutral {
            return Err(ModelError::Unsupported {
                path: path.to_owned(),
                what: format!("`{key}`: {value}"),
            });
        }
    }
    match value.get("target_modules") {
        None | Some(Value::Null) => Err(ModelError::Setting {
            path: path.to_owned(),
            key: "target_modules".to_owned(),
            reason: "no layers are named".to_owned(),
        }),
        _ => Ok(()),
    }
}

/// The settings with what peft's loader also requires.
#[derive(Serialize)]
struct AdapterFile<'a> {
    peft_type: &'static str,
    task_type: &'static str,
    base_model_name_or_path: &'a str,
    bias: &'static str,
    inference_mode: bool,
    fan_in_fan_out: bool,
    init_lora_weights: bool,
    #[serde(flatten)]
    config: &'a LoraConfig,
}

/// Writes the settings in peft's format.
pub(super) fn write(
    folder: &Path,
    config: &LoraConfig,
    task_type: &'static str,
    base: &str,
    fan_in_fan_out: bool,
) -> Result<(), ModelError> {
    let path = folder.join(ADAPTER_CONFIG);
    let file = AdapterFile {
        peft_type: "LORA",
        task_type,
        base_model_name_or_path: base,
        bias: "none",
        inference_mode: true,
        fan_in_fan_out,
        init_lora_weights: true,
        config,
    };
    let json = serde_json::to_vec_pretty(&file).map_err(|source| ModelError::Json {
        path: path.clone(),
        source,
    })?;
    std::fs::write(&path, json).map_err(|source| ModelError::Write { path, source })
}

/// Serializes a whole number without a fraction, as peft does.
fn whole<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    match value.fract() == 0.0 && value.abs() < 1e15 {
        true => serializer.serialize_i64(*value as i64),
        false => serializer.serialize_f64(*value),
    }
}

/// A list, a single value, or null; an empty list counts as null.
fn one_or_many<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany<T> {
        One(T),
        Many(Vec<T>),
    }
    Ok(match Option::deserialize(deserializer)? {
        None => None,
        Some(OneOrMany::One(value)) => Some(vec![value]),
        Some(OneOrMany::Many(values)) => Some(values).filter(|values| !values.is_empty()),
    })
}

fn or_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
