//! The decoder against transformers' `LlamaForCausalLM` (`llama.py`).

use std::collections::BTreeMap;

use burn::tensor::{Bool, Device, Int, Tensor};
use rarebit_core::token_logps;
use rarebit_models::CONFIG;
use rarebit_models::causal_lm::CausalLm;
use rarebit_models::safetensors_file::{Precision, TensorFile};

use super::fixture::{Array, TOLERANCE, Tensors, assert_close, path, values};

/// Untied; tied with its own `head_dim` in bf16; llama3 rope scaling; biases and shards.
const FOLDERS: [&str; 4] = ["llama", "llama/tied", "llama/llama3", "llama/bias"];
const SIDES: [&str; 2] = ["right", "left"];

fn load(folder: &str) -> CausalLm {
    CausalLm::load(&path(folder), &Device::flex()).expect("a model folder")
}

fn expected(folder: &str) -> Tensors {
    Tensors::read(&path(folder).join("io.safetensors"))
}

/// Token ids and mask of the batch that is padded on that side.
fn batch(io: &Tensors, side: &str) -> (Array<i64>, Array<i64>) {
    (
        io.i64(&format!("{side}.input_ids")),
        io.i64(&format!("{side}.attention_mask")),
    )
}

/// The mask that the model needs: none for padding on the right, where nobody looks.
fn needed(side: &str, mask: &Array<i64>) -> Option<Tensor<2, Bool>> {
    (side == "left").then(|| mask.mask(&Device::flex()))
}

/// Only the rows of `[batch, seq, width]` where there is a token, one after another.
fn real(values: &[f32], mask: &Array<i64>) -> Vec<f32> {
    let width = values.len() / mask.values.len();
    values
        .chunks(width)
        .zip(&mask.values)
        .filter(|(_, mask)| **mask == 1)
        .flat_map(|(row, _)| row)
        .copied()
        .collect()
}

/// Logits of every position, `[batch, seq, vocab]` flattened.
fn logits(model: &CausalLm, ids: Tensor<2, Int>, mask: Option<Tensor<2, Bool>>) -> Vec<f32> {
    let [batch, seq] = ids.dims();
    let hidden = model.forward(ids, mask, None);
    values(model.logits(hidden.reshape([batch * seq, model.config().hidden_size()])))
}

#[test]
fn logits_are_transformers_on_either_side_of_padding() {
    for folder in FOLDERS {
        let (model, io) = (load(folder), expected(folder));
        let right = real(&io.f32("right.logits").values, &batch(&io, "right").1);
        for side in SIDES {
            let (ids, mask) = batch(&io, side);
            let found = logits(&model, ids.ids(&Device::flex()), needed(side, &mask));
            assert_close(
                &format!("{folder}, {side}: logits"),
                &real(&found, &mask),
                &right,
                TOLERANCE,
            );
        }
    }
}

#[test]
fn every_block_is_transformers() {
    let (model, io) = (load("llama"), expected("llama"));
    for side in SIDES {
        let (ids, mask) = batch(&io, side);
        let states = model.hidden_states(ids.ids(&Device::flex()), needed(side, &mask));
        assert_eq!(states.len(), 4);
        for (name, state) in ["embeddings", "block.0", "block.1", "norm"]
            .into_iter()
            .zip(states)
        {
            let expected = real(&io.f32(&format!("{side}.{name}")).values, &mask);
            assert_close(
                &format!("{side}: {name}"),
                &real(&values(state), &mask),
                &expected,
                TOLERANCE,
            );
        }
    }
}

#[test]
fn log_probabilities_of_next_tokens_are_transformers() {
    for folder in FOLDERS {
        let (model, io) = (load(folder), expected(folder));
        for side in SIDES {
            let (ids, mask) = batch(&io, side);
            let [rows, seq] = ids.shape[..] else {
                panic!("[batch, seq]")
            };
            let ids = ids.ids(&Device::flex());
            let hidden = model.forward(ids.clone(), needed(side, &mask), None);
            let width = model.config().hidden_size();
            let logits = model.logits(
                hidden
                    .narrow(1, 0, seq - 1)
                    .reshape([rows * (seq - 1), width]),
            );
            let found = values(token_logps(
                logits,
                ids.narrow(1, 1, seq - 1).reshape([rows * (seq - 1)]),
            ));
            // The fixture holds 0 where a token or its successor is padding.
            let both: Vec<i64> = mask
                .rows()
                .flat_map(|row| row.windows(2).map(|pair| pair[0] * pair[1]))
                .collect();
            let both = Array {
                shape: vec![rows, seq - 1],
                values: both,
            };
            let expected = real(&io.f32(&format!("{side}.logps")).values, &both);
            assert_close(
                &format!("{folder}, {side}: logps"),
                &real(&found, &both),
                &expected,
                TOLERANCE,
            );
        }
    }
}

