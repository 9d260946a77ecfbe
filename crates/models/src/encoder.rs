//! The encoders of sentence embedders; `config.json` says which one a folder holds.

use std::path::{Path, PathBuf};

use burn::tensor::{Bool, Device, Int, Tensor};
use serde_json::Value;

use crate::bert::{BertConfig, BertModel};
use crate::checkpoint::Checkpoint;
use crate::config_file::{self, CONFIG};
use crate::decoder::{Decoder, DecoderConfig, families::FAMILIES};
use crate::error::ModelError;
use crate::jina_v3::{Adapter, JinaCheckpoint, JinaV3Config, JinaV3Model};
use crate::modernbert::{ModernBertConfig, ModernBertModel};
use crate::pooling::{Pooling, PoolingMode};
use crate::safetensors_file::TensorFile;

/// Computes a vector for every token of a text.
#[derive(Debug)]
pub struct Encoder {
    model: Architecture,
    /// Number of token embeddings.
    pub vocab_size: usize,
    /// Dimension of a token's vector.
    pub hidden_size: usize,
    /// The longest sequence that the encoder supports.
    pub max_tokens: usize,
    /// Id of the padding token; any id works, since padding is masked.
    pub pad_token_id: u32,
    /// The task whose adapter is active.
    pub task: Option<String>,
    /// The instruction that the model expects before texts of that task.
    pub instruction: Option<String>,
    /// Number of dimensions to keep, according to `config.json`.
    pub truncate_dim: Option<usize>,
    /// Pooling for a folder without a Pooling module.
    pub default_pooling: Pooling,
    /// The files that the encoder was loaded from.
    pub files: Vec<PathBuf>,
}

#[derive(Debug)]
enum Architecture {
    Bert(BertModel),
    ModernBert(ModernBertModel),
    JinaV3(JinaV3Model),
    Decoder(Decoder),
}

impl Encoder {
    /// Loads the encoder of a model folder onto a device. `task` selects a task adapter, for models
    /// that have them.
    ///
    /// # Errors
    /// If a file is missing or damaged, a weight is missing or has the wrong shape, or the
    /// architecture or a setting is not supported.
    pub fn open(folder: &Path, task: Option<&str>, device: &Device) -> Result<Self, ModelError> {
        let (path, value) = config_file::read(folder)?;
        let file = TensorFile::open(folder)?;
        let device = device.clone().inner();
        let checkpoint = Checkpoint {
            file: &file,
            device: &device,
        };
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let rotary = text("position_embedding_type") == Some("rotary");
        let mut encoder = match text("model_type") {
            Some("jina_embeddings_v3") => Self::jina_v3(folder, &path, &value, &checkpoint, task),
            Some("xlm-roberta") if rotary => {
                Self::jina_v3(folder, &path, &value, &checkpoint, task)
            }
            Some(_) if task.is_some_and(|task| task != "none") => {
                let reason = "this architecture has no task adapters".to_owned();
                Err(config_file::wrong(folder, "task", reason))
            }
            Some("bert" | "roberta" | "xlm-roberta" | "camembert") => {
                Self::bert(&path, &value, &checkpoint)
            }
            Some("modernbert") => Self::modernbert(&path, &value, &checkpoint),
            Some(family) if FAMILIES.contains(&family) => Self::decoder(&path, &value, &checkpoint),
            other => {
                let what = match other {
                    Some(other) => format!("the architecture `{other}` as a sentence embedder"),
                    None => "no architecture (`model_type` is absent)".to_owned(),
                };
                let path = path.clone();
                Err(ModelError::Unsupported { path, what })
            }
        }?;
        // Some configurations name a padding token that has no embedding.
        let last = encoder.vocab_size.saturating_sub(1) as u32;
        encoder.pad_token_id = encoder.pad_token_id.min(last);
        encoder.files.push(folder.join(CONFIG));
        encoder.files.extend(file.files().map(Path::to_owned));
        Ok(encoder)
    }

    fn bert(path: &Path, value: &Value, checkpoint: &Checkpoint<'_>) -> Result<Self, ModelError> {
        let config = BertConfig::from_json(path, value)?;
        Ok(Self {
            vocab_size: config.vocab_size,
            hidden_size: config.hidden_size,
            max_tokens: config.max_tokens(),
            pad_token_id: config.pad_token_id,
            ..Self::plain(Architecture::Bert(BertModel::load(checkpoint, &config)?))
        })
    }

