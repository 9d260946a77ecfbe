//! Low-rank adapters in peft's format: `adapter_config.json` and `adapter_model.safetensors`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::causal_lm::CausalLm;
use crate::error::ModelError;
use crate::safetensors_file::{Precision, TensorFile, save};
use crate::weights::{NamedTensors, contiguous_transpose};

/// File of an adapter's settings.
pub const ADAPTER_CONFIG: &str = "adapter_config.json";
/// File of an adapter's weights.
pub const ADAPTER_MODEL: &str = "adapter_model.safetensors";
/// What peft puts before the names of the model's own modules.
const PREFIX: &str = "base_model.model.";

/// peft's `LoraConfig`, as far as rarebit applies it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoraConfig {
    /// Rank.
    pub r: usize,
    /// Scale: the adapter's output is multiplied by `lora_alpha / r`.
    pub lora_alpha: f64,
    /// Dropout of the adapter's input while training.
    #[serde(default)]
    pub lora_dropout: f64,
    /// Names of the linear layers that get an adapter, or the one word `all-linear`.
    pub target_modules: TargetModules,
    /// Scale by `lora_alpha / √r` instead (arXiv 2312.03732).
    #[serde(default)]
    pub use_rslora: bool,
}

/// Which layers get an adapter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TargetModules {
    /// `all-linear`: every linear layer but the head.
    Word(String),
    /// Last components of the layers' names, such as `q_proj`.
    Names(Vec<String>),
}

impl TargetModules {
    fn takes(&self, module: &str) -> bool {
        let last = module.rsplit('.').next().unwrap_or(module);
        match self {
            Self::Word(word) => word == "all-linear" || word == last,
            Self::Names(names) => names.iter().any(|name| name == last),
        }
    }
}

impl LoraConfig {
    /// The factor of the adapter's output.
    pub fn scale(&self) -> f64 {
        let rank = self.r as f64;
        self.lora_alpha / if self.use_rslora { rank.sqrt() } else { rank }
    }
}

/// What peft's loader requires beside the settings that rarebit reads.
#[derive(Serialize)]
struct AdapterFile<'a> {
    peft_type: &'static str,
    task_type: &'static str,
    base_model_name_or_path: &'a str,
    bias: &'static str,
    inference_mode: bool,
    fan_in_fan_out: bool,
    #[serde(flatten)]
    config: &'a LoraConfig,
}

impl CausalLm {
    /// Freezes the model and adds fresh adapters to its target layers.
    ///
    /// # Errors
    /// When no layer has a name among the targets.
    pub fn with_lora(self, config: &LoraConfig) -> Result<Self, ModelError> {
        use burn::module::Module;
        let mut model = self.no_grad();
        let mut attached = 0;
        model.backbone.for_each_linear(&mut |name, linear| {
            if config.target_modules.takes(name) {
                linear.attach_lora(name, config);
                attached += 1;
            }
        });
        match attached {
            0 => Err(ModelError::Setting {
                path: ADAPTER_CONFIG.into(),
                key: "target_modules".to_owned(),
                reason: format!(
                    "no layer is named {:?}; a LLaMA has q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj and down_proj",
                    config.target_modules
                ),
            }),
            _ => Ok(model),
        }
    }

    /// Freezes the model and adds the adapter of a peft folder.
    ///
    /// # Errors
    /// When the folder holds no adapter, or one that does not fit this model.
    pub fn with_adapter(self, folder: &Path) -> Result<(Self, LoraConfig), ModelError> {
        use burn::module::Module;
        let config = read_adapter_config(folder)?;
        let file = TensorFile::open(folder.join(ADAPTER_MODEL))?;
        let device = self.device();
        let mut model = self.no_grad();
        let mut failure = None;
        let mut used = 0;
        model.backbone.for_each_linear(&mut |name, linear| {
            let key = |part: &str| format!("{PREFIX}{name}.{part}.weight");
            if failure.is_some() || !file.contains(&key("lora_A")) {
                return;
            }
            let [out, input] = linear.shape();
            let parts = file
                .tensor_of(&key("lora_A"), [config.r, input], &device)
                .and_then(|a| Ok((a, file.tensor_of(&key("lora_B"), [out, config.r], &device)?)));
            match parts {
                Ok((a, b)) => linear.set_lora(
                    name,
                    contiguous_transpose(a),
                    contiguous_transpose(b),
                    &config,
                ),
                Err(error) => failure = Some(error),
            }
            used += 2;
        });
        if let Some(error) = failure {
            return Err(error);
        }
        if let Some(stranger) = (used < file.names().count())
            .then(|| file.names().next())
            .flatten()
        {
            return Err(ModelError::Setting {
                path: folder.join(ADAPTER_MODEL),
                key: stranger.to_owned(),
                reason: format!(
                    "{used} of the adapter's {} tensors fit a layer of this model",
                    file.names().count()
                ),
            });
        }
        Ok((model, config))
    }