#[test]
fn a_mask_on_the_right_changes_nothing_before_it() {
    let (model, io) = (load("llama"), expected("llama"));
    let (ids, mask) = batch(&io, "right");
    let without = logits(&model, ids.ids(&Device::flex()), None);
    let with = logits(
        &model,
        ids.ids(&Device::flex()),
        Some(mask.mask(&Device::flex())),
    );
    assert_close(
        "masked on the right",
        &real(&with, &mask),
        &real(&without, &mask),
        TOLERANCE,
    );
}

/// Rounding alone: the same sums in another order.
#[test]
fn a_sequence_read_in_pieces_is_the_sequence_read_at_once() {
    for folder in FOLDERS {
        let (model, io) = (load(folder), expected(folder));
        for side in SIDES {
            let (ids, mask) = batch(&io, side);
            let [rows, seq] = ids.shape[..] else {
                panic!("[batch, seq]")
            };
            let whole_mask = needed(side, &mask);
            let ids = ids.ids(&Device::flex());
            let whole = model.forward(ids.clone(), whole_mask.clone(), None);
            for pieces in [vec![6, 5], vec![10, 1], vec![1; 11]] {
                let mut cache = model.new_cache(rows, seq);
                let mut states = Vec::new();
                for piece in &pieces {
                    let past = cache.len();
                    let seen = whole_mask
                        .clone()
                        .map(|mask| mask.narrow(1, 0, past + piece));
                    states.push(model.forward(
                        ids.clone().narrow(1, past, *piece),
                        seen,
                        Some(&mut cache),
                    ));
                }
                assert_eq!(cache.len(), seq);
                let what = format!("{folder}, {side}: pieces of {pieces:?}");
                let found = real(&values(Tensor::cat(states, 1)), &mask);
                assert_close(&what, &found, &real(&values(whole.clone()), &mask), 1e-5);
            }
        }
    }
}

#[test]
fn a_model_gives_back_the_tensors_it_was_read_from() {
    for folder in FOLDERS {
        let file = TensorFile::open(path(folder)).expect("weights");
        let found: BTreeMap<_, _> = load(folder).named_tensors().into_iter().collect();
        assert_eq!(
            found.keys().map(String::as_str).collect::<Vec<_>>(),
            file.names().collect::<Vec<_>>(),
            "{folder}"
        );
        for (name, data) in found {
            assert_eq!(
                data,
                file.data(&name).expect("the name is in the file"),
                "{folder}: {name}"
            );
        }
    }
}

#[test]
fn a_saved_model_is_read_back_to_the_last_bit() {
    for folder in FOLDERS {
        let (model, io) = (load(folder), expected(folder));
        let copy = tempfile::tempdir().expect("a temporary folder");
        std::fs::copy(path(folder).join(CONFIG), copy.path().join(CONFIG)).expect("config.json");
        model
            .save_weights(copy.path(), Precision::F32)
            .expect("weights are written");
        let again = CausalLm::load(copy.path(), &Device::flex()).expect("the copy");
        let (ids, mask) = batch(&io, "left");
        let of = |model: &CausalLm| {
            logits(
                model,
                ids.ids(&Device::flex()),
                Some(mask.mask(&Device::flex())),
            )
        };
        assert_eq!(of(&model), of(&again), "{folder}");
    }
}

/// transformers 5 takes the head of a file that has one, where it differs from the embedding.
#[test]
fn a_head_of_its_own_is_believed_before_the_settings() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::copy(path("llama/tied").join(CONFIG), folder.path().join(CONFIG)).expect("copied");
    let file = TensorFile::open(path("llama/tied")).expect("weights");
    let mut tensors: Vec<_> = file
        .names()
        .map(|name| (name.to_owned(), file.data(name).expect("values")))
        .collect();
    let head = "lm_head.weight".to_owned();
    tensors.push((
        head,
        file.data("model.embed_tokens.weight").expect("values"),
    ));
    let write = |tensors: &[(String, _)]| {
        let weights = folder.path().join("model.safetensors");
        let none = std::collections::BTreeMap::new();
        rarebit_models::safetensors_file::save(&weights, tensors, Precision::F32, &none)
            .expect("written");
        CausalLm::load(folder.path(), &Device::flex()).expect("a model")
    };
    let logits = |model: &CausalLm| {
        let ids = Tensor::<2, Int>::from_data([[1, 5, 9]], &Device::flex());
        let hidden = model.forward(ids, None, None).squeeze_dim(0);
        values(model.logits(hidden))
    };
    let tied = load("llama/tied");
    let copy = write(&tensors);
    assert_eq!(logits(&copy), logits(&tied));
    assert_eq!(copy.named_tensors().len(), tied.named_tensors().len());

    let (_, data) = tensors.last_mut().expect("the head");
    for value in data.as_mut_slice::<f32>().expect("f32") {
        *value *= 2.0;
    }
    let untied = write(&tensors);
    let doubled: Vec<f32> = logits(&tied).iter().map(|logit| 2.0 * logit).collect();
    assert_close("another head", &logits(&untied), &doubled, TOLERANCE);
    assert_eq!(untied.named_tensors().len(), tied.named_tensors().len() + 1);
}