    fn modernbert(
        path: &Path,
        value: &Value,
        checkpoint: &Checkpoint<'_>,
    ) -> Result<Self, ModelError> {
        let config = ModernBertConfig::from_json(path, value)?;
        let model = ModernBertModel::load(checkpoint, &config)?;
        Ok(Self {
            vocab_size: config.vocab_size,
            hidden_size: config.hidden_size,
            max_tokens: config.max_position_embeddings,
            pad_token_id: config.pad_token_id.unwrap_or(0),
            ..Self::plain(Architecture::ModernBert(model))
        })
    }

    fn jina_v3(
        folder: &Path,
        path: &Path,
        value: &Value,
        checkpoint: &Checkpoint<'_>,
        task: Option<&str>,
    ) -> Result<Self, ModelError> {
        let config = JinaV3Config::from_json(path, value)?;
        let (task, adapter) = Adapter::choose(folder, &config, task)?.unzip();
        let jina = JinaCheckpoint::open(checkpoint, adapter.as_ref())?;
        let model = JinaV3Model::load(&jina, &config)?;
        let instruction = task.as_deref().and_then(|task| config.instruction(task));
        Ok(Self {
            vocab_size: config.vocab_size,
            hidden_size: config.hidden_size,
            max_tokens: config.max_position_embeddings,
            pad_token_id: config.pad_token_id.unwrap_or(0),
            instruction: instruction.map(str::to_owned),
            truncate_dim: config.truncate_dim,
            files: adapter.map_or_else(Vec::new, |adapter| adapter.files()),
            task,
            ..Self::plain(Architecture::JinaV3(model))
        })
    }

    fn decoder(
        path: &Path,
        value: &Value,
        checkpoint: &Checkpoint<'_>,
    ) -> Result<Self, ModelError> {
        let config = DecoderConfig::from_json(path, value)?;
        let prefix = match checkpoint.file.contains("model.embed_tokens.weight") {
            true => "model.",
            false => "",
        };
        let id = |key: &str| value.get(key)?.as_u64().map(|id| id as u32);
        // Like sentence-transformers: causal models pool the last token.
        let architecture = value
            .get("architectures")
            .and_then(|all| all.get(0)?.as_str());
        let pooling = match architecture.is_some_and(|name| name.ends_with("ForCausalLM")) {
            true => Pooling::of(PoolingMode::LastToken),
            false => Pooling::default(),
        };
        Ok(Self {
            vocab_size: config.vocab_size,
            hidden_size: config.hidden_size,
            max_tokens: config.max_position_embeddings,
            pad_token_id: id("pad_token_id").unwrap_or(0),
            default_pooling: pooling,
            ..Self::plain(Architecture::Decoder(Decoder::load(
                checkpoint, prefix, config,
            )?))
        })
    }

    fn plain(model: Architecture) -> Self {
        Self {
            model,
            vocab_size: 0,
            hidden_size: 0,
            max_tokens: 0,
            pad_token_id: 0,
            task: None,
            instruction: None,
            truncate_dim: None,
            default_pooling: Pooling::default(),
            files: Vec::new(),
        }
    }

    /// The last layer's hidden states. `attention_mask` is true for tokens and false for padding,
    /// and `None` if nothing is padded. Padding is on the right; with rotary positions it can be on
    /// either side.
    ///
    /// # Shapes
    /// - `input_ids`, `attention_mask`: `[batch, seq]`
    /// - output: `[batch, seq, hidden]`
    pub fn forward(
        &self,
        input_ids: Tensor<2, Int>,
        attention_mask: Option<Tensor<2, Bool>>,
    ) -> Tensor<3> {
        self.run(input_ids, attention_mask, &mut |_| {})
    }

    /// The output of the embedding and of each block, and the last hidden states, which equal the
    /// last block's output if no norm follows it.
    pub fn hidden_states(
        &self,
        input_ids: Tensor<2, Int>,
        attention_mask: Option<Tensor<2, Bool>>,
    ) -> Vec<Tensor<3>> {
        let mut states = Vec::new();
        let last = self.run(input_ids, attention_mask, &mut |state| {
            states.push(state.clone());
        });
        states.push(last);
        states
    }

    fn run(
        &self,
        input_ids: Tensor<2, Int>,
        attention_mask: Option<Tensor<2, Bool>>,
        visit: &mut dyn FnMut(&Tensor<3>),
    ) -> Tensor<3> {
        match &self.model {
            Architecture::Bert(model) => model.run(input_ids, attention_mask, visit),
            Architecture::ModernBert(model) => model.run(input_ids, attention_mask, visit),
            Architecture::JinaV3(model) => model.run(input_ids, attention_mask, visit),
            Architecture::Decoder(model) => model.run(input_ids, attention_mask, None, visit),
        }
    }
}
