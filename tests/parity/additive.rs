//! Novelty and additive weights against CrPO's formulas in numpy (`additive.py`), surprise against
//! PyTorch's log-probabilities (`losses.py`).

use std::collections::BTreeMap;

use burn::tensor::Device;
use rarebit_deviation::{Signals, Weighting, WordVectors, additive_weights, novelty};
use rarebit_train::{Sequence, perplexities};
use serde::Deserialize;

use super::fixture::json;
use super::pairs::{PAD, model, pairs};

#[derive(Deserialize)]
struct Expected {
    words: BTreeMap<String, Vec<f32>>,
    settings: Vec<Weighting>,
    prompts: Vec<Prompt>,
}

/// By kind: deviations; then the signals; by setting: weights.
#[derive(Deserialize)]
struct Prompt {
    texts: Vec<String>,
    deviations: BTreeMap<String, Vec<f64>>,
    novelty: Vec<f64>,
    surprise: Vec<f64>,
    quality: Vec<f64>,
    weights: Vec<Vec<f64>>,
}

fn assert_close(what: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        // All of it is in f64; spreading a signal over its range magnifies the last digit of the fixture's.
        let difference = (found - expected).abs();
        assert!(difference < 1e-7, "{what}: {found}, not {expected}");
    }
}

#[test]
fn novelty_and_additive_weights_are_crpos() {
    let Expected {
        words,
        settings,
        prompts,
    } = json("deviation/additive.json");
    let rows: Vec<Vec<f32>> = words.values().cloned().collect();
    let vectors = WordVectors::new(words.into_keys(), &rows).expect("finite rows");
    assert!(prompts.len() == 4 && settings.len() == 9);
    for prompt in prompts {
        let texts: Vec<&str> = prompt.texts.iter().map(String::as_str).collect();
        assert_close("novelty", &novelty(&texts, &vectors), &prompt.novelty);
        let known = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
        let signals = Signals {
            novelty: &known(&prompt.novelty),
            surprise: &known(&prompt.surprise),
            quality: &known(&prompt.quality),
        };
        for (weighting, expected) in settings.iter().zip(&prompt.weights) {
            let kinds = weighting.kinds.as_slice().iter();
            let mut raw: Vec<&[f64]> = kinds
                .map(|kind| &prompt.deviations[kind.as_str()][..])
                .collect();
            if raw.is_empty() {
                raw.push(&prompt.quality);
            }
            let mix = weighting.mix.as_ref().expect("a mix");
            let found = additive_weights(&raw, &signals, mix, weighting).expect("all signals");
            let what = format!("{weighting:?} of {} responses", texts.len());
            assert_close(&what, &found, expected);
        }
    }
}

#[derive(Deserialize)]
struct Losses {
    logps: BTreeMap<String, Vec<f64>>,
}

#[test]
fn surprise_is_the_perplexity_of_torchs_log_probabilities() {
    let Losses { logps } = json("losses/losses.json");
    let pairs: Vec<_> = pairs().into_iter().take(4).collect();
    let rejected = pairs.iter().map(|pair| pair.rejected.clone());
    let sides: [(&str, Vec<Sequence>); 2] = [
        (
            "chosen",
            pairs.iter().map(|pair| pair.chosen.clone()).collect(),
        ),
        ("rejected", rejected.collect()),
    ];
    let policy = model("policy", &Device::flex());
    for (side, sequences) in sides {
        let mean = &logps[&format!("policy.{side}.mean")];
        for batch_size in [1, 3] {
            let mut told = Vec::new();
            let mut progress = |done, of| told.push((done, of));
            let found = perplexities(&policy, sequences.clone(), batch_size, PAD, &mut progress)
                .expect("the CPU computes");
            assert_eq!(told.last(), Some(&(4, 4)));
            for (found, mean) in found.iter().zip(mean) {
                let expected = (-mean).exp();
                assert!(
                    (found / expected - 1.0).abs() < 1e-4,
                    "{side}: {found}, not {expected}"
                );
            }
        }
    }
}
