//! A model folder: a whole model, or an adapter with the base it belongs to.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use burn::tensor::Device;
use rarebit_models::chat::ChatTemplate;
use rarebit_models::llama::{CONFIG, LlamaForCausalLm};
use rarebit_models::lora::{ADAPTER_CONFIG, ADAPTER_MODEL, LoraConfig};
use rarebit_models::safetensors_file::{INDEX, Precision, SINGLE};
use rarebit_models::tokenizer::{TOKENIZER, TOKENIZER_CONFIG, Tokenizer};
use serde_json::Value;

use crate::{hub, output};

/// What a model folder holds beside its weights.
const COMPANIONS: [&str; 6] = [
    TOKENIZER,
    TOKENIZER_CONFIG,
    "special_tokens_map.json",
    "chat_template.jinja",
    "generation_config.json",
    "vocab.json",
];

/// A model, ready to train or to write.
pub(crate) struct LoadedModel {
    pub(crate) model: LlamaForCausalLm,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) template: ChatTemplate,
    /// The adapter's settings, if the folder is one.
    pub(crate) adapter: Option<LoraConfig>,
    /// Where tokenizer and template come from.
    folder: PathBuf,
    /// Where the weights under an adapter come from.
    base: PathBuf,
    /// A hash of the weights.
    pub(crate) hash: String,
}

/// Reads a folder or Hugging Face id, on the device.
pub(crate) fn load(name: &str, device: &Device) -> anyhow::Result<LoadedModel> {
    let folder = hub::resolve_model(name)?;
    let is_adapter = folder.join(ADAPTER_CONFIG).is_file();
    let base = if is_adapter {
        base_of(&folder)?
    } else {
        folder.clone()
    };
    let model = LlamaForCausalLm::load(&base, device)?;
    let mut hash = hash_weights(&base)?;
    let (model, adapter) = if is_adapter {
        let (model, config) = model.with_adapter(&folder)?;
        hash += &output::file_hash(&folder.join(ADAPTER_MODEL))?;
        (model, Some(config))
    } else {
        (model, None)
    };
    let folder = if folder.join(TOKENIZER).is_file() {
        folder
    } else {
        base.clone()
    };
    let tokenizer = Tokenizer::read(&folder, model.config().vocab_size)?;
    let template = ChatTemplate::read(&folder, &tokenizer)?;
    Ok(LoadedModel {
        model,
        tokenizer,
        template,
        adapter,
        folder,
        base,
        hash,
    })
}

/// The model that an adapter folder names as its base.
fn base_of(adapter: &Path) -> anyhow::Result<PathBuf> {
    let path = adapter.join(ADAPTER_CONFIG);
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let config: Value = serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is not JSON", path.display()))?;
    match config
        .get("base_model_name_or_path")
        .and_then(Value::as_str)
    {
        Some(base) if !base.is_empty() => hub::resolve_model(base)
            .with_context(|| format!("the base model of the adapter {}", adapter.display())),
        _ => bail!("{} names no base_model_name_or_path", path.display()),
    }
}

fn hash_weights(folder: &Path) -> anyhow::Result<String> {
    let whole = folder.join(SINGLE);
    if whole.is_file() {
        return output::file_hash(&whole);
    }
    let mut shards: Vec<PathBuf> = fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "safetensors")
        })
        .collect();
    shards.sort();
    let mut hashes = output::file_hash(&folder.join(INDEX))?;
    for shard in shards {
        hashes += &output::file_hash(&shard)?;
    }
    Ok(hashes)
}

impl LoadedModel {
    /// Writes the model as a Hugging Face folder: whole, or as an adapter if `adapter` says so. The
    /// folder that stood there before is replaced once the new one is complete.
    pub(crate) fn save(
        &mut self,
        folder: &Path,
        adapter: Option<&LoraConfig>,
        precision: Precision,
    ) -> anyhow::Result<()> {
        let partial = folder.with_extension("partial");
        remove(&partial)?;
        if let Err(error) = self.fill(&partial, adapter, precision) {
            // On a full disk, half a model only makes matters worse; the error tells the rest.
            let _ = remove(&partial);
            return Err(error);
        }
        remove(folder)?;
        fs::rename(&partial, folder).with_context(|| format!("cannot write {}", folder.display()))
    }

    fn fill(
        &mut self,
        partial: &Path,
        adapter: Option<&LoraConfig>,
        precision: Precision,
    ) -> anyhow::Result<()> {
        fs::create_dir_all(partial)
            .with_context(|| format!("cannot create {}", partial.display()))?;
        for name in COMPANIONS {
            let from = self.folder.join(name);
            if from.is_file() {
                fs::copy(&from, partial.join(name))
                    .with_context(|| format!("cannot copy {}", from.display()))?;
            }
        }
        match adapter {
            Some(config) => {
                let base = fs::canonicalize(&self.base).unwrap_or_else(|_| self.base.clone());
                self.model
                    .save_adapter(partial, config, &base.to_string_lossy())?;
            }
            None => {
                fs::copy(self.base.join(CONFIG), partial.join(CONFIG))?;
                self.model.save_weights(partial, precision)?;
            }
        }
        Ok(())
    }
}

/// Removes a folder, if it is there.
fn remove(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
