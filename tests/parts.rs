//! A step is the same on any number of cores, and the same as its pairs one after the other.

use std::path::Path;

use burn::tensor::Device;
use rarebit_models::causal_lm::CausalLm;
use rarebit_models::lora::Adaptable;
use rarebit_train::{
    AdamW, Example, Item, Labelled, Learner, LearnsFrom, LossType, Objective, Pair, PolicyTask,
    Sequence, StepReport, reference_logps,
};
use rayon::ThreadPoolBuilder;

const PAIRS: usize = 11;
const PROMPT: usize = 20;

const DDPO: Objective = Objective::Dpo {
    loss_type: LossType::Sigmoid,
    beta: 0.1,
    policy_beta: None,
    weighted: true,
};
const KTO: Objective = Objective::Kto {
    beta: 0.1,
    desirable_weight: 1.0,
    undesirable_weight: 1.0,
    weighted: true,
};

/// Pairs of several hundred tokens together, each of another length, so that parts are padded to
/// other lengths than the whole.
fn examples(objective: Objective) -> Vec<Example> {
    let sequence = |seed: usize, length: usize| {
        let ids: Vec<u32> = (0..length)
            .map(|place| ((seed * 7919 + place * 104_729) % 1000 + 2) as u32)
            .collect();
        Sequence::completion(&ids[..PROMPT], &ids[PROMPT..])
    };
    (0..PAIRS)
        .map(|i| {
            let (id, weight) = (i.to_string(), 0.25 * i as f32);
            let first = sequence(i, PROMPT + 20 + 5 * i);
            let second = sequence(i + PAIRS, PROMPT + 60 - 3 * i);
            match objective.learns_from() {
                LearnsFrom::Labelled => Example::Labelled(Labelled {
                    id,
                    weight,
                    own: first,
                    mismatched: second,
                    desirable: i % 3 == 0,
                }),
                _ => Example::Pair(Pair {
                    id,
                    weight,
                    chosen: first,
                    rejected: second,
                }),
            }
        })
        .collect()
}

fn model(device: &Device) -> CausalLm {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo");
    CausalLm::load(&folder, device).expect("the demo's model")
}

/// What a step says of itself, the parameters after it, and log-probabilities under them, on so many
/// cores.
fn step(
    objective: Objective,
    pairs_per_batch: usize,
    cores: usize,
) -> (StepReport, Vec<f32>, Vec<[f32; 2]>) {
    let take = || {
        let device = Device::flex().autodiff();
        let examples = examples(objective);
        let reference = |policy: &CausalLm| {
            reference_logps(policy, &examples, PAIRS, 0, None, &mut |_, _| {}).expect("computed")
        };
        let policy = model(&device);
        let logps = reference(&policy);
        let items = examples.iter().zip(logps).map(|(example, logps)| Item {
            example,
            // As if the policy had left the reference behind already.
            reference: Some([logps[0] - 1.0, logps[1] + 2.0]),
        });
        let items: Vec<Item<'_>> = items.collect();
        let batches: Vec<Vec<Item<'_>>> =
            items.chunks(pairs_per_batch).map(<[_]>::to_vec).collect();
        let adam = AdamW {
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            adam_epsilon: 1e-3,
            weight_decay: 0.0,
        };
        let task = PolicyTask { objective, pad: 0 };
        let mut learner = Learner::new(policy, task, adam, Some(1.0));
        let report = learner.step(&batches, 1e-2).expect("a step");
        let parameters = learner
            .model
            .trained_tensors()
            .into_iter()
            .flat_map(|(_, data)| data.try_to_vec::<f32>().expect("f32"))
            .collect();
        (report, parameters, reference(&learner.model))
    };
    ThreadPoolBuilder::new()
        .num_threads(cores)
        .build()
        .expect("threads")
        .install(take)
}

#[test]
fn a_step_is_the_same_on_any_number_of_cores() {
    // KTO estimates the KL divergence from the whole batch, so its batches are never split.
    for objective in [DDPO, KTO] {
        let alone = step(objective, PAIRS, 1);
        for cores in [2, 3] {
            assert!(
                step(objective, PAIRS, cores) == alone,
                "{objective:?} on {cores} cores"
            );
        }
    }
}

#[test]
fn a_step_in_parts_is_that_of_its_pairs_one_by_one() {
    let (report, parameters, logps) = step(DDPO, PAIRS, 2);
    let (expected, one_by_one, one_by_one_logps) = step(DDPO, 1, 1);
    let close =
        |found: f64, expected: f64| (found - expected).abs() < 1e-5 * expected.abs().max(1.0);
    assert!(close(report.loss, expected.loss));
    assert!(close(report.grad_norm, expected.grad_norm));
    assert_eq!(report.tokens, expected.tokens);
    assert_eq!(
        report.metrics.keys().collect::<Vec<_>>(),
        expected.metrics.keys().collect::<Vec<_>>()
    );
    for (name, value) in &report.metrics {
        assert!(close(*value, expected.metrics[name]), "{name}");
    }
    for (found, expected) in parameters.iter().zip(&one_by_one) {
        assert!((found - expected).abs() < 1e-6, "{found} and {expected}");
    }
    for (found, expected) in logps
        .as_flattened()
        .iter()
        .zip(one_by_one_logps.as_flattened())
    {
        assert!((found - expected).abs() < 1e-3, "{found} and {expected}");
    }
}
