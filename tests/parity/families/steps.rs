//! Ten AdamW steps of every objective.

use burn::tensor::Device;
use rarebit_models::causal_lm::CausalLm;
use rarebit_train::{
    AdamW, Example, Item, Learner, LearnsFrom, PolicyTask, StepReport, reference_logps,
};

use super::super::fixture::{TOLERANCE, assert_close};
use super::super::pairs::chosen;
use super::fixture::{Settings, Variant, examples, pairs};

/// What the runs of `families.py` train for.
pub(super) const OBJECTIVES: [&str; 5] = ["sft", "dpo", "ddpo", "orpo", "dorpo"];

/// How the runs are told apart in the fixture.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Every parameter; the reference is the policy under its adapter.
    Full,
    /// The adapter; the reference is the adapter as it was.
    Lora,
}

/// Takes the ten steps of each objective, comparing losses and gradient norms, and hands over what
/// was trained. Returns the largest error of a loss.
pub(super) fn compare(
    variant: &Variant,
    kind: Kind,
    device: &Device,
    trained: &mut dyn FnMut(&str, &CausalLm),
) -> f32 {
    let settings = Settings::read();
    let device = device.clone().autodiff();
    let suffix = match kind {
        Kind::Full => "full",
        Kind::Lora => "lora",
    };
    let start = || match kind {
        Kind::Full => variant.model(&device),
        Kind::Lora => variant.adapted(&device),
    };
    let reference = reference(&variant.adapted(&device));
    let mut worst = 0f32;
    for name in OBJECTIVES {
        let (reports, model) = walk(&settings, name, start(), &reference);
        let run = &variant.expected.runs[&format!("{name}.{suffix}")];
        let what = format!("{}, {name}, {suffix}", variant.name);
        let close = |of: &str, value: fn(&StepReport) -> f64, expected: &[f32], tolerance| {
            let found: Vec<f32> = reports.iter().map(|report| value(report) as f32).collect();
            assert_close(&format!("{what}: {of}"), &found, expected, tolerance)
        };
        worst = worst.max(close("loss", |report| report.loss, &run.loss, TOLERANCE));
        // The norm of a gradient magnifies what rounding made of the parameters in the steps before.
        let norm = |report: &StepReport| report.grad_norm;
        close("gradient norm", norm, &run.grad_norm, 10.0 * TOLERANCE);
        trained(name, &model);
    }
    worst
}

/// Log-probabilities of all pairs under a policy.
pub(super) fn reference(policy: &CausalLm) -> Vec<[f32; 2]> {
    reference_logps(policy, &examples(), 8, 0, None, &mut |_, _| {}).expect("computed")
}

fn walk(
    settings: &Settings,
    objective: &str,
    policy: CausalLm,
    reference: &[[f32; 2]],
) -> (Vec<StepReport>, CausalLm) {
    let objective = settings.objective(objective);
    let examples: Vec<Example> = match objective.learns_from() {
        LearnsFrom::Completions => pairs().into_iter().map(chosen).collect(),
        _ => examples(),
    };
    let adam = AdamW {
        adam_beta1: 0.9,
        adam_beta2: 0.999,
        adam_epsilon: 1e-8,
        weight_decay: settings.weight_decay,
    };
    let task = PolicyTask { objective, pad: 0 };
    let mut learner = Learner::new(policy, task, adam, Some(settings.clip));
    let steps = settings.order.chunks(settings.pairs_per_step);
    let reports = steps
        .map(|places| {
            let item = |&i: &usize| Item {
                example: &examples[i],
                reference: Some(reference[i]),
            };
            let batch: Vec<Item<'_>> = places.iter().map(item).collect();
            learner
                .step(&[batch], settings.learning_rate)
                .expect("a step")
        })
        .collect();
    (reports, learner.model)
}
