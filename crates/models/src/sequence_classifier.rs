//! A decoder that classifies sequences; with one label, a reward model.
//!
//! Tested against transformers' `AutoModelForSequenceClassification` for every family.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::backbone::{Backbone, BackboneConfig};
use crate::checkpoint::Checkpoint;
use crate::config_file::{self, CONFIG};
use crate::error::ModelError;
use crate::init;
use crate::length_batches::length_batches;
use crate::linear::Linear;
use crate::lora::{ADAPTER_MODEL, Adaptable, LoraConfig, PREFIX};
use crate::parameters::{NamedValues, param};
use crate::safetensors_file::TensorFile;
use crate::tunable::{TunableLayer, TunableModel};

/// Checkpoint key of the head.
const SCORE: &str = "score.weight";
/// Key of the language-modelling head, which a classifier does not use.
const LM_HEAD: &str = "lm_head.weight";

/// A decoder with a head on the last token of a sequence: transformers'
/// `AutoModelForSequenceClassification`.
#[derive(Module, Debug)]
pub struct SequenceClassifier {
    pub(crate) backbone: Backbone,
    /// `[labels, hidden]` in the checkpoint, without bias.
    pub(crate) score: Linear,
    #[module(skip)]
    config: BackboneConfig,
    #[module(skip)]
    pad_token_id: Option<i64>,
    #[module(skip)]
    adapter: Option<LoraConfig>,
}

