//! Every loss's gradient against central differences of its value.

use burn::tensor::{Device, Tensor};

use super::dpo::dpo;
use super::hinge::hinge;
use super::ipo::ipo;
use super::kto::{KtoSettings, kto};
use super::margin::Betas;
use super::orpo::{orpo, orpo_weight_inside};
use super::sft::sft;
use super::simpo::simpo;
use crate::logps::PairLogps;

/// The truncation error grows with the square of the step, the rounding error with its inverse: in
/// f32 both are near 1e-5 here.
const STEP: f32 = 1e-2;
const TOLERANCE: f32 = 2e-4;

/// A loss of `[chosen, rejected]` log-probabilities and weights.
type Loss = fn(&PairLogps, Tensor<1>) -> Tensor<1>;

fn reference(device: &Device) -> PairLogps {
    PairLogps {
        chosen: Tensor::from_floats([-1.0, -2.5, -0.3, -4.0], device),
        rejected: Tensor::from_floats([-2.0, -1.0, -0.2, -3.0], device),
    }
}

const BETAS: Betas = Betas {
    policy: 0.9,
    reference: 0.7,
};

const LOSSES: [(&str, Loss); 9] = [
    ("dpo", |logps, weight| {
        dpo(logps, &reference(&weight.device()), weight, 0.7)
    }),
    ("dpo with two coefficients", |logps, weight| {
        dpo(logps, &reference(&weight.device()), weight, BETAS)
    }),
    ("hinge", |logps, weight| {
        hinge(logps, &reference(&weight.device()), weight, BETAS)
    }),
    ("ipo", |logps, weight| {
        ipo(logps, &reference(&weight.device()), weight, BETAS)
    }),
    ("kto", |logps, weight| {
        let device = weight.device();
        let settings = KtoSettings {
            beta: 0.7,
            desirable_weight: 1.0,
            undesirable_weight: 1.3,
        };
        let desirable = Tensor::from_floats([1.0, 0.0, 0.0, 1.0], &device);
        let kl = Tensor::from_floats([0.3], &device);
        let reference = reference(&device).chosen;
        kto(
            logps.chosen.clone() - reference,
            kl,
            desirable,
            weight,
            settings,
        )
    }),
    ("orpo", |logps, weight| {
        orpo(logps, -logps.chosen.clone(), weight, 0.25)
    }),
    ("orpo_weight_inside", |logps, weight| {
        orpo_weight_inside(logps, -logps.chosen.clone(), weight, 0.25)
    }),
    ("sft", |logps, weight| sft(logps.chosen.clone(), weight)),
    ("simpo", |logps, weight| simpo(logps, weight, 2.0, 0.5)),
];

/// Moderate values: near 0 the odds bend too sharply for central differences.
const CHOSEN: [f32; 4] = [-0.8, -2.0, -0.5, -6.0];
const REJECTED: [f32; 4] = [-1.7, -0.5, -0.4, -5.0];
const WEIGHT: [f32; 4] = [1.0, 1.6, 0.3, 0.0];

/// The losses of the four pairs, `[4]`.
fn losses(loss: Loss, chosen: [f32; 4], rejected: [f32; 4]) -> Vec<f32> {
    let device = Device::flex();
    let logps = PairLogps {
        chosen: Tensor::from_floats(chosen, &device),
        rejected: Tensor::from_floats(rejected, &device),
    };
    loss(&logps, Tensor::from_floats(WEIGHT, &device))
        .into_data()
        .try_to_vec()
        .expect("f32")
}

#[test]
fn gradients_are_the_slopes_of_the_losses() {
    for (name, loss) in LOSSES {
        let device = Device::flex().autodiff();
        let chosen = Tensor::<1>::from_floats(CHOSEN, &device).require_grad();
        let rejected = Tensor::<1>::from_floats(REJECTED, &device).require_grad();
        let logps = PairLogps {
            chosen: chosen.clone(),
            rejected: rejected.clone(),
        };
        let gradients = loss(&logps, Tensor::from_floats(WEIGHT, &device))
            .sum()
            .backward();
        // SFT and KTO do not read the rejected completion.
        let gradient = |side: &Tensor<1>| match side.grad(&gradients) {
            Some(gradient) => gradient.into_data().try_to_vec().expect("f32"),
            None => vec![0.0; 4],
        };
        let shifted = |values: [f32; 4], by: f32| values.map(|value| value + by);
        let slopes = |up: Vec<f32>, down: Vec<f32>| -> Vec<f32> {
            up.iter()
                .zip(down)
                .map(|(up, down)| (up - down) / (2.0 * STEP))
                .collect()
        };
        // The pairs are independent of each other, so all are shifted at once.
        let of_chosen = slopes(
            losses(loss, shifted(CHOSEN, STEP), REJECTED),
            losses(loss, shifted(CHOSEN, -STEP), REJECTED),
        );
        let of_rejected = slopes(
            losses(loss, CHOSEN, shifted(REJECTED, STEP)),
            losses(loss, CHOSEN, shifted(REJECTED, -STEP)),
        );
        for (side, found, slopes) in [
            ("chosen", gradient(&chosen), of_chosen),
            ("rejected", gradient(&rejected), of_rejected),
        ] {
            for (i, (found, slope)) in found.iter().zip(slopes).enumerate() {
                let difference = (found - slope).abs() / slope.abs().max(1.0);
                assert!(
                    difference < TOLERANCE,
                    "{name}, {side} {i}: gradient {found}, slope {slope}"
                );
            }
        }
    }
}
