//! The published layouts of weights and adapters behind one interface.
//!
//! Keys are transformers' (`layers.0.self_attn.q_proj`) or those of
//! jinaai/xlm-roberta-flash-implementation (`encoder.layers.0.mixer.Wqkv`), which transformers also
//! writes; either may start with `roberta.`. Adapters are stacked by task inside the flash layout
//! (`X.parametrizations.weight.0.lora_A` beside `X.parametrizations.weight.original`), or are in a
//! peft folder per task.

use std::cell::RefCell;
use std::collections::HashSet;

use burn::nn::LayerNorm;
use burn::tensor::Tensor;

use super::tasks::{Adapter, Stack};
use crate::checkpoint::Checkpoint;
use crate::config_file;
use crate::error::ModelError;
use crate::linear::Linear;
use crate::lora::{ADAPTER_MODEL, LoraConfig, read_adapter_config};
use crate::norm::layer_norm;
use crate::parameters::param;
use crate::safetensors_file::TensorFile;

/// The names that transformers replaces when it reads the flash layout, in this order.
const FLASH_NAMES: [(&str, &str); 5] = [
    ("layers.", "encoder.layers."),
    ("self_attn.o_proj", "mixer.out_proj"),
    ("post_attention_layernorm", "norm1"),
    ("post_mlp_layernorm", "norm2"),
    ("embeddings.LayerNorm", "emb_ln"),
];

/// `left · right`, an adapter's update of a weight in the checkpoint's layout.
pub(super) struct LowRank {
    /// `[rows, r]`
    pub(super) left: Tensor<2>,
    /// `[r, columns]`, scaled
    pub(super) right: Tensor<2>,
}

/// A weight with its adapter, if it has one, merged.
fn with(weight: Tensor<2>, adapter: Option<LowRank>) -> Tensor<2> {
    match adapter {
        Some(LowRank { left, right }) => weight + left.matmul(right),
        None => weight,
    }
}

/// A layer from a weight in the checkpoint's layout, `[out, in]`.
fn linear(name: &str, weight: Tensor<2>, bias: Tensor<1>) -> Linear {
    Linear::new(
        param(&format!("{name}.weight"), contiguous_transpose(weight)),
        Some(param(&format!("{name}.bias"), bias)),
    )
}

/// A contiguous transpose: a strided view would slow down every forward pass.
fn contiguous_transpose(tensor: Tensor<2>) -> Tensor<2> {
    let device = tensor.device();
    Tensor::from_data(tensor.transpose().into_data(), &device)
}

/// Where an adapter is read from.
enum Source {
    None,
    Stacked(Stack),
    Peft(Box<PeftFile>),
}

/// An adapter in peft's layout.
struct PeftFile {
    file: TensorFile,
    config: LoraConfig,
    /// The tensors that have been used.
    used: RefCell<HashSet<String>>,
}

/// A checkpoint and one of its adapters.
pub(crate) struct JinaCheckpoint<'a> {
    checkpoint: &'a Checkpoint<'a>,
    prefix: &'static str,
    flash: bool,
    source: Source,
}

impl<'a> JinaCheckpoint<'a> {
    /// Detects the layout by its keys and opens the adapter.
    pub(crate) fn open(
        checkpoint: &'a Checkpoint<'a>,
        adapter: Option<&Adapter>,
    ) -> Result<Self, ModelError> {
        let has = |key: &str| checkpoint.file.contains(key);
        let starts = |prefix: &str, norm: &str| has(&format!("{prefix}{norm}.weight"));
        let prefix = ["", "roberta."]
            .into_iter()
            .find(|prefix| starts(prefix, "emb_ln") || starts(prefix, "embeddings.LayerNorm"));
        let prefix = prefix.unwrap_or("");
        let source = match adapter {
            None => Source::None,
            Some(&Adapter::Stacked(stack)) => {
                let first = "parametrizations.weight.0.lora_A";
                if !checkpoint.file.names().any(|name| name.ends_with(first)) {
                    let path = checkpoint.file.path().to_owned();
                    let name = first.to_owned();
                    return Err(ModelError::MissingTensor { path, name });
                }
                Source::Stacked(stack)
            }
            Some(Adapter::Peft(folder)) => Source::Peft(Box::new(PeftFile {
                file: TensorFile::open(folder.join(ADAPTER_MODEL))?,
                config: read_adapter_config(folder)?,
                used: RefCell::default(),
            })),
        };
        Ok(Self {
            checkpoint,
            prefix,
            flash: starts(prefix, "emb_ln"),
            source,
        })
    }

