//! Krippendorff's alpha.

use std::collections::BTreeMap;

/// The agreement of annotators on nominal values, corrected for chance:
///
/// ```text
/// alpha = 1 - D_o / D_e
/// D_o = 1/n sum_{c != k} o_ck,    o_ck = sum_u n_uc n_uk / (m_u - 1)
/// D_e = 1/(n (n - 1)) sum_{c != k} n_c n_k
/// ```
///
/// ("Computing Krippendorff's Alpha-Reliability", Krippendorff, 2011.) `units` holds the values
/// given to each unit by any annotator: `n_uc` of them are `c`, `m_u` is their number, and `n` their
/// number in all units with two or more. Units with fewer are ignored, which is how missing values
/// are handled. 1 is perfect agreement, 0 is chance level; less is systematic disagreement.
///
/// `None` if no unit has two values, or all values are equal: without variation, agreement cannot be
/// told from chance.
#[must_use]
pub fn krippendorff_alpha<'a, V: Ord + 'a>(
    units: impl IntoIterator<Item = &'a Vec<V>>,
) -> Option<f64> {
    let mut totals: BTreeMap<&V, f64> = BTreeMap::new();
    let mut observed = 0.0;
    for unit in units {
        if unit.len() < 2 {
            continue;
        }
        let mut counts: BTreeMap<&V, f64> = BTreeMap::new();
        for value in unit {
            *counts.entry(value).or_default() += 1.0;
            *totals.entry(value).or_default() += 1.0;
        }
        observed += unequal_pairs(&counts) / (unit.len() as f64 - 1.0);
    }
    let n: f64 = totals.values().sum();
    let expected = unequal_pairs(&totals);
    (expected > 0.0).then(|| 1.0 - (n - 1.0) * observed / expected)
}

/// Ordered pairs of different values.
fn unequal_pairs<V>(counts: &BTreeMap<&V, f64>) -> f64 {
    let n: f64 = counts.values().sum();
    n * n - counts.values().map(|count| count * count).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_units_by_hand() {
        // Values a a | a b: n = 4, n_a = 3, n_b = 1. D_o = 2/4, D_e = 6/12.
        let alpha = krippendorff_alpha(&[vec!["a", "a"], vec!["a", "b"]]);
        assert_eq!(alpha, Some(0.0));
        assert_eq!(krippendorff_alpha(&[vec![1, 1], vec![2, 2]]), Some(1.0));
    }

    #[test]
    fn without_pairs_or_variation_there_is_none() {
        assert_eq!(krippendorff_alpha::<u8>(&[]), None);
        assert_eq!(krippendorff_alpha(&[vec![1], vec![2]]), None);
        assert_eq!(krippendorff_alpha(&[vec![1, 1], vec![1, 1]]), None);
    }
}
