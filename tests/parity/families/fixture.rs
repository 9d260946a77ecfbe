//! What `families.py` wrote.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use rarebit_models::causal_lm::CausalLm;
use rarebit_models::lora::Adaptable;
use rarebit_train::{Example, Objective, Pair};
use serde::Deserialize;
use serde_json::Value;

use super::super::fixture::{Array, Tensors, json, path};
use super::super::pairs::pairs_of;
use super::super::training::objective;

/// What all variants share.
#[derive(Deserialize)]
pub(super) struct Settings {
    pub(super) versions: BTreeMap<String, String>,
    variants: Vec<String>,
    pub(super) beta: f32,
    pub(super) lambda: f32,
    pub(super) pairs_per_step: usize,
    pub(super) order: Vec<usize>,
    pub(super) learning_rate: f64,
    pub(super) weight_decay: f32,
    pub(super) clip: f64,
    pub(super) repetition_penalty: f32,
}

impl Settings {
    pub(super) fn read() -> Self {
        json("families/settings.json")
    }

    pub(super) fn objective(&self, name: &str) -> Objective {
        objective(name, self.beta, self.lambda)
    }
}

/// A tiny model and what the libraries compute from it.
pub(super) struct Variant {
    pub(super) name: String,
    pub(super) expected: Expected,
}

#[derive(Deserialize)]
pub(super) struct Expected {
    pub(super) family: String,
    pub(super) about: String,
    /// Per pair, by objective.
    pub(super) losses: BTreeMap<String, Vec<f32>>,
    /// By objective.
    pub(super) gradient_norm: BTreeMap<String, f32>,
    /// By objective and `full` or `lora`.
    pub(super) runs: BTreeMap<String, Run>,
    pub(super) greedy: BTreeMap<String, Greedy>,
    /// `config.json` of a classifier, by its number of labels.
    pub(super) reward_config: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
pub(super) struct Run {
    pub(super) loss: Vec<f32>,
    pub(super) grad_norm: Vec<f32>,
}

#[derive(Deserialize)]
pub(super) struct Greedy {
    pub(super) prompts: Vec<Vec<u32>>,
    pub(super) new_ids: Vec<Vec<u32>>,
}

/// A batch padded on one side.
pub(super) struct Padded {
    pub(super) side: &'static str,
    pub(super) ids: Array<i64>,
    pub(super) mask: Array<i64>,
}

impl Variant {
    /// Every variant, in the order of the table.
    pub(super) fn all() -> Vec<Self> {
        let names = Settings::read().variants.into_iter();
        names
            .map(|name| {
                let expected = json(&format!("families/{name}/expected.json"));
                Self { name, expected }
            })
            .collect()
    }

    pub(super) fn folder(&self) -> PathBuf {
        path("families").join(&self.name)
    }

    pub(super) fn adapter(&self) -> PathBuf {
        self.folder().join("adapter")
    }

    pub(super) fn tensors(&self, file: &str) -> Tensors {
        Tensors::read(&self.folder().join(file))
    }

    pub(super) fn model(&self, device: &Device) -> CausalLm {
        load(&self.folder(), device)
    }

    /// The model under its adapter.
    pub(super) fn adapted(&self, device: &Device) -> CausalLm {
        let adapted = self.model(device).with_adapter(&self.adapter());
        adapted.expect("an adapter that fits").0
    }
}

pub(super) fn load(folder: &Path, device: &Device) -> CausalLm {
    CausalLm::load(folder, device).expect("a model folder")
}

/// The pairs that every variant is trained on.
pub(super) fn pairs() -> Vec<Pair> {
    pairs_of("families/pairs.json")
}

/// The same as training examples.
pub(super) fn examples() -> Vec<Example> {
    pairs().into_iter().map(Example::Pair).collect()
}

/// The batch of `io.safetensors` whose keys start so, padded on the right and on the left.
pub(super) fn sides(io: &Tensors, prefix: &str) -> [Padded; 2] {
    ["right", "left"].map(|side| Padded {
        side,
        ids: io.i64(&format!("{prefix}{side}.input_ids")),
        mask: io.i64(&format!("{prefix}{side}.attention_mask")),
    })
}
