//! Losses and gradients against PyTorch and TRL (`losses.py`): from log-probabilities to each
//! pair's loss, and the whole path from model folders to the gradient of every parameter.

use std::collections::BTreeMap;

use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use rarebit_core::loss::{self, Betas, KtoSettings};
use rarebit_core::{CompletionLogps, PairLogps};
use rarebit_models::causal_lm::CausalLm;
use rarebit_models::param_id;
use rarebit_train::{Batch, Completion, Example, Sequence};
use serde::Deserialize;

use super::fixture::{Array, TOLERANCE, Tensors, assert_close, json, path, values};
use super::pairs::{PAD, examples, model};

#[derive(Deserialize)]
struct Expected {
    beta: f32,
    lambda: f32,
    mean_beta: f32,
    spl_alpha: f32,
    simpo_gamma: f32,
    weight: Vec<f32>,
    logps: BTreeMap<String, Vec<f32>>,
    losses: BTreeMap<String, Vec<f32>>,
    batch_loss: BTreeMap<String, f32>,
    gradient_norm: BTreeMap<String, f32>,
}

/// Those of which the fixture holds the gradient of every parameter.
const OBJECTIVES: [&str; 6] = ["dpo", "ddpo", "orpo", "dorpo", "dorpo_reference", "sft"];
/// Those of which it holds some, and the norm of all.
const VARIANTS: [&str; 5] = ["hinge", "ipo", "sigmoid_norm", "simpo", "spl"];