impl SequenceClassifier {
    /// Loads a Hugging Face folder onto a device.
    ///
    /// # Errors
    /// If `config.json` or the weights are missing, damaged or inconsistent.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        let (path, value) = config_file::read(folder)?;
        let config = BackboneConfig::from_json(&path, &value)?;
        let file = TensorFile::open(folder)?;
        let checkpoint = Checkpoint {
            file: &file,
            device,
        };
        let shape = [labels(&file, SCORE), config.hidden_size()];
        let score = Linear::load(&checkpoint, "score", shape, false)?;
        Self::build(&checkpoint, config, &value, score)
    }

    /// Loads a base model and its adapter. The head comes from the adapter; the base needs none.
    ///
    /// # Errors
    /// As [`Self::load`], and if the adapter does not fit.
    pub fn load_with_adapter(
        base: &Path,
        adapter: &Path,
        device: &Device,
    ) -> Result<(Self, LoraConfig), ModelError> {
        let (path, value) = config_file::read(base)?;
        let config = BackboneConfig::from_json(&path, &value)?;
        let file = TensorFile::open(base)?;
        let checkpoint = Checkpoint {
            file: &file,
            device,
        };
        let labels = labels(
            &TensorFile::open(adapter.join(ADAPTER_MODEL))?,
            &format!("{PREFIX}{SCORE}"),
        );
        let score = Linear::zeros("score", [labels, config.hidden_size()], device);
        Self::build(&checkpoint, config, &value, score)?.with_adapter(adapter)
    }

    /// Loads a language model and replaces its head by a new one with a single label, to train a
    /// reward model. The head is initialized as in transformers, from a normal distribution with
    /// the configuration's `initializer_range`. `pad` is the padding token if the configuration has
    /// none; transformers needs one for batches.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn begin_reward(
        folder: &Path,
        pad: u32,
        seed: u64,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let (path, value) = config_file::read(folder)?;
        let config = BackboneConfig::from_json(&path, &value)?;
        let file = TensorFile::open(folder)?;
        let checkpoint = Checkpoint {
            file: &file,
            device,
        };
        let deviation = value.get("initializer_range").and_then(Value::as_f64);
        let head = init::normal(
            &mut ChaCha8Rng::seed_from_u64(seed),
            [1, config.hidden_size()],
            deviation.map_or(init::DEVIATION, |deviation| deviation as f32),
        );
        let head = Tensor::<2>::from_data(head, device).transpose();
        let score = Linear::new(param(SCORE, head), None);
        let mut model = Self::build(&checkpoint, config, &value, score)?;
        model.pad_token_id.get_or_insert(i64::from(pad));
        Ok(model)
    }

    fn build(
        checkpoint: &Checkpoint<'_>,
        config: BackboneConfig,
        value: &Value,
        score: Linear,
    ) -> Result<Self, ModelError> {
        let backbone = Backbone::load(checkpoint, config.clone())?;
        // The base may have a head, which is replaced.
        checkpoint
            .file
            .check_all_read(config.model_type(), |name| name == SCORE || name == LM_HEAD)?;
        Ok(Self {
            backbone,
            score,
            config,
            pad_token_id: value.get("pad_token_id").and_then(Value::as_i64),
            adapter: None,
        })
    }

    /// Loads a reward model: a classifier with a single label.
    ///
    /// # Errors
    /// As [`Self::load`], and if the head has several labels.
    pub fn load_reward(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        Self::load(folder, device)?.of_one_label(folder)
    }

    /// Loads a reward model that is an adapter on a base model.
    ///
    /// # Errors
    /// As [`Self::load_with_adapter`], and if the head has several labels.
    pub fn load_reward_with_adapter(
        base: &Path,
        adapter: &Path,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let (model, _) = Self::load_with_adapter(base, adapter, device)?;
        model.of_one_label(adapter)
    }

    fn of_one_label(self, folder: &Path) -> Result<Self, ModelError> {
        match self.num_labels() {
            1 => Ok(self),
            labels => Err(ModelError::Setting {
                path: folder.join(CONFIG),
                key: "num_labels".to_owned(),
                reason: format!("a reward model has 1 label, but this model has {labels}"),
            }),
        }
    }

    /// Number of labels.
    pub fn num_labels(&self) -> usize {
        let [labels, _] = self.score.shape();
        labels
    }

    /// The decoder's configuration.
    pub fn config(&self) -> &BackboneConfig {
        &self.config
    }

    /// The device it lives on.
    pub fn device(&self) -> Device {
        self.backbone.device()
    }

    /// The head's logits for the last token of each sequence; padding can be on either side.
    ///
    /// As in transformers, a token with the configuration's `pad_token_id` never counts as the last
    /// one, even if it is not padding. If the padding token is also the end-of-text token, the
    /// latter is skipped.
    ///
    /// # Shapes
    /// - `input_ids`: `[batch, seq]`
    /// - `attention_mask`: `[batch, seq]`, true where there is a token
    /// - output: `[batch, labels]`
    pub fn logits(&self, input_ids: Tensor<2, Int>, attention_mask: Tensor<2, Bool>) -> Tensor<2> {
        let [batch, seq] = input_ids.dims();
        let device = input_ids.device();
        let readable = match self.pad_token_id {
            Some(pad) => attention_mask
                .clone()
                .bool_and(input_ids.clone().not_equal_elem(pad)),
            None => attention_mask.clone(),
        };
        let places = Tensor::<1, Int>::arange(0..seq as i64, &device).unsqueeze::<2>();
        let last = (readable.int() * places).max_dim(1).squeeze_dim::<1>(1); // [batch]
        let first = Tensor::<1, Int>::arange(0..batch as i64, &device) * seq as i64;

        let mask = Some(attention_mask);
        let hidden = self.backbone.run(input_ids, mask, None, &mut |_| {});
        let [_, _, width] = hidden.dims();
        let pooled = hidden
            .reshape([batch * seq, width])
            .select(0, first + last)
            .unsqueeze::<3>(); // [1, batch, hidden]
        self.score.forward(pooled).squeeze_dim(0)
    }

    /// The reward of each sequence: [`Self::logits`] for a single label.
    ///
    /// # Shapes
    /// `[batch, seq]` each, to `[batch]`
    pub fn forward(&self, input_ids: Tensor<2, Int>, attention_mask: Tensor<2, Bool>) -> Tensor<1> {
        self.logits(input_ids, attention_mask)
            .narrow(1, 0, 1)
            .squeeze_dim(1)
    }

    /// The reward of each sequence of token ids. Sequences of similar length are batched, with
    /// about `tokens_per_batch` tokens per batch. Sequences that are too long for the model are
    /// truncated at the end, as transformers' tokenizers do. `on_scored` receives the number of
    /// sequences of each finished batch.
    ///
    /// # Errors
    /// If a sequence is empty or has a token that is not in the model's vocabulary, or the device
    /// fails.
    pub fn score(
        &self,
        sequences: &[Vec<u32>],
        tokens_per_batch: usize,
        on_scored: &mut dyn FnMut(usize),
    ) -> Result<Vec<f32>, ModelError> {
        let limit = self.config.max_position_embeddings();
        let sequences: Vec<&[u32]> = sequences
            .iter()
            .map(|ids| &ids[..ids.len().min(limit)])
            .collect();
        self.check(&sequences)?;
        let lengths: Vec<usize> = sequences.iter().map(|ids| ids.len()).collect();
        let mut rewards = vec![0.0; sequences.len()];
        for places in length_batches(&lengths, tokens_per_batch) {
            let batch: Vec<&[u32]> = places.iter().map(|&i| sequences[i]).collect();
            let found = self.read(&batch)?;
            for (&place, reward) in places.iter().zip(found) {
                rewards[place] = reward;
            }
            on_scored(places.len());
        }
        Ok(rewards)
    }

    fn check(&self, sequences: &[&[u32]]) -> Result<(), ModelError> {
        let vocab_size = self.config.vocab_size();
        for ids in sequences {
            if ids.is_empty() {
                return Err(ModelError::Prompt {
                    reason: "a text to score has no tokens".to_owned(),
                });
            }
            if let Some(id) = ids.iter().find(|&&id| id as usize >= vocab_size) {
                return Err(ModelError::Prompt {
                    reason: format!(
                        "a text to score has token {id}, but the model has only {vocab_size} tokens"
                    ),
                });
            }
        }
        Ok(())
    }

    /// The rewards of a batch, padded on the right.
    fn read(&self, batch: &[&[u32]]) -> Result<Vec<f32>, ModelError> {
        let (input_ids, attention_mask) = padded(batch, &self.backbone.device());
        self.forward(input_ids, attention_mask)
            .try_into_vec_as::<f32>()
            .map_err(|error| ModelError::Readback {
                reason: error.to_string(),
            })
    }
}

