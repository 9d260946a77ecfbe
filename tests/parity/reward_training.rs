//! Ten steps of a reward model against PyTorch and peft, and torch's plateaus (`reward_train.py`).

use burn::tensor::Device;
use rarebit_models::lora::Adaptable;
use rarebit_models::sequence_classifier::SequenceClassifier;
use rarebit_train::{AdamW, Learner, Plateau, PlateauSettings, RewardTask, ScoredExample};
use serde::Deserialize;

use super::fixture::{TOLERANCE, Tensors, assert_close, json, path};

#[derive(Deserialize)]
struct Training {
    settings: Settings,
    ids: Vec<Vec<u32>>,
    scores: Vec<f32>,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Settings {
    steps: usize,
    texts_per_step: usize,
    learning_rate: f64,
    weight_decay: f32,
}

#[derive(Deserialize)]
struct Run {
    train: String,
    accumulation: usize,
    loss: Vec<f32>,
    grad_norm: Vec<f32>,
}

fn start(train: &str, device: &Device) -> SequenceClassifier {
    let adapter = path("reward/adapter");
    match train {
        "full" => SequenceClassifier::load_reward(&path("reward"), device),
        "lora" => SequenceClassifier::load_reward_with_adapter(&path("reward"), &adapter, device),
        other => panic!("no training is called {other}"),
    }
    .expect("the fixture")
}

#[test]
fn l1_regression_walks_torchs_ten_steps() {
    let Training {
        settings,
        ids,
        scores,
        runs,
    } = json("reward/training.json");
    let examples: Vec<ScoredExample> = ids
        .into_iter()
        .zip(scores)
        .enumerate()
        .map(|(i, (ids, score))| ScoredExample {
            id: i.to_string(),
            ids,
            score,
        })
        .collect();
    let adam = AdamW {
        adam_beta1: 0.9,
        adam_beta2: 0.999,
        adam_epsilon: 1e-8,
        weight_decay: settings.weight_decay,
    };
    assert_eq!(runs.len(), 4);
    for run in runs {
        let what = format!("{}, accumulation {}", run.train, run.accumulation);
        let model = start(&run.train, &Device::flex().autodiff());
        let mut learner = Learner::new(model, RewardTask, adam, Some(1.0));
        let (mut losses, mut norms) = (Vec::new(), Vec::new());
        for step in 0..settings.steps {
            let places = (0..settings.texts_per_step)
                .map(|i| (step * settings.texts_per_step + i) % examples.len());
            let items: Vec<&ScoredExample> = places.map(|i| &examples[i]).collect();
            let size = settings.texts_per_step / run.accumulation;
            let micro_batches: Vec<Vec<&ScoredExample>> =
                items.chunks(size).map(<[_]>::to_vec).collect();
            let report = learner
                .step(&micro_batches, settings.learning_rate)
                .expect("a step");
            losses.push(report.loss as f32);
            norms.push(report.grad_norm as f32);
        }
        assert_close(&format!("{what}: loss"), &losses, &run.loss, TOLERANCE);
        assert_close(&format!("{what}: norm"), &norms, &run.grad_norm, TOLERANCE);
        if run.accumulation == 1 {
            compare_parameters(&run.train, &learner.model);
        }
    }
}

/// Ten steps of 1e-3 move a parameter by up to 1e-2.
fn compare_parameters(train: &str, model: &SequenceClassifier) {
    let expected = Tensors::read(&path(&format!("reward/trained-{train}.safetensors")));
    let trained = model.trained_tensors();
    assert_eq!(trained.len(), expected.names().len());
    let (mut found, mut wanted) = (Vec::new(), Vec::new());
    for (name, data) in trained {
        let key = match train {
            "lora" => format!("base_model.model.{name}"),
            _ => name,
        };
        let tensor = expected.f32(&key);
        assert_eq!(data.shape().to_vec(), tensor.shape, "{key}");
        found.extend(data.try_to_vec::<f32>().expect("f32"));
        wanted.extend(tensor.values);
    }
    assert_close(train, &found, &wanted, TOLERANCE / 2.0);
}

#[derive(Deserialize)]
struct Plateaus {
    start: f64,
    losses: Vec<f64>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    settings: PlateauSettings,
    learning_rate: Vec<f64>,
}

#[test]
fn a_learning_rate_falls_on_plateaus_as_torchs_does() {
    let Plateaus {
        start,
        losses,
        cases,
    } = json("reward/plateau.json");
    assert_eq!(cases.len(), 6);
    for case in cases {
        let mut plateau = Plateau::new(start);
        for (step, (&loss, expected)) in losses.iter().zip(&case.learning_rate).enumerate() {
            plateau.step(loss, &case.settings);
            let found = plateau.learning_rate;
            let same = (found - expected).abs() < 1e-15;
            assert!(same, "{:?}, loss {step}: {found} {expected}", case.settings);
        }
    }
}

#[test]
fn a_fresh_head_is_drawn_from_the_seed() {
    let begin = |seed| {
        let device = Device::flex();
        let policy = path("losses/policy");
        SequenceClassifier::begin_reward(&policy, 3, seed, &device).expect("a language model")
    };
    let head = |model: &SequenceClassifier| {
        let tensors = model.trained_tensors();
        assert!(tensors.iter().all(|(name, _)| name != "lm_head.weight"));
        let head = tensors.into_iter().find(|(name, _)| name == "score.weight");
        let (_, data) = head.expect("a head");
        assert_eq!(data.shape().to_vec(), [1, 16]);
        data.try_to_vec::<f32>().expect("f32")
    };
    let (one, same, other) = (head(&begin(7)), head(&begin(7)), head(&begin(8)));
    assert_eq!(one, same);
    assert_ne!(one, other);
    // Normal with deviation 0.02.
    let size = (one.iter().map(|value| value * value).sum::<f32>() / 16.0).sqrt();
    assert!((0.008..0.04).contains(&size), "{size}");
}
