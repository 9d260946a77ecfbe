//! Spearman's rank correlation.

use super::Judged;

/// Spearman's rank correlation of rewards and scores, as SciPy 1.17's `spearmanr`: the Pearson
/// correlation of ranks, equal values sharing the mean of theirs. None where either is the same for
/// all, or there is one response.
#[must_use]
pub fn spearman(responses: &[Judged]) -> Option<f64> {
    let column = |of: fn(&Judged) -> f64| ranks(&responses.iter().map(of).collect::<Vec<_>>());
    pearson(
        &column(|judged| judged.reward),
        &column(|judged| judged.score),
    )
}

/// Ranks from 1, equal values sharing the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let equal = order[start..]
            .iter()
            .take_while(|&&place| values[place] == values[order[start]])
            .count()
            .max(1);
        let rank = start as f64 + (equal as f64 + 1.0) / 2.0;
        for &place in &order[start..start + equal] {
            ranks[place] = rank;
        }
        start += equal;
    }
    ranks
}

fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    let n = x.len() as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / n;
    let (mean_x, mean_y) = (mean(x), mean(y));
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        let (dx, dy) = (x - mean_x, y - mean_y);
        xy += dx * dy;
        xx += dx * dx;
        yy += dy * dy;
    }
    (xx > 0.0 && yy > 0.0).then(|| (xy / (xx * yy).sqrt()).clamp(-1.0, 1.0))
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
