//! The twelve preference pairs that losses and training runs share (`pairs.py`).

use burn::tensor::Device;
use rarebit_models::causal_lm::CausalLm;
use rarebit_train::{Example, Sequence};
use serde::Deserialize;

use super::fixture::{json, path};

/// What fills the rows of a batch; any token will do.
pub(crate) const PAD: u32 = 0;

#[derive(Deserialize)]
struct Pair {
    prompt_ids: Vec<u32>,
    chosen_ids: Vec<u32>,
    rejected_ids: Vec<u32>,
    weight: f32,
}

/// All twelve, in the fixture's order.
pub(crate) fn examples() -> Vec<Example> {
    examples_of("losses/pairs.json")
}

/// The pairs of a fixture.
pub(crate) fn examples_of(fixture: &str) -> Vec<Example> {
    let pairs: Vec<Pair> = json(fixture);
    pairs
        .into_iter()
        .enumerate()
        .map(|(i, pair)| Example {
            id: i.to_string(),
            chosen: Sequence::completion(&pair.prompt_ids, &pair.chosen_ids),
            rejected: Some(Sequence::completion(&pair.prompt_ids, &pair.rejected_ids)),
            weight: pair.weight,
            label: None,
        })
        .collect()
}

/// The tiny `policy` or `reference`.
pub(crate) fn model(name: &str, device: &Device) -> CausalLm {
    CausalLm::load(&path(&format!("losses/{name}")), device).expect("a model folder")
}
