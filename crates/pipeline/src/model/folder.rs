//! Folders of models on disk: which files belong to one, and how one is replaced by another.

use std::fs;
use std::path::{Path, PathBuf};

use rarebit_models::CONFIG;
use rarebit_models::chat::ADDITIONAL_TEMPLATES;
use rarebit_models::lora::{ADAPTER_CONFIG, ADAPTER_MODEL, Adaptable};
use rarebit_models::safetensors_file::{INDEX, Precision, SINGLE, TensorFile, save, save_model};
use rarebit_models::tokenizer::{TOKENIZER, TOKENIZER_CONFIG};
use serde_json::{Value, json};

use crate::error::{Context as _, Result, bail, ensure};
use crate::output;
use crate::session::ModelSource;

/// What a model folder holds beside its weights and settings.
const COMPANIONS: [&str; 10] = [
    TOKENIZER,
    TOKENIZER_CONFIG,
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
];

/// A model on disk: a whole one, or an adapter with the base it belongs to.
pub struct ModelFolder {
    /// The adapter, if it is one.
    pub adapter: Option<PathBuf>,
    /// The whole model, or the one under the adapter.
    pub base: PathBuf,
    /// What the adapter's settings call its base: a hub id as it was given, a folder by its full path.
    base_name: String,
}

impl ModelFolder {
    /// Finds a model by its name, and the base that an adapter names.
    ///
    /// # Errors
    /// When either cannot be found.
    pub fn open(name: &str, models: &dyn ModelSource) -> Result<Self> {
        let folder = models.folder(name)?;
        let adapter = folder
            .join(ADAPTER_CONFIG)
            .is_file()
            .then_some(folder.clone());
        let (base, base_name) = match &adapter {
            Some(adapter) => {
                let base = base_of(adapter)?;
                let folder = models.folder(&base).with_context(|| {
                    format!("the base model of the adapter {}", adapter.display())
                })?;
                (folder, base)
            }
            None => (folder, name.to_owned()),
        };
        Ok(Self {
            adapter,
            base,
            base_name: match fs::canonicalize(&base_name) {
                Ok(path) => path.to_string_lossy().into_owned(),
                Err(_) => base_name,
            },
        })
    }

    /// Where the tokenizer and what goes with it are: the adapter's, if it has its own.
    pub fn companions(&self) -> &Path {
        match &self.adapter {
            Some(adapter) if adapter.join(TOKENIZER).is_file() => adapter,
            _ => &self.base,
        }
    }

    /// Whether the folder is or holds one that this model was read from, so that writing there would
    /// take its ground away.
    pub fn stands_in(&self, folder: &Path) -> bool {
        let same = |own: &Path| match (fs::canonicalize(own), fs::canonicalize(folder)) {
            // A folder is replaced with all that is in it.
            (Ok(own), Ok(folder)) => own.starts_with(folder),
            _ => false,
        };
        same(&self.base) || self.adapter.as_deref().is_some_and(same)
    }

    /// A hash of all files that the log-probabilities of a text depend on.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn hash(&self) -> Result<String> {
        let mut hash = hash_weights(&self.base)? + &output::file_hash(&self.base.join(CONFIG))?;
        if let Some(adapter) = &self.adapter {
            hash += &output::file_hash(&adapter.join(ADAPTER_MODEL))?;
            hash += &output::file_hash(&adapter.join(ADAPTER_CONFIG))?;
        }
        Ok(hash)
    }

    /// Whether its head gives labels and not words.
    ///
    /// # Errors
    /// When its settings cannot be read.
    pub fn is_classifier(&self) -> Result<bool> {
        if let Some(adapter) = &self.adapter {
            let task = read_json(&adapter.join(ADAPTER_CONFIG))?["task_type"].take();
            return Ok(task == "SEQ_CLS");
        }
        let config = read_json(&self.base.join(CONFIG))?;
        let architecture = config["architectures"][0].as_str().unwrap_or_default();
        Ok(architecture.ends_with(CLASSIFIER))
    }

    /// Writes a model as a Hugging Face folder: as an adapter if it carries one, else whole. A model
    /// that stood there before is replaced once the new one is complete.
    ///
    /// # Errors
    /// When the folder holds something else, or cannot be written.
    pub fn write<M: Adaptable>(
        &self,
        folder: &Path,
        model: &M,
        precision: Precision,
        max_shard_size: u64,
    ) -> Result<()> {
        replace(folder, |partial| {
            copy_companions(self.companions(), partial)?;
            if model.adapter().is_some() {
                return Ok(model.save_adapter(partial, &self.base_name, precision)?);
            }
            self.write_config(&partial.join(CONFIG), model, precision)?;
            save_model(partial, &model.named_values(), precision, max_shard_size)?;
            Ok(())
        })
    }

    /// Copies the adapter alone, its settings as they are and its weights in this precision.
    ///
    /// # Errors
    /// When the adapter cannot be read or the folder cannot be written.
    pub fn copy_adapter(&self, adapter: &Path, folder: &Path, precision: Precision) -> Result<()> {
        let file = TensorFile::open(adapter.join(ADAPTER_MODEL))?;
        let tensors = file
            .names()
            .map(|name| Ok((name.to_owned(), file.data(name)?)))
            .collect::<Result<Vec<_>>>()?;
        replace(folder, |partial| {
            copy_companions(adapter, partial)?;
            copy(adapter, partial, ADAPTER_CONFIG)?;
            save(
                &partial.join(ADAPTER_MODEL),
                &tensors,
                precision,
                &file.metadata(),
            )?;
            Ok(())
        })
    }

    /// The base's settings, with the precision that the weights are written in and the head that
    /// they have.
    fn write_config<M: Adaptable>(
        &self,
        path: &Path,
        model: &M,
        precision: Precision,
    ) -> Result<()> {
        let mut config = read_json(&self.base.join(CONFIG))?;
        if let Some(fields) = config.as_object_mut() {
            // transformers 5 writes `dtype`, earlier versions `torch_dtype`; both are read.
            let mut known: Vec<&str> = ["dtype", "torch_dtype"].into();
            known.retain(|key| fields.contains_key(*key));
            for key in if known.is_empty() {
                vec!["torch_dtype"]
            } else {
                known
            } {
                fields.insert(key.to_owned(), precision.torch_name().into());
            }
        }
        match model.num_labels() {
            Some(labels) => {
                name_classifier(&mut config, labels);
                if let (Value::Null, Some(pad)) = (&config["pad_token_id"], model.pad_token_id()) {
                    config["pad_token_id"] = pad.into();
                }
            }
            // A file may hold a head of its own where its settings deny it; not every reader looks.
            None if !model.is_tied() => config["tie_word_embeddings"] = false.into(),
            None => {}
        }
        output::write_atomically(path, |file| {
            Ok(serde_json::to_writer_pretty(file, &config)?)
        })
    }
}

