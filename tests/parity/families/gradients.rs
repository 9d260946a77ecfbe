//! Losses, the gradient of every parameter, and ten steps of full fine-tuning.

use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use rarebit_core::{PairLogps, loss};
use rarebit_models::causal_lm::CausalLm;
use rarebit_train::{Batch, Example};

use super::super::fixture::{TOLERANCE, assert_close, values};
use super::super::losses::gradient;
use super::fixture::{Settings, Variant, examples};
use super::steps::{self, Kind, OBJECTIVES};

pub(super) fn compare(variant: &Variant, device: &Device) -> f32 {
    let mut worst = of_first_step(variant, &OBJECTIVES, device);
    let error = steps::compare(variant, Kind::Full, device, &mut |objective, model| {
        if objective == "ddpo" {
            trained_parameters(variant, model);
        }
    });
    worst = worst.max(error);
    worst
}

/// Losses and gradients of the first four pairs, before any step.
pub(super) fn of_first_step(variant: &Variant, objectives: &[&str], device: &Device) -> f32 {
    let (settings, expected) = (Settings::read(), &variant.expected);
    let tensors = variant.tensors("gradients.safetensors");
    let device = device.clone().autodiff();
    let policy = variant.model(&device);
    let names: Vec<String> = (policy.named_tensors().into_iter())
        .map(|(name, _)| name)
        .collect();
    let examples = &examples()[..settings.pairs_per_step];
    let reference = &steps::reference(&variant.adapted(&device))[..settings.pairs_per_step];

    let mut worst = 0f32;
    for &objective in objectives {
        let what = format!("{}, {objective}", variant.name);
        let per_pair = per_pair(objective, &settings, &policy, examples, reference);
        let found = values(per_pair.clone());
        let error = assert_close(&what, &found, &expected.losses[objective], TOLERANCE);
        worst = worst.max(error);
        let gradients = GradientsParams::from_grads(per_pair.mean().backward(), &policy);
        assert_eq!(gradients.len(), names.len(), "{what}");

        let mut squares = 0f64;
        let stored = tensors
            .names()
            .iter()
            .any(|name| name.starts_with(&format!("{objective}.")));
        for name in &names {
            let found = gradient(name, &gradients);
            squares += found
                .values
                .iter()
                .map(|value| f64::from(*value).powi(2))
                .sum::<f64>();
            if stored {
                let wanted = tensors.f32(&format!("{objective}.{name}"));
                assert_eq!(found.shape, wanted.shape, "{what}: {name}");
                let what = format!("{what}: gradient of {name}");
                let error = assert_close(&what, &found.values, &wanted.values, TOLERANCE);
                worst = worst.max(error);
            }
        }
        let norm = [squares.sqrt() as f32];
        let wanted = [expected.gradient_norm[objective]];
        let error = assert_close(&format!("{what}: norm"), &norm, &wanted, TOLERANCE);
        worst = worst.max(error);
    }
    worst
}

/// The loss of each pair, `[pairs]`.
fn per_pair(
    objective: &str,
    settings: &Settings,
    policy: &CausalLm,
    examples: &[Example],
    reference: &[[f32; 2]],
) -> Tensor<1> {
    let device = policy.device();
    let batch = Batch::new(&examples.iter().collect::<Vec<_>>(), 0, &device);
    let completions = batch.completion_logps(policy);
    let column = |which: usize| {
        let values: Vec<f32> = reference.iter().map(|both| both[which]).collect();
        Tensor::<1>::from_floats(&values[..], &device)
    };
    let reference = PairLogps {
        chosen: column(0),
        rejected: column(1),
    };
    let (summed, mean) = (completions.pairs(false), completions.pairs(true));
    let nll = -mean.chosen.clone();
    let (beta, lambda) = (settings.beta, settings.lambda);
    let (weight, ones) = (batch.weight.clone(), batch.weight.ones_like());
    match objective {
        "sft" => loss::sft(mean.chosen, ones),
        "dpo" => loss::dpo(&summed, &reference, ones, beta),
        "ddpo" => loss::dpo(&summed, &reference, weight, beta),
        "orpo" => loss::orpo(&mean, nll, ones, lambda),
        "dorpo" => loss::orpo(&mean, nll, weight, lambda),
        other => panic!("no objective is called {other}"),
    }
}

/// Ten steps of 1e-3 move a parameter by up to 1e-2. The fixture holds 0 where rounding alone
/// decides which way (`determined` in `families.py`).
fn trained_parameters(variant: &Variant, model: &CausalLm) {
    let expected = variant.tensors("trained.safetensors");
    let (mut found, mut wanted) = (Vec::new(), Vec::new());
    for (name, data) in model.named_tensors() {
        let tensor = expected.f32(&format!("full.{name}"));
        assert_eq!(data.shape().to_vec(), tensor.shape, "{name}");
        let data = data.try_to_vec::<f32>().expect("f32");
        for (value, expected) in data.into_iter().zip(tensor.values) {
            if expected != 0.0 {
                found.push(value);
                wanted.push(expected);
            }
        }
    }
    let what = format!("{}: parameters after ten steps of DDPO", variant.name);
    assert_close(&what, &found, &wanted, TOLERANCE);
}