/// What the losses read, from wherever it comes.
struct Sides {
    summed: PairLogps,
    mean: PairLogps,
    reference: PairLogps,
    mean_reference: PairLogps,
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
            mean_reference,
            weight,
        } = sides;
        let ones = weight.ones_like();
        let nll = -mean.chosen.clone();
        let soft = Betas {
            policy: self.spl_alpha,
            reference: self.beta,
        };
        match objective {
            "dpo" => loss::dpo(summed, reference, ones, self.beta),
            "ddpo" => loss::dpo(summed, reference, weight.clone(), self.beta),
            "orpo" => loss::orpo(mean, nll, ones, self.lambda),
            "dorpo" => loss::orpo(mean, nll, weight.clone(), self.lambda),
            "dorpo_reference" => loss::orpo_weight_inside(mean, nll, weight.clone(), self.lambda),
            "hinge" => loss::hinge(summed, reference, ones, self.beta),
            "ipo" => loss::ipo(mean, mean_reference, ones, self.beta),
            "sigmoid_norm" => loss::dpo(mean, mean_reference, ones, self.mean_beta),
            "simpo" => loss::simpo(mean, ones, self.mean_beta, self.simpo_gamma),
            "spl" => loss::dpo(summed, reference, ones, soft),
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
        mean_reference: expected.pair("reference", "mean", &device),
        weight: Tensor::from_floats(&expected.weight[..], &device),
    };
    for objective in OBJECTIVES.into_iter().chain(VARIANTS) {
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
    let mut targets = Vec::new();
    for (place, (&id, &is_completion)) in ids
        .values
        .iter()
        .zip(&tensors.i64("completion_mask").values)
        .enumerate()
    {
        if is_completion == 1 {
            targets.push((place as i64 - 1, id, place / seq));
        }
    }
    assert_eq!(
        batch
            .positions
            .into_data()
            .try_to_vec_as::<i64>()
            .expect("integers"),
        targets.iter().map(|target| target.0).collect::<Vec<_>>()
    );
    assert_eq!(
        batch
            .targets
            .into_data()
            .try_to_vec_as::<i64>()
            .expect("integers"),
        targets.iter().map(|target| target.1).collect::<Vec<_>>()
    );
    let tokens = targets.len();
    for (i, value) in values(batch.membership).into_iter().enumerate() {
        assert_eq!(value == 1.0, targets[i % tokens].2 == i / tokens);
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
pub(crate) fn gradient(name: &str, gradients: &GradientsParams) -> Array<f32> {
    fn of<const D: usize>(name: &str, gradients: &GradientsParams) -> Array<f32> {
        let gradient = gradients
            .get::<D>(param_id(name))
            .unwrap_or_else(|| panic!("{name} has no gradient"));
        Array {
            shape: gradient.dims().to_vec(),
            values: values(gradient),
        }
    }
    let vector = [
        "norm.weight",
        ".bias",
        ".ln_1.weight",
        ".ln_2.weight",
        ".ln_f.weight",
    ];
    let held_alike = ["embed_tokens.weight", "wte.weight", "wpe.weight"];
    let is = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    if is(&vector) {
        return of::<1>(name, gradients);
    }
    // Linear layers are held as [in, out]; GPT-2's checkpoint has them so, too.
    match is(&held_alike) || name.starts_with("transformer.") {
        true => of::<2>(name, gradients),
        false => of::<2>(name, gradients).transposed(),
    }
}

/// The sides of the first four pairs by way of the models, with gradients.
fn sides(expected: &Expected, policy: &CausalLm) -> Sides {
    let device = policy.device();
    let completions = completion_logps(&first_four(), policy);
    let reference = completion_logps(&first_four(), &model("reference", &Device::flex()));
    let onto = |pair: PairLogps| PairLogps {
        chosen: Tensor::from_floats(&values(pair.chosen)[..], &device),
        rejected: Tensor::from_floats(&values(pair.rejected)[..], &device),
    };
    Sides {
        summed: completions.pairs(false),
        mean: completions.pairs(true),
        reference: onto(reference.pairs(false)),
        mean_reference: onto(reference.pairs(true)),
        weight: Tensor::from_floats(&expected.weight[..], &device),
    }
}

fn norm(values: &[f32]) -> f32 {
    let squares = values.iter().map(|value| f64::from(*value).powi(2));
    squares.sum::<f64>().sqrt() as f32
}

/// The norm of all gradients together.
fn joint_norm(names: &[String], gradients: &GradientsParams) -> f32 {
    let all: Vec<f32> = names
        .iter()
        .flat_map(|name| gradient(name, gradients).values)
        .collect();
    norm(&all)
}

fn parameter_names(policy: &CausalLm) -> Vec<String> {
    let tensors = policy.named_tensors();
    tensors.into_iter().map(|(name, _)| name).collect()
}

#[test]
fn gradients_of_every_parameter_are_torchs() {
    let (expected, tensors) = (
        Expected::read(),
        Tensors::read(&path("losses/gradients.safetensors")),
    );
    let policy = model("policy", &Device::flex().autodiff());
    let names = parameter_names(&policy);
    assert_eq!(tensors.names().len(), OBJECTIVES.len() * names.len());

    for objective in OBJECTIVES {
        let per_pair = expected.loss(objective, &sides(&expected, &policy));
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

/// Compares the stored gradients whose names begin with `prefix`, and the norm of all.
fn compare_sampled(
    prefix: &str,
    file: &str,
    names: &[String],
    gradients: &GradientsParams,
    expected_norm: f32,
) {
    let tensors = Tensors::read(&path(file));
    let stored: Vec<String> = tensors
        .names()
        .iter()
        .filter_map(|name| Some(name.strip_prefix(prefix)?.strip_prefix('.')?.to_owned()))
        .collect();
    assert_eq!(stored.len(), 2, "{prefix}");
    for name in stored {
        let what = format!("{prefix}: gradient of {name}");
        let theirs = tensors.f32(&format!("{prefix}.{name}"));
        let ours = gradient(&name, gradients);
        assert_close(&what, &ours.values, &theirs.values, TOLERANCE / 4.0);
    }
    let what = format!("{prefix}: gradient norm");
    let found = joint_norm(names, gradients);
    assert_close(&what, &[found], &[expected_norm], TOLERANCE);
}

#[test]
fn gradients_of_dpos_variants_are_torchs() {
    let expected = Expected::read();
    let policy = model("policy", &Device::flex().autodiff());
    let names = parameter_names(&policy);
    for objective in VARIANTS {
        let per_pair = expected.loss(objective, &sides(&expected, &policy));
        let found = values(per_pair.clone());
        assert_close(objective, &found, &expected.losses[objective], TOLERANCE);
        let gradients = GradientsParams::from_grads(per_pair.mean().backward(), &policy);
        let file = "losses/sampled_gradients.safetensors";
        let norm = expected.gradient_norm[objective];
        compare_sampled(objective, file, &names, &gradients, norm);
    }
}

#[derive(Deserialize)]
struct Kto {
    beta: f32,
    desirable_weight: f32,
    undesirable_weight: f32,
    rows: Vec<KtoRow>,
    cases: BTreeMap<String, KtoCase>,
}

#[derive(Deserialize)]
struct KtoRow {
    prompt_ids: Vec<u32>,
    completion_ids: Vec<u32>,
    mismatched_ids: Vec<u32>,
    label: bool,
    weight: f32,
}

#[derive(Deserialize)]
struct KtoCase {
    logps: BTreeMap<String, Vec<f32>>,
    kl: f32,
    losses: Vec<f32>,
    weighted_losses: Vec<f32>,
    gradient_norm: f32,
}

impl Kto {
    fn column(&self, of: impl Fn(&KtoRow) -> f32, device: &Device) -> Tensor<1> {
        let values: Vec<f32> = self.rows.iter().map(of).collect();
        Tensor::from_floats(&values[..], device)
    }

    /// The loss of each completion, `[rows]`.
    fn loss(&self, log_ratio: Tensor<1>, kl: Tensor<1>, weight: Tensor<1>) -> Tensor<1> {
        let settings = KtoSettings {
            beta: self.beta,
            desirable_weight: self.desirable_weight,
            undesirable_weight: self.undesirable_weight,
        };
        let desirable = self.column(|row| f32::from(row.label), &weight.device());
        loss::kto(log_ratio, kl, desirable, weight, settings)
    }

    /// Log-probabilities of the completions, and of those that answer other prompts.
    fn logps(&self, model: &CausalLm) -> [Tensor<1>; 2] {
        let of = |completion: fn(&KtoRow) -> &[u32]| {
            let examples: Vec<Example> = self
                .rows
                .iter()
                .map(|row| {
                    Example::Completion(Completion {
                        id: String::new(),
                        weight: 1.0,
                        sequence: Sequence::completion(&row.prompt_ids, completion(row)),
                    })
                })
                .collect();
            completion_logps(&examples, model).logps
        };
        [of(|row| &row.completion_ids), of(|row| &row.mismatched_ids)]
    }
}

#[test]
fn kto_and_its_gradients_are_trls() {
    let expected: Kto = json("losses/kto.json");
    for (name, case) in &expected.cases {
        let (policy, reference) = match name.as_str() {
            "forward" => ("policy", "reference"),
            "backward" => ("reference", "policy"),
            other => panic!("no case is called {other}"),
        };
        let policy = model(policy, &Device::flex().autodiff());
        let device = policy.device();
        let [own, mismatched] = expected.logps(&policy);
        let [own_reference, mismatched_reference] = expected
            .logps(&model(reference, &Device::flex()))
            .map(|logps| Tensor::<1>::from_floats(&values(logps)[..], &device));
        for (what, found) in [
            ("policy.own", &own),
            ("policy.mismatched", &mismatched),
            ("reference.own", &own_reference),
            ("reference.mismatched", &mismatched_reference),
        ] {
            let found = values(found.clone());
            assert_close(what, &found, &case.logps[what], TOLERANCE);
        }
        let kl = loss::kl_estimate((mismatched - mismatched_reference).detach());
        assert_close("kl", &values(kl.clone()), &[case.kl], TOLERANCE);

        let log_ratio = own - own_reference;
        let plain = expected.loss(log_ratio.clone(), kl.clone(), log_ratio.ones_like());
        assert_close(name, &values(plain), &case.losses, TOLERANCE);
        let weight = expected.column(|row| row.weight, &device);
        let weighted = expected.loss(log_ratio, kl, weight);
        let found = values(weighted.clone());
        assert_close(name, &found, &case.weighted_losses, TOLERANCE);

        let gradients = GradientsParams::from_grads(weighted.mean().backward(), &policy);
        let names = parameter_names(&policy);
        let file = "losses/kto_gradients.safetensors";
        compare_sampled(name, file, &names, &gradients, case.gradient_norm);
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
