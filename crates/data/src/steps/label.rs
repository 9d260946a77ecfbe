//! From scores to the labels of KTO.

/// Whether each response to a prompt is desirable: better than the median of the prompt's scores,
/// or worse.
///
/// Responses at the median go to the side that would be empty without them, for example where one
/// response got the only vote; otherwise they have no label. A response without a score has none
/// either, nor has any where all scores are equal, since nothing is preferred there.
///
/// # Departures
/// KTO (Ethayarajh et al., arXiv 2402.01306) takes labels as given, and so does TRL. This is for
/// sources that have scores in their place.
pub fn labels(scores: &[Option<f64>]) -> Vec<Option<bool>> {
    let mut sorted: Vec<f64> = scores.iter().copied().flatten().collect();
    sorted.sort_by(f64::total_cmp);
    let (Some(&low), Some(&high)) = (sorted.first(), sorted.last()) else {
        return vec![None; scores.len()];
    };
    let n = sorted.len();
    let median = f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2]);
    let label = |score: f64| {
        if score != median {
            Some(score > median)
        } else if low == high {
            None
        } else if high == median {
            Some(true)
        } else if low == median {
            Some(false)
        } else {
            None
        }
    };
    scores.iter().map(|score| score.and_then(label)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signs(scores: &[f64]) -> String {
        let scores: Vec<Option<f64>> = scores.iter().copied().map(Some).collect();
        let sign = |label| match label {
            Some(true) => '+',
            Some(false) => '-',
            None => '0',
        };
        labels(&scores).into_iter().map(sign).collect()
    }

    #[test]
    fn the_better_half_is_desirable() {
        for (scores, expected) in [
            (&[1.0, 4.0, 2.0, 9.0][..], "-+-+"),
            (&[1.0, 4.0, 9.0], "-0+"),
            // One answer scored, the rest zero; and all but one.
            (&[10.0, 0.0, 0.0, 0.0], "+---"),
            (&[5.0, 5.0, 5.0, 0.0], "+++-"),
            (&[3.0, 3.0, 3.0], "000"),
            (&[3.0], "0"),
            (&[-7.0, 2.0], "-+"),
            (&[1.0, 2.0, 2.0, 2.0, 3.0], "-000+"),
            (&[], ""),
        ] {
            assert_eq!(signs(scores), expected, "{scores:?}");
        }
    }

    #[test]
    fn a_response_without_a_score_has_no_label() {
        assert_eq!(
            labels(&[Some(1.0), None, Some(2.0)]),
            [Some(false), None, Some(true)]
        );
        assert_eq!(labels(&[None, None]), [None, None]);
    }
}
