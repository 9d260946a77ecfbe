//! The layout of a sentence-transformers folder: its modules, length limits and prompts.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config_file;
use crate::error::ModelError;
use crate::files;
use crate::pooling::Pooling;
use crate::sentence_head::HeadModule;

const MODULES: &str = "modules.json";
const SETTINGS: &str = "config_sentence_transformers.json";
const TOKENIZER_SETTINGS: &str = "tokenizer_config.json";
/// Settings files of the Transformer module; their name depends on the model that was saved.
const TRANSFORMER_SETTINGS: [&str; 7] = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
];

/// Keys of those settings that override the configuration and the tokenizer, under new and old
/// names.
const ARGUMENTS: [&str; 5] = [
    "processing_kwargs",
    "processor_kwargs",
    "tokenizer_args",
    "config_kwargs",
    "config_args",
];

/// The contents of a sentence-transformers folder.
#[derive(Debug)]
pub(crate) struct SentenceFolder {
    /// The folder of the encoder and its tokenizer: the folder itself, or a subfolder.
    pub(crate) encoder: PathBuf,
    /// `None` for a bare encoder.
    pub(crate) pooling: Option<Pooling>,
    /// The modules after the pooling.
    pub(crate) head: Vec<HeadModule>,
    /// The prompts, by name.
    pub(crate) prompts: Prompts,
    /// Number of dimensions to keep.
    pub(crate) truncate_dim: Option<usize>,
    /// Longest text in tokens, if the folder sets a limit.
    pub(crate) max_tokens: Option<usize>,
    /// Whether texts are lower-cased before tokenization.
    pub(crate) do_lower_case: bool,
    /// Whether long texts are truncated at the start instead of the end.
    pub(crate) cut_start: bool,
    /// The settings files that were read.
    pub(crate) files: Vec<PathBuf>,
}

/// The prompts of `config_sentence_transformers.json`.
#[derive(Debug, Default)]
pub(crate) struct Prompts {
    path: PathBuf,
    texts: BTreeMap<String, Option<String>>,
    default: Option<String>,
}

impl Prompts {
    /// The prompt of that name.
    ///
    /// # Errors
    /// If the folder has no prompt of that name.
    pub(crate) fn named(&self, name: &str) -> Result<&str, ModelError> {
        if let Some(text) = self.texts.get(name) {
            return Ok(text.as_deref().unwrap_or_default());
        }
        let known: Vec<&str> = self.texts.keys().map(String::as_str).collect();
        let reason = match known.is_empty() {
            true => format!("no prompt `{name}`, nor any other"),
            false => format!("no prompt `{name}`, only {}", known.join(", ")),
        };
        Err(config_file::wrong(&self.path, "prompts", reason))
    }

    /// The prompt to use if the caller names none.
    pub(crate) fn default_text(&self) -> Result<Option<&str>, ModelError> {
        self.default
            .as_deref()
            .map(|name| self.named(name))
            .transpose()
    }
}

impl SentenceFolder {
    /// Reads `modules.json` and the files that it refers to. A folder without one is a bare
    /// encoder.
    pub(crate) fn read(folder: &Path) -> Result<Self, ModelError> {
        if !files::is_dir(folder) {
            let source = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(ModelError::Read {
                path: folder.to_owned(),
                source,
            });
        }
        let mut found = Self {
            encoder: folder.to_owned(),
            pooling: None,
            head: Vec::new(),
            prompts: Prompts::default(),
            truncate_dim: None,
            max_tokens: None,
            do_lower_case: false,
            cut_start: false,
            files: Vec::new(),
        };
        found.read_modules(folder)?;
        found.read_settings(folder)?;
        found.read_transformer()?;
        Ok(found)
    }

    /// Transformer, Pooling, then any number of Dense and Normalize.
    fn read_modules(&mut self, folder: &Path) -> Result<(), ModelError> {
        #[derive(Deserialize)]
        struct Module {
            path: String,
            #[serde(rename = "type")]
            kind: String,
        }
        let path = folder.join(MODULES);
        let Some(modules) = self.json::<Vec<Module>>(&path)? else {
            return Ok(());
        };
        for (i, module) in modules.iter().enumerate() {
            let kind = module.kind.rsplit('.').next().unwrap_or_default();
            let place = inside(folder, &module.path, &path)?;
            match (i, kind) {
                (0, "Transformer") => self.encoder = place,
                (1, "Pooling") => {
                    let config = place.join("config.json");
                    self.pooling = Some(Pooling::read(&config)?);
                    self.files.push(config);
                }
                (2.., "Dense") => self.head.push(HeadModule::Dense(place)),
                (2.., "Normalize") => {
                    self.check_normalize(&place)?;
                    self.head.push(HeadModule::Normalize);
                }
                _ => {
                    let what = format!("the module `{}` in place {i}", module.kind);
                    return Err(ModelError::Unsupported { path, what });
                }
            }
        }
        match self.pooling {
            Some(_) => Ok(()),
            None => Err(ModelError::Unsupported {
                path,
                what: "an embedder without Pooling".to_owned(),
            }),
        }
    }

