//! Losses and gradients against PyTorch and TRL (`losses.py`): from log-probabilities to each
//! pair's loss, and the whole path from model folders to the gradient of every parameter.

use std::collections::BTreeMap;

use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use rarebit_core::{CompletionLogps, PairLogps, loss};
use rarebit_models::causal_lm::CausalLm;
use rarebit_models::param_id;
use rarebit_train::{Batch, Example};
use serde::Deserialize;

use super::fixture::{Array, TOLERANCE, Tensors, assert_close, json, path, values};
use super::pairs::{PAD, examples, model};

#[derive(Deserialize)]
struct Expected {
    beta: f32,
    lambda: f32,
    weight: Vec<f32>,
    logps: BTreeMap<String, Vec<f32>>,
    losses: BTreeMap<String, Vec<f32>>,
    batch_loss: BTreeMap<String, f32>,
    gradient_norm: BTreeMap<String, f32>,
}

const OBJECTIVES: [&str; 6] = ["dpo", "ddpo", "orpo", "dorpo", "dorpo_reference", "sft"];

/// What the losses read, from wherever it comes.
struct Sides {
    summed: PairLogps,
    mean: PairLogps,
    reference: PairLogps,
    weight: Tensor<1>,
}

impl Expected {
    fn read() -> Self {
        json("losses/losses.json")
    }

    fn pair(&self, who: &str, kind: &str, device: &Device) -> PairLogps {
        let side = |side: &str| {
            Tensor::from_floats(&self.logps[&format!("{who}.{side}.{kind}")][..], device)
        };
        PairLogps {
            chosen: side("chosen"),
            rejected: side("rejected"),
        }
    }

    /// The loss of each pair, `[pairs]`.
    fn loss(&self, objective: &str, sides: &Sides) -> Tensor<1> {
        let Sides {
            summed,
            mean,
            reference,
            weight,
        } = sides;
        let ones = weight.ones_like();
        match objective {
            "dpo" => loss::dpo(summed, reference, ones, self.beta),
            "ddpo" => loss::dpo(summed, reference, weight.clone(), self.beta),
            "orpo" => loss::orpo(mean, ones, self.lambda),
            "dorpo" => loss::orpo(mean, weight.clone(), self.lambda),
            "dorpo_reference" => loss::orpo_weight_inside(mean, weight.clone(), self.lambda),
            "sft" => loss::sft(mean.chosen.clone(), ones),
            other => panic!("no objective is called {other}"),
        }
    }
}

/// The pairs of `batch.safetensors`.
fn first_four() -> Vec<Example> {
    examples().into_iter().take(4).collect()
}

fn completion_logps(examples: &[Example], model: &CausalLm) -> CompletionLogps {
    let examples: Vec<&Example> = examples.iter().collect();
    Batch::new(&examples, PAD, &model.device()).completion_logps(model)
}

#[test]
fn losses_of_given_log_probabilities_are_the_formulas() {
    let (expected, device) = (Expected::read(), Device::flex());
    let sides = Sides {
        summed: expected.pair("policy", "summed", &device),
        mean: expected.pair("policy", "mean", &device),
        reference: expected.pair("reference", "summed", &device),
        weight: Tensor::from_floats(&expected.weight[..], &device),
    };
    for objective in OBJECTIVES {
        // A handful of operations on numbers of size 1 to 200: their rounding alone.
        let found = values(expected.loss(objective, &sides));
        assert_close(objective, &found, &expected.losses[objective], 1e-5);
    }
}

#[test]
fn a_batch_is_laid_out_as_trl_lays_it_out() {
    let tensors = Tensors::read(&path("losses/batch.safetensors"));
    let examples = first_four();
    let batch = Batch::new(&examples.iter().collect::<Vec<_>>(), PAD, &Device::flex());
    let ids = tensors.i64("input_ids");
    assert_eq!(batch.input_ids.dims()[..], ids.shape[..]);
    assert_eq!(
        batch
            .input_ids
            .into_data()
            .try_to_vec_as::<i64>()
            .expect("integers"),
        ids.values
    );
    assert_eq!(values(batch.weight), tensors.f32("weight").values);

    let seq = ids.shape[1];
    let mut labels = Vec::new();
    for (place, (&id, &label)) in ids
        .values
        .iter()
        .zip(&tensors.i64("completion_mask").values)
        .enumerate()
    {
        if label == 1 {
            labels.push((place as i64 - 1, id, place / seq));
        }
    }
    assert_eq!(
        batch
            .positions
            .into_data()
            .try_to_vec_as::<i64>()
            .expect("integers"),
        labels.iter().map(|label| label.0).collect::<Vec<_>>()
    );
    assert_eq!(
        batch
            .labels
            .into_data()
            .try_to_vec_as::<i64>()
            .expect("integers"),
        labels.iter().map(|label| label.1).collect::<Vec<_>>()
    );
    let tokens = labels.len();
    for (i, value) in values(batch.membership).into_iter().enumerate() {
        assert_eq!(value == 1.0, labels[i % tokens].2 == i / tokens);
    }
}

#[test]
fn log_probabilities_of_completions_are_transformers() {
    let (expected, device) = (Expected::read(), Device::flex());
    for who in ["policy", "reference"] {
        let completions = completion_logps(&first_four(), &model(who, &device));
        for (kind, mean) in [("summed", false), ("mean", true)] {
            let (found, expected) = (completions.pairs(mean), expected.pair(who, kind, &device));
            for (side, found, expected) in [
                ("chosen", found.chosen, expected.chosen),
                ("rejected", found.rejected, expected.rejected),
            ] {
                assert_close(
                    &format!("{who}.{side}.{kind}"),
                    &values(found),
                    &values(expected),
                    TOLERANCE,
                );
            }
        }
    }
}

