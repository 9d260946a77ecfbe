//! The layout of a sentence-transformers folder: which modules, how long a text, how pooled.

use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::ModelError;
use crate::pooling::Pooling;

const MODULES: &str = "modules.json";
const SETTINGS: &str = "config_sentence_transformers.json";
const TOKENIZER_SETTINGS: &str = "tokenizer_config.json";
/// The settings of the Transformer module; the name depends on who saved it.
const TRANSFORMER_SETTINGS: [&str; 4] = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_camembert_config.json",
];

/// What a sentence-transformers folder says about itself.
#[derive(Debug)]
pub(crate) struct SentenceFolder {
    /// Where the encoder and its tokenizer are: the folder itself, or one in it.
    pub(crate) encoder: PathBuf,
    pub(crate) pooling: Pooling,
    /// Longest text in tokens, as far as the folder sets a limit.
    pub(crate) max_tokens: Option<usize>,
    /// Whether texts are lowered before the tokenizer sees them.
    pub(crate) do_lower_case: bool,
    /// The settings files that were read.
    pub(crate) files: Vec<PathBuf>,
}

impl SentenceFolder {
    /// Reads `modules.json` and what it points to. A folder without one is a bare encoder, which
    /// sentence-transformers pools by the mean; so does this.
    pub(crate) fn read(folder: &Path) -> Result<Self, ModelError> {
        if !folder.is_dir() {
            let source = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(ModelError::Read {
                path: folder.to_owned(),
                source,
            });
        }
        let mut found = Self {
            encoder: folder.to_owned(),
            pooling: Pooling::default(),
            max_tokens: None,
            do_lower_case: false,
            files: Vec::new(),
        };
        found.read_modules(folder)?;
        found.refuse_prompt(folder)?;
        found.read_limits()?;
        Ok(found)
    }

    /// Transformer, Pooling, then any number of Normalize, which changes nothing here: rows are
    /// normalised anyway.
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
        let mut pooled = false;
        for (i, module) in modules.iter().enumerate() {
            let kind = module.kind.rsplit('.').next().unwrap_or_default();
            match (i, kind) {
                (0, "Transformer") => self.encoder = inside(folder, &module.path, &path)?,
                (1, "Pooling") => {
                    let config = inside(folder, &module.path, &path)?.join("config.json");
                    self.pooling = Pooling::read(&config)?;
                    self.files.push(config);
                    pooled = true;
                }
                (2.., "Normalize") => {}
                _ => {
                    let what = format!("the module `{}` in place {i}", module.kind);
                    return Err(ModelError::Unsupported { path, what });
                }
            }
        }
        if pooled {
            return Ok(());
        }
        Err(ModelError::Unsupported {
            path,
            what: "an embedder without Pooling".to_owned(),
        })
    }

    /// A text put before every text would have to be kept out of some poolings.
    fn refuse_prompt(&mut self, folder: &Path) -> Result<(), ModelError> {
        let path = folder.join(SETTINGS);
        let Some(settings) = self.json::<Value>(&path)? else {
            return Ok(());
        };
        match settings.get("default_prompt_name").and_then(Value::as_str) {
            None => Ok(()),
            Some(name) => {
                let what = format!("the prompt `{name}` before every text");
                Err(ModelError::Unsupported { path, what })
            }
        }
    }

    fn read_limits(&mut self) -> Result<(), ModelError> {
        #[derive(Deserialize)]
        struct Transformer {
            #[serde(default)]
            max_seq_length: Option<usize>,
            #[serde(default)]
            do_lower_case: bool,
        }
        let settings = TRANSFORMER_SETTINGS.map(|name| self.encoder.join(name));
        if let Some(path) = settings.iter().find(|path| path.is_file())
            && let Some(transformer) = self.json::<Transformer>(path)?
        {
            self.max_tokens = transformer.max_seq_length;
            self.do_lower_case = transformer.do_lower_case;
        }
        if self.max_tokens.is_none() {
            let tokenizer = self.json::<Value>(&self.encoder.join(TOKENIZER_SETTINGS))?;
            // A tokenizer without a limit says 1e30, which saturates.
            self.max_tokens = tokenizer
                .and_then(|settings| settings.get("model_max_length")?.as_f64())
                .map(|limit| limit as usize);
        }
        Ok(())
    }

    /// A JSON file, if there is one; remembered among the files read.
    fn json<T: DeserializeOwned>(&mut self, path: &Path) -> Result<Option<T>, ModelError> {
        if !path.is_file() {
            return Ok(None);
        }
        let bytes = std::fs::read(path).map_err(|source| ModelError::Read {
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

/// A module's folder, which must lie in the model's.
fn inside(folder: &Path, part: &str, asked_by: &Path) -> Result<PathBuf, ModelError> {
    let plain = |component| matches!(component, Component::Normal(_) | Component::CurDir);
    if Path::new(part).components().all(plain) {
        return Ok(folder.join(part));
    }
    Err(ModelError::Setting {
        path: asked_by.to_owned(),
        key: "path".to_owned(),
        reason: format!("`{part}` does not lie in this folder"),
    })
}
