//! Deviations and weights against the formulas in numpy (`deviation.py`).

use std::collections::BTreeMap;

use rarebit_deviation::{DistanceMatrix, Weighting, deviations, weights};
use serde::Deserialize;

use super::fixture::json;

#[derive(Deserialize)]
struct Expected {
    settings: Vec<Weighting>,
    prompts: Vec<Prompt>,
}

/// By kind of embedder: vectors and deviations; by setting: weights.
#[derive(Deserialize)]
struct Prompt {
    embeddings: BTreeMap<String, Vec<Vec<f32>>>,
    deviations: BTreeMap<String, Vec<f64>>,
    weights: Vec<Vec<f64>>,
}

/// Distances are kept in f32, which is where all of the difference comes from; a quotient of small
/// differences magnifies it.
fn assert_close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        let difference = (found - expected).abs();
        assert!(difference < tolerance, "{what}: {found}, not {expected}");
    }
}

#[test]
fn deviations_and_weights_are_the_papers() {
    let Expected { settings, prompts } = json("deviation/weights.json");
    for prompt in prompts {
        let mut raw = BTreeMap::new();
        for (kind, rows) in &prompt.embeddings {
            let matrix = DistanceMatrix::from_embeddings(rows).expect("finite rows");
            let found = deviations(&matrix);
            assert!(rows.len() == 1 || found.iter().all(Option::is_some));
            let found: Vec<f64> = found.into_iter().map(Option::unwrap_or_default).collect();
            assert_close(kind, &found, &prompt.deviations[kind], 1e-6);
            raw.insert(kind.as_str(), found);
        }
        for (weighting, expected) in settings.iter().zip(&prompt.weights) {
            let kinds = weighting.kinds.as_slice().iter();
            let raw: Vec<&[f64]> = kinds.map(|kind| &raw[kind.as_str()][..]).collect();
            let what = format!("{weighting:?} of {} responses", raw[0].len());
            assert_close(&what, &weights(&raw, weighting), expected, 1e-4);
        }
    }
}