/// The gradient of one parameter in the layout of its checkpoint.
fn gradient(name: &str, gradients: &GradientsParams) -> Array<f32> {
    fn of<const D: usize>(name: &str, gradients: &GradientsParams) -> Array<f32> {
        let gradient = gradients
            .get::<D>(param_id(name))
            .unwrap_or_else(|| panic!("{name} has no gradient"));
        Array {
            shape: gradient.dims().to_vec(),
            values: values(gradient),
        }
    }
    match name {
        _ if name.contains("norm") => of::<1>(name, gradients),
        "model.embed_tokens.weight" => of::<2>(name, gradients),
        // Linear layers are held as [in, out].
        _ => of::<2>(name, gradients).transposed(),
    }
}

#[test]
fn gradients_of_every_parameter_are_torchs() {
    let (expected, tensors) = (
        Expected::read(),
        Tensors::read(&path("losses/gradients.safetensors")),
    );
    let device = Device::flex().autodiff();
    let policy = model("policy", &device);
    let reference =
        completion_logps(&first_four(), &model("reference", &Device::flex())).pairs(false);
    let onto = |values_of: Tensor<1>| Tensor::from_floats(&values(values_of)[..], &device);
    let reference = PairLogps {
        chosen: onto(reference.chosen),
        rejected: onto(reference.rejected),
    };
    let names: Vec<String> = policy
        .named_tensors()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(tensors.names().len(), OBJECTIVES.len() * names.len());

    for objective in OBJECTIVES {
        let completions = completion_logps(&first_four(), &policy);
        let sides = Sides {
            summed: completions.pairs(false),
            mean: completions.pairs(true),
            reference: reference.clone(),
            weight: Tensor::from_floats(&expected.weight[..], &device),
        };
        let per_pair = expected.loss(objective, &sides);
        assert_close(
            objective,
            &values(per_pair.clone()),
            &expected.losses[objective],
            TOLERANCE,
        );
        let batch_loss = per_pair.mean();
        assert_close(
            objective,
            &values(batch_loss.clone()),
            &[expected.batch_loss[objective]],
            TOLERANCE,
        );

        let gradients = GradientsParams::from_grads(batch_loss.backward(), &policy);
        assert_eq!(gradients.len(), names.len(), "{objective}");
        let (mut found, mut wanted) = (Vec::new(), Vec::new());
        for name in &names {
            let (ours, theirs) = (
                gradient(name, &gradients),
                tensors.f32(&format!("{objective}.{name}")),
            );
            assert_eq!(ours.shape, theirs.shape, "{name}");
            found.extend(ours.values);
            wanted.extend(theirs.values);
        }
        // Gradients reach 1 and most are far below: the tolerance is absolute there, and the norm
        // of all of them together is compared beside it.
        assert_close(
            &format!("{objective}: gradients"),
            &found,
            &wanted,
            TOLERANCE / 4.0,
        );
        let norm = |values: &[f32]| {
            values
                .iter()
                .map(|value| f64::from(*value).powi(2))
                .sum::<f64>()
                .sqrt() as f32
        };
        assert_close(
            &format!("{objective}: gradient norm"),
            &[norm(&found)],
            &[expected.gradient_norm[objective]],
            TOLERANCE,
        );
        let difference: Vec<f32> = found
            .iter()
            .zip(&wanted)
            .map(|(found, wanted)| found - wanted)
            .collect();
        let relative = norm(&difference) / norm(&wanted);
        assert!(
            relative < 1e-5,
            "{objective}: gradients are off by {relative:.1e} of their norm"
        );
        println!("{objective}: gradients are off by {relative:.1e} of their norm");
    }
}

/// Padding and the order of a batch are layout, not meaning.
#[test]
fn a_pair_counts_the_same_alone_and_anywhere_in_a_batch() {
    let policy = model("policy", &Device::flex());
    let examples = examples();
    let alone: Vec<[f32; 2]> = examples
        .iter()
        .map(|example| {
            values(completion_logps(std::slice::from_ref(example), &policy).logps)
                .try_into()
                .expect("a pair")
        })
        .collect();
    for step in [1, 5, 7] {
        let order: Vec<usize> = (0..examples.len())
            .map(|i| (i * step + 3) % examples.len())
            .collect();
        let shuffled: Vec<Example> = order.iter().map(|&i| examples[i].clone()).collect();
        let together = values(completion_logps(&shuffled, &policy).logps);
        let expected: Vec<f32> = [0, 1]
            .iter()
            .flat_map(|&side| order.iter().map(|&i| alone[i][side]).collect::<Vec<_>>())
            .collect();
        // The same sums over other block sizes.
        assert_close(&format!("every {step}th pair"), &together, &expected, 1e-5);
    }
}

/// What stands in the padding is never read.
#[test]
fn the_padding_token_does_not_matter() {
    let policy = model("policy", &Device::flex());
    let examples = first_four();
    let with = |pad| {
        let batch = Batch::new(&examples.iter().collect::<Vec<_>>(), pad, &Device::flex());
        values(batch.completion_logps(&policy).logps)
    };
    assert_eq!(with(0), with(17));
}