    /// Since sentence-transformers 5, the module's settings select one of several vectors.
    fn check_normalize(&mut self, place: &Path) -> Result<(), ModelError> {
        let path = place.join("config.json");
        let Some(config) = self.json::<Value>(&path)? else {
            return Ok(());
        };
        let names = ["module_input_name", "module_output_name"].map(|key| config[key].as_str());
        let other = |name: &&str| *name != "sentence_embedding";
        match names.into_iter().flatten().find(other) {
            None => Ok(()),
            Some(name) => {
                let what = format!("a Normalize module over `{name}`");
                Err(ModelError::Unsupported { path, what })
            }
        }
    }

    /// Prompts and the number of dimensions to keep.
    fn read_settings(&mut self, folder: &Path) -> Result<(), ModelError> {
        #[derive(Deserialize)]
        struct Settings {
            #[serde(default)]
            prompts: BTreeMap<String, Option<String>>,
            default_prompt_name: Option<String>,
            truncate_dim: Option<usize>,
            model_type: Option<String>,
        }
        let path = folder.join(SETTINGS);
        self.prompts.path.clone_from(&path);
        let Some(settings) = self.json::<Settings>(&path)? else {
            return Ok(());
        };
        if let Some(kind) = settings
            .model_type
            .filter(|kind| kind != "SentenceTransformer")
        {
            let what = format!("a `{kind}` as a sentence embedder");
            return Err(ModelError::Unsupported { path, what });
        }
        self.truncate_dim = settings.truncate_dim;
        self.prompts.texts = settings.prompts;
        self.prompts.default = settings.default_prompt_name;
        Ok(())
    }

    fn read_transformer(&mut self) -> Result<(), ModelError> {
        #[derive(Deserialize)]
        struct Transformer {
            #[serde(default)]
            max_seq_length: Option<usize>,
            #[serde(default)]
            do_lower_case: bool,
        }
        let settings = TRANSFORMER_SETTINGS.map(|name| self.encoder.join(name));
        if let Some(path) = settings.iter().find(|path| files::is_file(path))
            && let Some(value) = self.json::<Value>(path)?
        {
            check_transformer(path, &value)?;
            let transformer: Transformer = config_file::parse(path, &value)?;
            self.max_tokens = transformer.max_seq_length;
            self.do_lower_case = transformer.do_lower_case;
        }
        self.read_tokenizer_settings()
    }

    fn read_tokenizer_settings(&mut self) -> Result<(), ModelError> {
        let path = self.encoder.join(TOKENIZER_SETTINGS);
        let Some(settings) = self.json::<Value>(&path)? else {
            return Ok(());
        };
        // A tokenizer without a limit has 1e30 here, which saturates.
        let limit = settings.get("model_max_length").and_then(Value::as_f64);
        self.max_tokens = self.max_tokens.or(limit.map(|limit| limit as usize));
        match settings.get("truncation_side").and_then(Value::as_str) {
            None | Some("right") => {}
            Some("left") => self.cut_start = true,
            Some(side) => {
                let what = format!("the truncation_side `{side}`");
                return Err(ModelError::Unsupported { path, what });
            }
        }
        Ok(())
    }

    /// A JSON file, if it exists; its path is added to the files read.
    fn json<T: DeserializeOwned>(&mut self, path: &Path) -> Result<Option<T>, ModelError> {
        if !files::is_file(path) {
            return Ok(None);
        }
        let bytes = files::read(path).map_err(|source| ModelError::Read {
            path: path.to_owned(),
            source,
        })?;
        let value = serde_json::from_slice(&bytes).map_err(|source| ModelError::Json {
            path: path.to_owned(),
            source,
        })?;
        self.files.push(path.to_owned());
        Ok(Some(value))
    }
}

/// Rejects a Transformer module whose output is not the last hidden states of a text. Since
/// sentence-transformers 5, it can read images, apply a chat template, or be a whole model.
fn check_transformer(path: &Path, settings: &Value) -> Result<(), ModelError> {
    let text = |pointer: &str| settings.pointer(pointer).and_then(Value::as_str);
    let has = |key: &str| match settings.get(key) {
        Some(Value::Object(value)) => value.keys().any(|key| key != "trust_remote_code"),
        _ => false,
    };
    let what = if let Some(task) =
        text("/transformer_task").filter(|it| *it != "feature-extraction")
    {
        format!("the transformer_task `{task}`")
    } else if settings.pointer("/modality_config/message").is_some() {
        "a chat template around every text (`modality_config`)".to_owned()
    } else if let Some(output) =
        text("/modality_config/text/method_output_name").filter(|it| *it != "last_hidden_state")
    {
        format!("the model's `{output}`")
    } else if let Some(name) = text("/module_output_name").filter(|it| *it != "token_embeddings") {
        format!("`{name}` from the Transformer module")
    } else if let Some(arguments) = ARGUMENTS.iter().find(|key| has(key)) {
        format!("settings that override those of its files (`{arguments}`)")
    } else {
        return Ok(());
    };
    let path = path.to_owned();
    Err(ModelError::Unsupported { path, what })
}

/// A module's folder, which must be inside the model's folder.
fn inside(folder: &Path, part: &str, asked_by: &Path) -> Result<PathBuf, ModelError> {
    let plain = |component| matches!(component, Component::Normal(_) | Component::CurDir);
    if Path::new(part).components().all(plain) {
        return Ok(folder.join(part));
    }
    Err(ModelError::Setting {
        path: asked_by.to_owned(),
        key: "path".to_owned(),
        reason: format!("`{part}` is not inside this folder"),
    })
}