    /// The checkpoint's key for transformers' name.
    fn key(&self, name: &str) -> String {
        let name = match self.flash {
            true => FLASH_NAMES
                .iter()
                .fold(name.to_owned(), |name, (theirs, flash)| {
                    name.replace(theirs, flash)
                }),
            false => name.to_owned(),
        };
        format!("{}{name}", self.prefix)
    }

    pub(super) fn norm(
        &self,
        name: &str,
        hidden: usize,
        eps: f64,
    ) -> Result<LayerNorm, ModelError> {
        layer_norm(self.checkpoint, &self.key(name), hidden, eps, true)
    }

    /// A linear layer with a bias, `[out, in]`.
    pub(super) fn linear(&self, name: &str, shape: [usize; 2]) -> Result<Linear, ModelError> {
        let weight = self.adapted(name, shape)?;
        Ok(linear(name, weight, self.bias(name, shape[0])?))
    }

    /// A layer's fused projection to queries, keys and values.
    pub(super) fn qkv(&self, layer: &str, hidden: usize) -> Result<Linear, ModelError> {
        let parts = ["q_proj", "k_proj", "v_proj"].map(|part| format!("{layer}.self_attn.{part}"));
        let name = format!("{layer}.mixer.Wqkv");
        let shape = [hidden, hidden];
        if !self.flash {
            let weights = parts.iter().map(|part| self.adapted(part, shape));
            let biases = parts.iter().map(|part| self.bias(part, hidden));
            let weights = weights.collect::<Result<_, _>>()?;
            let biases = biases.collect::<Result<_, _>>()?;
            return Ok(linear(
                &name,
                Tensor::cat(weights, 0),
                Tensor::cat(biases, 0),
            ));
        }
        // Stacked adapters apply to the fused projection, those in a peft folder to its parts.
        let fused = self.adapted(&name, [3 * hidden, hidden])?;
        let mut weights = Vec::with_capacity(parts.len());
        for (i, part) in parts.iter().enumerate() {
            let weight = fused.clone().narrow(0, i * hidden, hidden);
            weights.push(with(weight, self.linear_adapter(part, shape)?));
        }
        let bias = self.bias(&name, 3 * hidden)?;
        Ok(linear(&name, Tensor::cat(weights, 0), bias))
    }

    /// A weight without its adapter.
    pub(super) fn base(&self, name: &str, shape: [usize; 2]) -> Result<Tensor<2>, ModelError> {
        let Checkpoint { file, device } = self.checkpoint;
        let key = self.key(name);
        let beside = format!("{key}.parametrizations.weight.original");
        let key = match file.contains(&beside) {
            true => beside,
            false => format!("{key}.weight"),
        };
        file.tensor_of(&key, shape, device)
    }

    fn bias(&self, name: &str, out: usize) -> Result<Tensor<1>, ModelError> {
        let Checkpoint { file, device } = self.checkpoint;
        file.tensor_of(&format!("{}.bias", self.key(name)), [out], device)
    }

    /// A linear layer's weight with its adapter merged.
    fn adapted(&self, name: &str, shape: [usize; 2]) -> Result<Tensor<2>, ModelError> {
        Ok(with(
            self.base(name, shape)?,
            self.linear_adapter(name, shape)?,
        ))
    }

    /// A small embedding with its adapter merged.
    pub(super) fn adapted_embedding(
        &self,
        name: &str,
        shape: [usize; 2],
    ) -> Result<Tensor<2>, ModelError> {
        Ok(with(
            self.base(name, shape)?,
            self.embedding_adapter(name, shape)?,
        ))
    }

