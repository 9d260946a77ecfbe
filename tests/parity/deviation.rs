//! Deviations and weights against the formulas in numpy (`deviation.py`).

use std::collections::BTreeMap;

use rarebit_deviation::{DistanceMatrix, Measure, Weighting, weights};
use serde::Deserialize;

use super::fixture::json;

#[derive(Deserialize)]
struct Expected {
    settings: Vec<Weighting>,
    prompts: Vec<Prompt>,
}

/// By kind of embedder: vectors, deviations by every measure, marginal probabilities; by setting:
/// weights.
#[derive(Deserialize)]
struct Prompt {
    embeddings: BTreeMap<String, Vec<Vec<f32>>>,
    deviations: BTreeMap<String, Vec<f64>>,
    nearest: BTreeMap<String, Vec<f64>>,
    logdet: BTreeMap<String, Vec<f64>>,
    marginals: BTreeMap<String, Vec<f64>>,
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
            let by = |measure: Measure| -> Vec<f64> {
                let found = measure.deviations(&matrix);
                assert!(rows.len() == 1 || found.iter().all(Option::is_some));
                found.into_iter().map(Option::unwrap_or_default).collect()
            };
            assert_close(kind, &by(Measure::Nearest), &prompt.nearest[kind], 1e-6);
            let log_det = by(Measure::LogDet);
            assert_close(kind, &log_det, &prompt.logdet[kind], 1e-6);
            if rows.len() > 1 {
                let marginals: Vec<f64> = log_det.iter().map(|d| 1.0 - (-d).exp()).collect();
                assert_close(kind, &marginals, &prompt.marginals[kind], 1e-6);
            }
            let mean = by(Measure::Mean);
            assert_close(kind, &mean, &prompt.deviations[kind], 1e-6);
            raw.insert(kind.as_str(), mean);
        }
        for (weighting, expected) in settings.iter().zip(&prompt.weights) {
            let kinds = weighting.kinds.as_slice().iter();
            let raw: Vec<&[f64]> = kinds.map(|kind| &raw[kind.as_str()][..]).collect();
            let what = format!("{weighting:?} of {} responses", raw[0].len());
            assert_close(&what, &weights(&raw, weighting), expected, 1e-4);
        }
    }
}
