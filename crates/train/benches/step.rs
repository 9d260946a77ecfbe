//! A DDPO step of the demo's model on eight pairs as long as tales, on one core and on all:
//! `cargo bench --workspace --bench step`.

use std::path::Path;

use burn::tensor::Device;
use divan::Bencher;
use rarebit_models::causal_lm::CausalLm;
use rarebit_train::{
    AdamW, Example, Item, Learner, LossType, Objective, Pair, PolicyTask, Sequence,
};
use rayon::ThreadPoolBuilder;

const PAIRS: usize = 8;

fn main() {
    divan::main();
}

fn cores() -> [usize; 2] {
    [1, rayon::current_num_threads()]
}

#[divan::bench(args = cores())]
fn ddpo(bencher: Bencher<'_, '_>, cores: usize) {
    let sequence = |seed: usize| {
        let ids: Vec<u32> = (0..110)
            .map(|place| ((seed * 7919 + place * 104_729) % 1000 + 2) as u32)
            .collect();
        Sequence::completion(&ids[..30], &ids[30..])
    };
    let examples: Vec<Example> = (0..PAIRS)
        .map(|i| {
            Example::Pair(Pair {
                id: i.to_string(),
                weight: 1.0,
                chosen: sequence(i),
                rejected: sequence(i + PAIRS),
            })
        })
        .collect();
    let batch: Vec<Item<'_>> = examples
        .iter()
        .map(|example| Item {
            example,
            reference: Some([-200.0, -200.0]),
        })
        .collect();
    let batches = [batch];
    let task = PolicyTask {
        objective: Objective::Dpo {
            loss_type: LossType::Sigmoid,
            beta: 0.1,
            policy_beta: None,
            weighted: true,
        },
        pad: 0,
    };
    let adam = AdamW {
        adam_beta1: 0.9,
        adam_beta2: 0.999,
        adam_epsilon: 1e-8,
        weight_decay: 0.0,
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../native/demo");
    let device = Device::flex().autodiff();
    let model = CausalLm::load(&folder, &device).expect("the demo's model");
    let mut learner = Learner::new(model, task, adam, Some(1.0));
    let pool = ThreadPoolBuilder::new()
        .num_threads(cores)
        .build()
        .expect("threads");
    bencher.bench_local(|| pool.install(|| learner.step(&batches, 1e-5).expect("a step")));
}