    /// The adapter of a linear layer, `B A`, scaled.
    fn linear_adapter(
        &self,
        name: &str,
        [out, input]: [usize; 2],
    ) -> Result<Option<LowRank>, ModelError> {
        let (pair, scale) = match &self.source {
            Source::None => return Ok(None),
            Source::Stacked(stack) => {
                let shapes = [[stack.rank, input], [out, stack.rank]];
                (self.stacked(stack, name, shapes)?, stack.scale)
            }
            Source::Peft(peft) => {
                let rank = peft.config.r;
                let parts = ["lora_A.weight", "lora_B.weight"];
                let shapes = [[rank, input], [out, rank]];
                (self.peft(peft, name, parts, shapes)?, peft.config.scale())
            }
        };
        Ok(pair.map(|[a, b]| LowRank {
            left: b,
            right: a * scale,
        }))
    }

    /// The adapter of an embedding, `A B`, scaled; peft stores both transposed.
    pub(super) fn embedding_adapter(
        &self,
        name: &str,
        [rows, columns]: [usize; 2],
    ) -> Result<Option<LowRank>, ModelError> {
        let (pair, scale) = match &self.source {
            Source::None => return Ok(None),
            Source::Stacked(stack) => {
                let shapes = [[rows, stack.rank], [stack.rank, columns]];
                (self.stacked(stack, name, shapes)?, stack.scale)
            }
            Source::Peft(peft) => {
                let rank = peft.config.r;
                let parts = ["lora_embedding_A", "lora_embedding_B"];
                let shapes = [[rank, rows], [columns, rank]];
                let pair = self.peft(peft, name, parts, shapes)?;
                (
                    pair.map(|pair| pair.map(contiguous_transpose)),
                    peft.config.scale(),
                )
            }
        };
        Ok(pair.map(|[a, b]| LowRank {
            left: a,
            right: b * scale,
        }))
    }

    /// A layer's `lora_A` and `lora_B` for the selected task, if the layer has an adapter.
    fn stacked(
        &self,
        stack: &Stack,
        name: &str,
        shapes: [[usize; 2]; 2],
    ) -> Result<Option<[Tensor<2>; 2]>, ModelError> {
        let Checkpoint { file, device } = self.checkpoint;
        let layer = format!("{}.parametrizations.weight", self.key(name));
        // Only weights with an adapter have the name `original`.
        if !file.contains(&format!("{layer}.original")) {
            return Ok(None);
        }
        let read = |part: &str, [rows, columns]: [usize; 2]| {
            let shape = [stack.tasks, rows, columns];
            let all: Tensor<3> = file.tensor_of(&format!("{layer}.0.{part}"), shape, device)?;
            Ok(all.narrow(0, stack.place, 1).squeeze_dim(0))
        };
        Ok(Some([
            read("lora_A", shapes[0])?,
            read("lora_B", shapes[1])?,
        ]))
    }

    /// Two tensors of a layer in the peft folder, if the first exists.
    fn peft(
        &self,
        peft: &PeftFile,
        name: &str,
        parts: [&str; 2],
        shapes: [[usize; 2]; 2],
    ) -> Result<Option<[Tensor<2>; 2]>, ModelError> {
        let layers = ["", "roberta."].map(|prefix| format!("base_model.model.{prefix}{name}"));
        let has = |layer: &&String| peft.file.contains(&format!("{layer}.{}", parts[0]));
        let Some(layer) = layers.iter().find(has) else {
            return Ok(None);
        };
        let read = |part: &str, shape| {
            let key = format!("{layer}.{part}");
            let tensor = peft.file.tensor_of(&key, shape, self.checkpoint.device);
            peft.used.borrow_mut().insert(key);
            tensor
        };
        Ok(Some([
            read(parts[0], shapes[0])?,
            read(parts[1], shapes[1])?,
        ]))
    }

    /// Rejects an adapter with unused tensors, except for the pooler's.
    pub(super) fn refuse_strangers(&self) -> Result<(), ModelError> {
        let Source::Peft(peft) = &self.source else {
            return Ok(());
        };
        let used = peft.used.borrow();
        let mut strangers = peft
            .file
            .names()
            .filter(|name| !name.contains(".pooler.") && !used.contains(*name));
        match strangers.next() {
            None => Ok(()),
            Some(name) => Err(config_file::wrong(
                peft.file.path(),
                name,
                "adapts a module that jina-embeddings-v3 does not have".to_owned(),
            )),
        }
    }
}
