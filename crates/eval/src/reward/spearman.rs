//! Spearman's rank correlation.

use super::judged::Judged;
use crate::correlation;

/// Spearman's rank correlation of rewards and scores, as SciPy 1.17's `spearmanr`: the Pearson
/// correlation of ranks, where equal values share their mean rank. `None` if either is constant or
/// there is only one response.
#[must_use]
pub fn spearman(responses: &[Judged]) -> Option<f64> {
    let points: Vec<(f64, f64)> = responses
        .iter()
        .map(|judged| (judged.reward, judged.score))
        .collect();
    correlation::spearman(&points)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Case {
        rewards: Vec<f64>,
        scores: Vec<f64>,
        /// None where SciPy gives no number.
        spearman: Option<f64>,
    }

    #[test]
    fn correlations_are_scipys() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/fixtures/reward/spearman.json"
        );
        let text = std::fs::read_to_string(path).expect("the fixture");
        let cases: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let cases: Vec<Case> = serde_json::from_value(cases["cases"].clone()).expect("cases");
        assert!(cases.len() >= 6);
        for case in cases {
            let judged: Vec<Judged> = (case.rewards.iter().zip(&case.scores))
                .map(|(&reward, &score)| Judged { reward, score })
                .collect();
            match (spearman(&judged), case.spearman) {
                (Some(found), Some(expected)) => {
                    assert!((found - expected).abs() < 1e-12, "{found} {expected}");
                }
                (found, expected) => assert_eq!(found, expected, "{judged:?}"),
            }
        }
    }
}