/// Token ids padded on the right, and their attention mask, `[rows, seq]` each.
pub fn padded(rows: &[&[u32]], device: &Device) -> (Tensor<2, Int>, Tensor<2, Bool>) {
    let seq = rows.iter().map(|ids| ids.len()).max().unwrap_or(0);
    let mut ids = Vec::with_capacity(rows.len() * seq);
    let mut mask = Vec::with_capacity(rows.len() * seq);
    for row in rows {
        // Padding is masked, so any id works.
        let padding = std::iter::repeat_n(0, seq - row.len());
        ids.extend(row.iter().map(|&id| i64::from(id)).chain(padding));
        mask.extend((0..seq).map(|place| place < row.len()));
    }
    let shape = [rows.len(), seq];
    (
        Tensor::from_data(TensorData::new(ids, shape), device),
        Tensor::from_data(TensorData::new(mask, shape), device),
    )
}

/// Number of labels of the head in a file, or 1 if there is none.
fn labels(file: &TensorFile, head: &str) -> usize {
    match file.shape(head) {
        Some(&[labels, _]) => labels,
        _ => 1,
    }
}

impl TunableModel for SequenceClassifier {
    const TASK_TYPE: &'static str = "SEQ_CLS";
    const TRAINED_IN_FULL: &'static [&'static str] = &["classifier", "score"];

    fn for_each_tunable(&mut self, f: &mut dyn FnMut(&str, TunableLayer<'_>)) {
        self.backbone.for_each_tunable(f);
        f("score", TunableLayer::Head(&mut self.score));
    }

    fn is_tied(&self) -> bool {
        false
    }

    fn untie(&mut self) {}

    fn num_labels(&self) -> Option<usize> {
        Some(Self::num_labels(self))
    }

    fn pad_token_id(&self) -> Option<i64> {
        self.pad_token_id
    }

    fn device(&self) -> Device {
        self.backbone.device()
    }

    fn adapter(&self) -> Option<&LoraConfig> {
        self.adapter.as_ref()
    }

    fn set_adapter(&mut self, adapter: Option<LoraConfig>) {
        self.adapter = adapter;
    }

    fn named_values(&self) -> NamedValues {
        let mut tensors = Vec::new();
        self.backbone.collect(&mut tensors);
        self.score.collect("score", &mut tensors);
        tensors
    }

    fn reload(&self, file: &TensorFile) -> Result<Self, ModelError> {
        let device = self.device();
        let checkpoint = Checkpoint {
            file,
            device: &device,
        };
        Ok(Self {
            backbone: Backbone::load(&checkpoint, self.config.clone())?,
            score: Linear::load(&checkpoint, "score", self.score.shape(), false)?,
            ..self.clone()
        })
    }
}
