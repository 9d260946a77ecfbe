//! A model folder: a whole model, or an adapter with the base it belongs to.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use burn::tensor::Device;
use rarebit_models::CONFIG;
use rarebit_models::causal_lm::CausalLm;
use rarebit_models::chat::{ADDITIONAL_TEMPLATES, ChatTemplate};
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
    pub(crate) model: CausalLm,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) template: ChatTemplate,
    /// The adapter's settings, if the folder is one.
    pub(crate) adapter: Option<LoraConfig>,
    /// Where tokenizer and template come from.
    folder: PathBuf,
    /// Where the weights under an adapter come from.
    base: PathBuf,
    /// What the adapter's settings call its base: a hub id as it was given, a folder by its full path.
    base_name: String,
    /// A hash of everything that the log-probabilities of a text depend on.
    pub(crate) hash: String,
}

/// Reads a folder or Hugging Face id, on the device.
pub(crate) fn load(name: &str, device: &Device) -> anyhow::Result<LoadedModel> {
    let folder = hub::resolve_model(name)?;
    let is_adapter = folder.join(ADAPTER_CONFIG).is_file();
    let base_name = if is_adapter {
        base_of(&folder)?
    } else {
        name.to_owned()
    };
    let base = if is_adapter {
        hub::resolve_model(&base_name)
            .with_context(|| format!("the base model of the adapter {}", folder.display()))?
    } else {
        folder.clone()
    };
    let model = CausalLm::load(&base, device)?;
    let mut hash = hash_weights(&base)? + &output::file_hash(&base.join(CONFIG))?;
    let (model, adapter) = if is_adapter {
        let (model, config) = model.with_adapter(&folder)?;
        hash += &output::file_hash(&folder.join(ADAPTER_MODEL))?;
        hash += &output::file_hash(&folder.join(ADAPTER_CONFIG))?;
        (model, Some(config))
    } else {
        (model, None)
    };
    let folder = if folder.join(TOKENIZER).is_file() {
        folder
    } else {
        base.clone()
    };
    let tokenizer = Tokenizer::read(&folder, model.config().vocab_size())?;
    let template = ChatTemplate::read(&folder, &tokenizer)?;
    Ok(LoadedModel {
        model,
        tokenizer,
        template,
        adapter,
        folder,
        base_name: match fs::canonicalize(&base_name) {
            Ok(path) => path.to_string_lossy().into_owned(),
            Err(_) => base_name,
        },
        base,
        hash,
    })
}

/// The model that an adapter folder names as its base.
fn base_of(adapter: &Path) -> anyhow::Result<String> {
    let path = adapter.join(ADAPTER_CONFIG);
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let config: Value = serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is not JSON", path.display()))?;
    match config
        .get("base_model_name_or_path")
        .and_then(Value::as_str)
    {
        Some(base) if !base.is_empty() => Ok(base.to_owned()),
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
    /// Whether the folder is one that this model was read from, so that writing there would take its
    /// ground away.
    pub(crate) fn stands_in(&self, folder: &Path) -> bool {
        let same = |own: &Path| match (fs::canonicalize(own), fs::canonicalize(folder)) {
            (Ok(own), Ok(folder)) => own == folder,
            _ => false,
        };
        same(&self.folder) || same(&self.base)
    }

    /// Writes the model as a Hugging Face folder: whole, or as an adapter if `adapter` says so. A
    /// model that stood there before is replaced once the new one is complete.
    pub(crate) fn save(
        &mut self,
        folder: &Path,
        adapter: Option<&LoraConfig>,
        precision: Precision,
    ) -> anyhow::Result<()> {
        let (partial, old) = (beside(folder, "partial")?, beside(folder, "old")?);
        check_replaceable(folder)?;
        remove(&partial)?;
        if let Err(error) = self.fill(&partial, adapter, precision) {
            // On a full disk, half a model only makes matters worse; the error tells the rest.
            let _ = remove(&partial);
            return Err(error);
        }
        let context = || format!("cannot write {}", folder.display());
        if folder.exists() {
            remove(&old)?;
            fs::rename(folder, &old).with_context(context)?;
        }
        fs::rename(&partial, folder).with_context(context)?;
        remove(&old)
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
        copy_templates(&self.folder, partial)?;
        match adapter {
            Some(config) => {
                self.model.save_adapter(partial, config, &self.base_name)?;
            }
            None => {
                self.write_config(&partial.join(CONFIG), precision)?;
                self.model.save_weights(partial, precision)?;
            }
        }
        Ok(())
    }

    /// The base's settings, with the precision that the weights are written in.
    fn write_config(&self, path: &Path, precision: Precision) -> anyhow::Result<()> {
        let from = self.base.join(CONFIG);
        let bytes = fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?;
        let mut config: Value = serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is not JSON", from.display()))?;
        if let Some(fields) = config.as_object_mut() {
            // transformers 5 writes `dtype`, earlier versions `torch_dtype`.
            let key = match fields.contains_key("torch_dtype") {
                true => "torch_dtype",
                false => "dtype",
            };
            let name = match precision {
                Precision::F32 => "float32",
                Precision::F16 => "float16",
                Precision::Bf16 => "bfloat16",
            };
            fields.insert(key.to_owned(), Value::String(name.to_owned()));
        }
        output::write_atomically(path, |file| {
            Ok(serde_json::to_writer_pretty(file, &config)?)
        })
    }
}

/// Refuses a place that holds more than a model, which must not be lost.
fn check_replaceable(folder: &Path) -> anyhow::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    let entries = fs::read_dir(folder)
        .with_context(|| format!("cannot write a model to {}", folder.display()))?;
    for entry in entries {
        let name = entry?.file_name();
        let known = name.to_str().is_some_and(|name| {
            name.ends_with(".safetensors")
                || COMPANIONS.contains(&name)
                || [CONFIG, INDEX, ADAPTER_CONFIG, ADDITIONAL_TEMPLATES].contains(&name)
        });
        ensure!(
            known,
            "{} holds {}, which is no part of a model and would be lost: give another folder",
            folder.display(),
            name.display()
        );
    }
    Ok(())
}

/// Copies the further chat templates of a folder, if it has any.
fn copy_templates(from: &Path, to: &Path) -> anyhow::Result<()> {
    let (from, to) = (
        from.join(ADDITIONAL_TEMPLATES),
        to.join(ADDITIONAL_TEMPLATES),
    );
    if !from.is_dir() {
        return Ok(());
    }
    let context = || format!("cannot copy {}", from.display());
    fs::create_dir_all(&to).with_context(context)?;
    for entry in fs::read_dir(&from).with_context(context)? {
        let entry = entry.with_context(context)?;
        if entry.path().extension().is_some_and(|end| end == "jinja") {
            fs::copy(entry.path(), to.join(entry.file_name())).with_context(context)?;
        }
    }
    Ok(())
}

/// A place beside a folder for what is not ready to stand in it.
fn beside(folder: &Path, what: &str) -> anyhow::Result<PathBuf> {
    let name = folder.file_name().with_context(|| {
        format!(
            "{} cannot be a model's folder: name a new one",
            folder.display()
        )
    })?;
    let name = format!("{}.{what}", name.to_string_lossy());
    Ok(folder.with_file_name(name))
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