/// What transformers' names of classifiers end in.
const CLASSIFIER: &str = "ForSequenceClassification";

/// Makes the settings of a language model those of a classifier upon it.
fn name_classifier(config: &mut Value, labels: usize) {
    if let Some(Value::String(architecture)) = config.pointer_mut("/architectures/0") {
        for head in ["ForCausalLM", "LMHeadModel"] {
            if let Some(model) = architecture.strip_suffix(head) {
                // The text model of Gemma 3 has a name of its own here.
                let model = if model == "Gemma3" {
                    "Gemma3Text"
                } else {
                    model
                };
                *architecture = format!("{model}{CLASSIFIER}");
            }
        }
    }
    let known = config["id2label"]
        .as_object()
        .map_or(2, |labels| labels.len());
    if known != labels {
        let names: Vec<String> = (0..labels).map(|i| format!("LABEL_{i}")).collect();
        config["id2label"] = names
            .iter()
            .enumerate()
            .map(|(i, name)| (i.to_string(), json!(name)))
            .collect();
        config["label2id"] = names
            .iter()
            .enumerate()
            .map(|(i, name)| (name.clone(), json!(i)))
            .collect();
    }
}

/// The model that an adapter folder names as its base.
fn base_of(adapter: &Path) -> Result<String> {
    let path = adapter.join(ADAPTER_CONFIG);
    let config = read_json(&path)?;
    match config
        .get("base_model_name_or_path")
        .and_then(Value::as_str)
    {
        Some(base) if !base.is_empty() => Ok(base.to_owned()),
        _ => bail!("{} names no base_model_name_or_path", path.display()),
    }
}

fn read_json(path: &Path) -> Result<Value> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{} is not JSON", path.display()))
}

fn hash_weights(folder: &Path) -> Result<String> {
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

fn copy_companions(from: &Path, to: &Path) -> Result<()> {
    for name in COMPANIONS {
        if from.join(name).is_file() {
            copy(from, to, name)?;
        }
    }
    copy_templates(from, to)
}

/// Copies the further chat templates of a folder, if it has any.
fn copy_templates(from: &Path, to: &Path) -> Result<()> {
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

fn copy(from: &Path, to: &Path, name: &str) -> Result<()> {
    let from = from.join(name);
    fs::copy(&from, to.join(name)).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}

/// Fills a folder beside its place and renames it into it.
fn replace(folder: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let (partial, old) = (beside(folder, "partial")?, beside(folder, "old")?);
    check_replaceable(folder)?;
    remove(&partial)?;
    let filled = fs::create_dir_all(&partial)
        .with_context(|| format!("cannot create {}", partial.display()))
        .and_then(|()| fill(&partial));
    if let Err(error) = filled {
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

/// Refuses a place that holds more than a model, which must not be lost.
fn check_replaceable(folder: &Path) -> Result<()> {
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
            "{} contains {}, which is not part of a model and would be lost: give another folder",
            folder.display(),
            name.display()
        );
    }
    Ok(())
}

/// A place beside a folder for what is not ready to stand in it.
fn beside(folder: &Path, what: &str) -> Result<PathBuf> {
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
fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_classifier_is_called_one() {
        for (language_model, classifier) in [
            ("LlamaForCausalLM", "LlamaForSequenceClassification"),
            ("GPT2LMHeadModel", "GPT2ForSequenceClassification"),
            ("Gemma3ForCausalLM", "Gemma3TextForSequenceClassification"),
            (
                "Qwen2ForSequenceClassification",
                "Qwen2ForSequenceClassification",
            ),
        ] {
            let mut config = json!({ "architectures": [language_model], "vocab_size": 3 });
            name_classifier(&mut config, 1);
            let expected = json!({
                "architectures": [classifier],
                "vocab_size": 3,
                "id2label": { "0": "LABEL_0" },
                "label2id": { "LABEL_0": 0 },
            });
            assert_eq!(config, expected);
        }
    }
}
