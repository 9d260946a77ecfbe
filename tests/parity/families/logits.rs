//! Hidden states, logits and log-probabilities, read at once and in pieces.

use burn::tensor::{Bool, Device, Int, Tensor};
use rarebit_core::token_logps;
use rarebit_models::causal_lm::CausalLm;

use super::super::fixture::{Array, TOLERANCE, Tensors, assert_close, values};
use super::fixture::{Padded, Variant, sides};

impl Padded {
    /// The mask that the model needs: none for padding on the right, where nobody looks.
    pub(super) fn needed(&self, device: &Device) -> Option<Tensor<2, Bool>> {
        (self.side == "left").then(|| self.mask.mask(device))
    }

    /// Only the rows of `[batch, seq, width]` where there is a token, one after another.
    pub(super) fn real(&self, values: &[f32]) -> Vec<f32> {
        let width = values.len() / self.mask.values.len();
        let rows = values.chunks(width).zip(&self.mask.values);
        rows.filter(|(_, mask)| **mask == 1)
            .flat_map(|(row, _)| row)
            .copied()
            .collect()
    }

    /// The places in the flattened `[batch, seq]` that hold a token and whose successor is one of
    /// its row.
    fn predicting(&self) -> Vec<usize> {
        let seq = self.mask.shape[1];
        let both = |&i: &usize| {
            !(i + 1).is_multiple_of(seq) && self.mask.values[i] * self.mask.values[i + 1] == 1
        };
        (0..self.mask.values.len()).filter(both).collect()
    }
}

/// Logits of hidden states `[batch, seq, hidden]`, flattened.
pub(super) fn of_hidden(model: &CausalLm, hidden: Tensor<3>) -> Tensor<2> {
    let [batch, seq, width] = hidden.dims();
    model.logits(hidden.reshape([batch * seq, width]))
}

/// Logits at the real tokens of a batch.
pub(super) fn of_batch(model: &CausalLm, batch: &Padded) -> Vec<f32> {
    let device = model.device();
    let hidden = model.forward(batch.ids.ids(&device), batch.needed(&device), None);
    batch.real(&values(of_hidden(model, hidden)))
}

pub(super) fn compare(variant: &Variant, device: &Device) -> f32 {
    let (model, io) = (variant.model(device), variant.tensors("io.safetensors"));
    let long = io.names().iter().any(|name| name.starts_with("long."));
    let mut worst = 0f32;
    for prefix in ["", "long."].into_iter().take(1 + usize::from(long)) {
        for batch in sides(&io, prefix) {
            let what = format!("{}, {prefix}{}", variant.name, batch.side);
            worst = worst.max(every_state(&model, &io, &batch, prefix, &what));
            worst = worst.max(every_logp(&model, &io, &batch, prefix, &what));
            if prefix.is_empty() {
                in_pieces(&model, &batch, &what);
            }
        }
    }
    worst
}

/// Read at once, padded on either side.
pub(super) fn of_whole_batches(variant: &Variant, device: &Device) -> f32 {
    let (model, io) = (variant.model(device), variant.tensors("io.safetensors"));
    let errors = sides(&io, "").map(|batch| {
        let what = format!("{}, {}, GPU", variant.name, batch.side);
        every_state(&model, &io, &batch, "", &what)
    });
    errors.into_iter().fold(0.0, f32::max)
}

/// Embedding, blocks, final norm and logits.
fn every_state(model: &CausalLm, io: &Tensors, batch: &Padded, prefix: &str, what: &str) -> f32 {
    let device = model.device();
    let mut states = model.hidden_states(batch.ids.ids(&device), batch.needed(&device));
    let norm = states.pop().expect("the final norm's output");
    let mut named = vec![("embeddings".to_owned(), states.remove(0))];
    let blocks = states.into_iter().enumerate();
    named.extend(blocks.map(|(i, state)| (format!("block.{i}"), state)));
    named.push(("norm".to_owned(), norm.clone()));
    let seen = io.names();
    let blocks = seen
        .iter()
        .filter(|name| name.starts_with(&format!("{prefix}block.")));
    assert_eq!(named.len(), 2 + blocks.count(), "{what}");

    let mut worst = 0f32;
    let mut same = |name: &str, found: &[f32]| {
        let expected: Array<f32> = io.f32(&format!("{prefix}{name}"));
        let found = batch.real(found);
        let error = assert_close(
            &format!("{what}: {name}"),
            &found,
            &expected.values,
            TOLERANCE,
        );
        worst = worst.max(error);
    };
    for (name, state) in named {
        same(&name, &values(state));
    }
    same("logits", &values(of_hidden(model, norm)));
    worst
}

/// The log-probability of each next token.
fn every_logp(model: &CausalLm, io: &Tensors, batch: &Padded, prefix: &str, what: &str) -> f32 {
    let device = model.device();
    let places: Vec<i64> = batch.predicting().iter().map(|&i| i as i64).collect();
    let next: Vec<i64> = (batch.predicting().iter())
        .map(|&i| batch.ids.values[i + 1])
        .collect();
    let ints = |values: &[i64]| Tensor::<1, Int>::from_ints(values, &device);
    let hidden = model.forward(batch.ids.ids(&device), batch.needed(&device), None);
    let logits = of_hidden(model, hidden).select(0, ints(&places));
    let found = values(token_logps(logits, ints(&next)));
    let expected = io.f32(&format!("{prefix}logps"));
    assert_close(
        &format!("{what}: logps"),
        &found,
        &expected.values,
        TOLERANCE,
    )
}

/// A sequence read piece by piece into a cache is the sequence read at once, but for the order of
/// sums: windows and padding reach back into the cache.
fn in_pieces(model: &CausalLm, batch: &Padded, what: &str) {
    let device = model.device();
    let [rows, seq] = batch.ids.shape[..] else {
        panic!("[batch, seq]")
    };
    let (ids, mask) = (batch.ids.ids(&device), batch.needed(&device));
    let whole = batch.real(&values(model.forward(ids.clone(), mask.clone(), None)));
    for pieces in [vec![6, seq - 6], vec![1; seq]] {
        let mut cache = model.new_cache(rows, seq);
        let mut states = Vec::new();
        for &piece in &pieces {
            let past = cache.len();
            let seen = mask.clone().map(|mask| mask.narrow(1, 0, past + piece));
            let ids = ids.clone().narrow(1, past, piece);
            states.push(model.forward(ids, seen, Some(&mut cache)));
        }
        let found = batch.real(&values(Tensor::cat(states, 1)));
        assert_close(
            &format!("{what}: pieces of {pieces:?}"),
            &found,
            &whole,
            2e-5,
        );
    }
}
