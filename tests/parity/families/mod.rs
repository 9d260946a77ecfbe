//! Every decoder against transformers, peft and TRL (`families.py`, `decoders.py`): a tiny random
//! model of each, and of the variants in which a family's configurations differ.
//!
//! A [`Column`] compares one thing for all of them and remembers the largest error of each; the
//! test in `table.rs` writes them to `docs/families.md`. On a GPU, `gpu.rs` repeats the heart of it.
//!
//! Deliberate differences to the libraries:
//! - Positions count from the first token of a row, padding left out, as `generate` counts them;
//!   called without `position_ids`, GPT-2 in transformers counts padding on the left, too.
//! - ORPO's NLL is over the completion; TRL's trainer, which takes it over the prompt as well, is
//!   asked for the completion (`trl_peers.py`).
//! - GPT-2's dropout is not applied; the fixtures' is 0.

mod fixture;
mod generate;
mod gpu;
mod gradients;
mod load;
mod logits;
mod lora;
mod reward;
mod settings;
mod steps;
mod table;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use burn::tensor::Device;

use super::fixture::TOLERANCE;
use fixture::Variant;

/// One thing that is compared for every variant.
struct Column {
    title: &'static str,
    /// What the errors must stay below.
    tolerance: f32,
    /// Compares, fails where it must, and returns the largest error, relative above 1.
    compare: fn(&Variant, &Device) -> f32,
    errors: OnceLock<BTreeMap<String, f32>>,
}

impl Column {
    const fn new(
        title: &'static str,
        tolerance: f32,
        compare: fn(&Variant, &Device) -> f32,
    ) -> Self {
        Self {
            title,
            tolerance,
            compare,
            errors: OnceLock::new(),
        }
    }

    /// The largest error of each variant on the CPU, compared once per process.
    fn errors(&self) -> &BTreeMap<String, f32> {
        self.errors.get_or_init(|| {
            let all = Variant::all().into_iter();
            all.map(|variant| {
                let error = (self.compare)(&variant, &Device::flex());
                (variant.name, error)
            })
            .collect()
        })
    }
}

/// The columns of the table, in its order.
static COLUMNS: [Column; 6] = [
    Column::new("load", 0.0, load::compare),
    Column::new("logits", TOLERANCE, logits::compare),
    Column::new("gradients", TOLERANCE, gradients::compare),
    Column::new("LoRA", TOLERANCE, lora::compare),
    Column::new("generate", 0.0, generate::compare),
    Column::new("reward", TOLERANCE, reward::compare),
];

fn column(title: &str) -> &'static Column {
    COLUMNS
        .iter()
        .find(|column| column.title == title)
        .expect("a column of that title")
}

#[test]
fn folders_load_as_they_were_written_and_as_the_hub_has_them() {
    column("load").errors();
}

#[test]
fn hidden_states_and_logits_are_transformers_on_either_side_of_padding() {
    column("logits").errors();
}

#[test]
fn losses_gradients_and_ten_steps_are_torchs() {
    column("gradients").errors();
}

#[test]
fn adapters_are_pefts_and_train_as_pefts() {
    column("LoRA").errors();
}

#[test]
fn greedy_tokens_are_transformers() {
    column("generate").errors();
}

#[test]
fn labels_are_transformers_on_either_side_of_padding() {
    column("reward").errors();
}
