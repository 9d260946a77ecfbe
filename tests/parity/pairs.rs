//! The twelve preference pairs that losses and training runs share (`pairs.py`).

use burn::tensor::Device;
use rarebit_models::causal_lm::CausalLm;
use rarebit_train::{Completion, Example, Pair, Sequence};
use serde::Deserialize;

use super::fixture::{json, path};

/// What fills the rows of a batch; any token will do.
pub(crate) const PAD: u32 = 0;

#[derive(Deserialize)]
struct Row {
    prompt_ids: Vec<u32>,
    chosen_ids: Vec<u32>,
    rejected_ids: Vec<u32>,
    weight: f32,
}

/// All twelve, in the fixture's order.
pub(crate) fn pairs() -> Vec<Pair> {
    pairs_of("losses/pairs.json")
}

/// All twelve as training examples.
pub(crate) fn examples() -> Vec<Example> {
    pairs().into_iter().map(Example::Pair).collect()
}

/// The pairs of a fixture.
pub(crate) fn pairs_of(fixture: &str) -> Vec<Pair> {
    let rows: Vec<Row> = json(fixture);
    rows.into_iter()
        .enumerate()
        .map(|(i, row)| Pair {
            id: i.to_string(),
            weight: row.weight,
            chosen: Sequence::completion(&row.prompt_ids, &row.chosen_ids),
            rejected: Sequence::completion(&row.prompt_ids, &row.rejected_ids),
        })
        .collect()
}

/// The chosen completion alone, for supervised fine-tuning.
pub(crate) fn chosen(pair: Pair) -> Example {
    Example::Completion(Completion {
        id: pair.id,
        weight: pair.weight,
        sequence: pair.chosen,
    })
}

/// The tiny `policy` or `reference`.
pub(crate) fn model(name: &str, device: &Device) -> CausalLm {
    CausalLm::load(&path(&format!("losses/{name}")), device).expect("a model folder")
}
