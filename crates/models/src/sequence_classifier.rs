//! A decoder that classifies a sequence: with one label, a reward model.
//!
//! Checked against transformers' `AutoModelForSequenceClassification` of every family.

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

/// The checkpoint key of the head.
const SCORE: &str = "score.weight";
/// The key of the head for words, which a classifier leaves behind.
const LM_HEAD: &str = "lm_head.weight";

/// A decoder whose head reads the last token of a sequence: transformers'
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
    /// Reads a Hugging Face folder onto a device.
    ///
    /// # Errors
    /// When `config.json` or the weights are missing, damaged or do not fit each other.
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

    /// Reads a base and the adapter upon it, its settings with it. The head is the adapter's; the
    /// base needs none.
    ///
    /// # Errors
    /// As [`Self::load`], and when the adapter does not fit.
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

    /// Reads a language model as the beginning of a reward model: its head for words gives way to a
    /// fresh one of one label, drawn from the seed as transformers draws it, normal with the
    /// configuration's `initializer_range`. `pad` is the padding's token where the configuration
    /// names none; transformers needs one to read several texts at once.
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
        // A base may have a head that the adapter, or a fresh one, replaces.
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

    /// Reads a reward model: a classifier of one label.
    ///
    /// # Errors
    /// As [`Self::load`], and when the head has another number of labels.
    pub fn load_reward(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        Self::load(folder, device)?.of_one_label(folder)
    }

    /// Reads a reward model that is an adapter on a base.
    ///
    /// # Errors
    /// As [`Self::load_with_adapter`], and when the head has another number of labels.
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
                reason: format!("a reward model has 1 label, this one has {labels}"),
            }),
        }
    }

    /// Number of labels.
    pub fn num_labels(&self) -> usize {
        let [labels, _] = self.score.shape();
        labels
    }

    /// The settings of its decoder.
    pub fn config(&self) -> &BackboneConfig {
        &self.config
    }

    /// The device it lives on.
    pub fn device(&self) -> Device {
        self.backbone.device()
    }

    /// The head's reading of each sequence's last token, wherever the padding is.
    ///
    /// As in transformers, tokens of the configuration's `pad_token_id` are never the last one, be
    /// they padding or not: where padding and the end of a text are one token, the end is not read.
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

    /// The reward of each sequence: [`Self::logits`] of a single label.
    ///
    /// # Shapes
    /// `[batch, seq]` each, to `[batch]`
    pub fn forward(&self, input_ids: Tensor<2, Int>, attention_mask: Tensor<2, Bool>) -> Tensor<1> {
        self.logits(input_ids, attention_mask)
            .narrow(1, 0, 1)
            .squeeze_dim(1)
    }

    /// The reward of each sequence of token ids. Sequences of like length are read together, about
    /// `tokens_per_batch` tokens at once; those longer than the model reads are cut at their end, as
    /// a tokenizer of transformers cuts them. `on_scored` hears how many more are done.
    ///
    /// # Errors
    /// When a sequence is empty or has a token the model does not know, or the device fails.
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
                    reason: "a text to be scored has no tokens".to_owned(),
                });
            }
            if let Some(id) = ids.iter().find(|&&id| id as usize >= vocab_size) {
                return Err(ModelError::Prompt {
                    reason: format!(
                        "a text to be scored has token {id}, the model knows {vocab_size} tokens"
                    ),
                });
            }
        }
        Ok(())
    }

    /// The rewards of one batch, padded on the right.
    fn read(&self, batch: &[&[u32]]) -> Result<Vec<f32>, ModelError> {
        let (input_ids, attention_mask) = padded(batch, &self.backbone.device());
        self.forward(input_ids, attention_mask)
            .try_into_vec_as::<f32>()
            .map_err(|error| ModelError::Readback {
                reason: error.to_string(),
            })
    }
}

/// Rows of token ids side by side, padded on the right, and where there is a token, `[rows, seq]`
/// each.
pub fn padded(rows: &[&[u32]], device: &Device) -> (Tensor<2, Int>, Tensor<2, Bool>) {
    let seq = rows.iter().map(|ids| ids.len()).max().unwrap_or(0);
    let mut ids = Vec::with_capacity(rows.len() * seq);
    let mut mask = Vec::with_capacity(rows.len() * seq);
    for row in rows {
        // What fills the rest is masked, so any token will do.
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

/// The labels of the head in a file, 1 where it has none.
fn labels(file: &TensorFile, head: &str) -> usize {
    match file.shape(head) {
        Some(&[labels, _]) => labels,
        _ => 1,
    }
}

impl TunableModel for SequenceClassifier {
    const TASK_TYPE: &'static str = "SEQ_CLS";
    const TRAINED_WHOLE: &'static [&'static str] = &["classifier", "score"];

    fn for_each_tunable(&mut self, f: &mut dyn FnMut(&str, TunableLayer<'_>)) {
        self.backbone.for_each_tunable(f);
        f("score", TunableLayer::Head(&mut self.score));
    }

    fn is_tied(&self) -> bool {
        false
    }

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