    /// What training changes: the adapters if there are any, else every parameter.
    pub fn trained_tensors(&self) -> NamedTensors {
        let mut adapters = Vec::new();
        self.backbone
            .clone()
            .for_each_linear(&mut |name, linear| linear.collect_lora(name, &mut adapters));
        if adapters.is_empty() {
            self.named_tensors()
        } else {
            adapters
        }
    }

    /// The model with the values of [`Self::trained_tensors`] read back.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub fn with_trained_tensors(mut self, file: &TensorFile) -> Result<Self, ModelError> {
        let mut result = Ok(false);
        self.backbone.for_each_linear(&mut |name, linear| {
            if let Ok(any) = &result {
                result = linear.read_lora(name, file).map(|read| read || *any);
            }
        });
        match result? {
            true => Ok(self),
            false => Self::from_tensors(file, self.config().clone(), &self.device()),
        }
    }

    /// Folds the adapters into the weights they adapt.
    pub fn merge_lora(mut self) -> Self {
        self.backbone
            .for_each_linear(&mut |_, linear| linear.merge_lora());
        self
    }

    /// Writes the adapter as a folder that `PeftModel.from_pretrained` reads.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn save_adapter(
        &mut self,
        folder: &Path,
        config: &LoraConfig,
        base: &str,
    ) -> Result<(), ModelError> {
        let mut tensors = Vec::new();
        self.backbone.for_each_linear(&mut |name, linear| {
            linear.collect_lora(&format!("{PREFIX}{name}"), &mut tensors)
        });
        save(
            &folder.join(ADAPTER_MODEL),
            &tensors,
            Precision::F32,
            &format_metadata(),
        )?;
        let path = folder.join(ADAPTER_CONFIG);
        let file = AdapterFile {
            peft_type: "LORA",
            task_type: "CAUSAL_LM",
            base_model_name_or_path: base,
            bias: "none",
            inference_mode: true,
            fan_in_fan_out: false,
            config,
        };
        let json = serde_json::to_vec_pretty(&file).map_err(|source| ModelError::Json {
            path: path.clone(),
            source,
        })?;
        std::fs::write(&path, json).map_err(|source| ModelError::Write { path, source })
    }
}

/// The header entry by which transformers knows a file as PyTorch's layout.
pub(crate) fn format_metadata() -> BTreeMap<String, String> {
    BTreeMap::from([("format".to_owned(), "pt".to_owned())])
}

/// Reads the settings of a peft folder.
///
/// # Errors
/// When there are none, or they ask for more than plain LoRA.
pub fn read_adapter_config(folder: &Path) -> Result<LoraConfig, ModelError> {
    let path = folder.join(ADAPTER_CONFIG);
    let bytes = std::fs::read(&path).map_err(|source| ModelError::Read {
        path: path.clone(),
        source,
    })?;
    let value: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|source| ModelError::Json {
            path: path.clone(),
            source,
        })?;
    let unsupported = |what: String| ModelError::Unsupported {
        path: path.clone(),
        what,
    };
    if let Some(kind) = value
        .get("peft_type")
        .and_then(|kind| kind.as_str())
        .filter(|kind| *kind != "LORA")
    {
        return Err(unsupported(format!("peft_type `{kind}`")));
    }
    if value.get("use_dora").and_then(|dora| dora.as_bool()) == Some(true) {
        return Err(unsupported("DoRA".to_owned()));
    }
    if let Some(bias) = value
        .get("bias")
        .and_then(|bias| bias.as_str())
        .filter(|bias| *bias != "none")
    {
        return Err(unsupported(format!("bias `{bias}`")));
    }
    for key in ["rank_pattern", "alpha_pattern"] {
        if value
            .get(key)
            .and_then(|pattern| pattern.as_object())
            .is_some_and(|pattern| !pattern.is_empty())
        {
            return Err(unsupported(format!("a `{key}`")));
        }
    }
    serde_json::from_value(value).map_err(|source| ModelError::Json { path, source })
}
