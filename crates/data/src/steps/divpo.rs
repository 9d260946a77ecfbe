//! Step 2 as DivPO does it: rare and good responses against common and bad ones.

use rand::seq::SliceRandom;
use rarebit_deviation::{DistanceMatrix, Measure, Weighting, weights};
use serde::{Deserialize, Serialize};

use super::pairs::{by_score, may_meet};
use super::rng;
use crate::error::DataError;
use crate::group::{Group, Pair};

/// How DivPO's pairs are chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DivpoOptions {
    /// The share of a prompt's responses that make up the best, and as many the worst.
    pub rho: f64,
    /// The most pairs per prompt.
    pub max_pairs: usize,
    /// The most words by which the two responses of a pair may differ in length.
    pub max_length_difference: Option<usize>,
}

impl Default for DivpoOptions {
    /// As in the DDPO paper's reference code: a quarter, two pairs.
    fn default() -> Self {
        Self {
            rho: 0.25,
            max_pairs: 2,
            max_length_difference: None,
        }
    }
}

impl DivpoOptions {
    /// # Errors
    /// When rho is not a share, or there can be no pair.
    pub fn validate(&self) -> Result<(), DataError> {
        let (option, value, problem) = if !(self.rho > 0.0 && self.rho <= 0.5) {
            let problem = "give a share above 0 and at most 0.5";
            ("rho", self.rho.to_string(), problem)
        } else if self.max_pairs == 0 {
            ("max-pairs", "0".to_owned(), "give 1 or more")
        } else {
            return Ok(());
        };
        Err(DataError::Option {
            option,
            value,
            problem: problem.to_owned(),
        })
    }

    /// How many of `n` scored responses are the best, and how many the worst.
    fn pool(&self, n: usize) -> usize {
        let share = (n as f64 * self.rho) as usize;
        share.max(self.max_pairs).min(n / 2)
    }
}

/// The pairs of diverse preference optimisation, drawn from existing responses.
///
/// Of a prompt's scored responses the best and the worst form two sets: a share
/// [`DivpoOptions::rho`] each, at least as many as pairs are wanted and at most half. Deviation is
/// recomputed inside each set. The most deviating of the best are chosen, the least deviating of the
/// worst rejected, and they are matched at random.
///
/// `distances` holds the group's distances by kind, in the order of the weighting's kinds; they are
/// mixed as weights are. Where deviations tie, the better-scored of the best and the worse-scored
/// of the worst come first.
///
/// Lanchantin et al., arXiv 2501.18101, in the offline form that Chung et al. (arXiv 2503.17126)
/// compare with.
///
/// # Departures
/// A pair whose scores or texts are equal expresses no preference and is left out. The reference code takes
/// only responses that ended in a pair by score; here all that are kept and scored count.
pub fn divpo(
    group: &Group,
    distances: &[&DistanceMatrix],
    measure: Measure,
    weighting: &Weighting,
    options: &DivpoOptions,
    seed: u64,
) -> Vec<Pair> {
    let places = by_score(group);
    let pool = options.pool(places.len());
    let wanted = options.max_pairs.min(pool);
    // What acts on single weights would only make ties here.
    let weighting = Weighting {
        floor: None,
        shrinkage: None,
        tau: None,
        mix: None,
        ..*weighting
    };
    let deviation = |set: &[usize]| -> Vec<f64> {
        let raw: Vec<Vec<f64>> = distances
            .iter()
            .map(|matrix| {
                let inside = measure.deviations(&matrix.select(set));
                inside.into_iter().map(Option::unwrap_or_default).collect()
            })
            .collect();
        let raw: Vec<&[f64]> = raw.iter().map(Vec::as_slice).collect();
        weights(&raw, &weighting)
    };
    // The first of equals are those nearest the end of the scores that the set comes from.
    let extremes = |set: Vec<usize>, sign: f64| -> Vec<usize> {
        let deviation = deviation(&set);
        let mut order: Vec<usize> = (0..set.len()).collect();
        order.sort_by(|&a, &b| (sign * deviation[b]).total_cmp(&(sign * deviation[a])));
        order.into_iter().take(wanted).map(|i| set[i]).collect()
    };
    let worst = places[..pool].to_vec();
    let best: Vec<usize> = places.iter().rev().take(pool).copied().collect();
    let mut chosen = extremes(best, 1.0);
    let mut rejected = extremes(worst, -1.0);
    let mut rng = rng(seed, "divpo", &group.id, &group.prompt.flat());
    chosen.shuffle(&mut rng);
    rejected.shuffle(&mut rng);
    let response = |place: usize| &group.responses[place];
    chosen
        .into_iter()
        .zip(rejected)
        .map(|(chosen, rejected)| (response(chosen), response(rejected)))
        .filter(|(chosen, rejected)| {
            chosen.score > rejected.score
                && may_meet(chosen, rejected, options.max_length_difference)
        })
        .map(|(chosen, rejected)| Pair {
            chosen: chosen.id,
            rejected: rejected.id,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rarebit_deviation::Kinds;

    use super::*;
    use crate::group::Response;

    fn semantic() -> Weighting {
        Weighting {
            kinds: Kinds::Semantic,
            ..Weighting::default()
        }
    }

    /// Responses on a circle, `(score, angle)` each.
    fn group(responses: &[(f64, f32)]) -> (Group, DistanceMatrix) {
        let rows: Vec<Vec<f32>> = responses
            .iter()
            .map(|(_, angle)| vec![angle.cos(), angle.sin()])
            .collect();
        let responses = (0..)
            .zip(responses)
            .map(|(id, (score, angle))| {
                Response::new(id, format!("text at {angle}").into(), Some(*score))
            })
            .collect();
        let group = Group {
            id: "g:1".to_owned(),
            prompt: "p".into(),
            responses,
            pairs: None,
        };
        (group, DistanceMatrix::from_embeddings(&rows).unwrap())
    }

    fn drawn(responses: &[(f64, f32)], options: &DivpoOptions, seed: u64) -> Vec<Pair> {
        let (group, distances) = group(responses);
        divpo(
            &group,
            &[&distances],
            Measure::Mean,
            &semantic(),
            options,
            seed,
        )
    }

    /// Twelve responses, so that a quarter is three: 9, 10, 11 are the best and 0, 1, 2 the worst.
    fn twelve() -> Vec<(f64, f32)> {
        let mut all: Vec<(f64, f32)> = (0..12).map(|i| (f64::from(i), 0.1 * i as f32)).collect();
        // Among the best 10 stands apart, then 11; among the worst 1 and 2 are near each other.
        (all[9].1, all[10].1, all[11].1) = (0.5, 2.0, 0.6);
        (all[0].1, all[1].1, all[2].1) = (2.0, 0.2, 0.3);
        all
    }

    #[test]
    fn rare_and_good_meets_common_and_bad() {
        let one = DivpoOptions {
            max_pairs: 1,
            ..DivpoOptions::default()
        };
        for seed in 0..10 {
            let pairs = drawn(&twelve(), &one, seed);
            // 2 lies between 0 and 1, so it is the least deviating of the worst.
            let expected = Pair {
                chosen: 10,
                rejected: 2,
            };
            assert_eq!(pairs, [expected]);
        }
    }

    #[test]
    fn two_pairs_meet_at_random_and_each_response_once() {
        let mut seen = HashSet::new();
        for seed in 0..40 {
            let pairs = drawn(&twelve(), &DivpoOptions::default(), seed);
            assert_eq!(pairs.len(), 2);
            let chosen: HashSet<u32> = pairs.iter().map(|pair| pair.chosen).collect();
            let rejected: HashSet<u32> = pairs.iter().map(|pair| pair.rejected).collect();
            assert_eq!(chosen, HashSet::from([10, 9]));
            assert_eq!(rejected, HashSet::from([1, 2]));
            let mut pairs: Vec<(u32, u32)> = pairs.iter().map(|p| (p.chosen, p.rejected)).collect();
            pairs.sort_unstable();
            seen.insert(pairs);
            assert_eq!(
                drawn(&twelve(), &DivpoOptions::default(), seed),
                drawn(&twelve(), &DivpoOptions::default(), seed)
            );
        }
        assert_eq!(seen.len(), 2, "both ways to meet");
    }

    #[test]
    fn the_sets_are_a_quarter_but_as_many_as_pairs_and_half_at_most() {
        let options = DivpoOptions::default();
        for (n, pool) in [
            (0, 0),
            (1, 0),
            (2, 1),
            (3, 1),
            (4, 2),
            (8, 2),
            (12, 3),
            (40, 10),
        ] {
            assert_eq!(options.pool(n), pool, "{n}");
        }
    }

    #[test]
    fn equal_scores_and_copies_never_meet() {
        let flat = [(4.0, 0.1), (4.0, 0.7), (4.0, 1.2), (4.0, 2.0)];
        assert!(drawn(&flat, &DivpoOptions::default(), 1).is_empty());
        // NoveltyBench: one answer scored, the rest zero.
        let one = [(10.0, 0.1), (0.0, 0.7), (0.0, 1.2), (0.0, 2.0)];
        let pairs = drawn(&one, &DivpoOptions::default(), 1);
        assert_eq!((pairs.len(), pairs[0].chosen), (1, 0));
        let copies = [(10.0, 0.5), (0.0, 0.5)];
        assert!(drawn(&copies, &DivpoOptions::default(), 1).is_empty());
        for few in [&one[..1], &[]] {
            assert!(drawn(few, &DivpoOptions::default(), 1).is_empty());
        }
    }

    #[test]
    fn responses_without_a_score_do_not_count() {
        let (mut group, distances) = group(&twelve());
        group.responses[11].score = None;
        let pairs = divpo(
            &group,
            &[&distances],
            Measure::Mean,
            &semantic(),
            &DivpoOptions::default(),
            1,
        );
        assert!(pairs.iter().all(|pair| pair.chosen != 11));
        assert_eq!(pairs.len(), 2);
    }

    #[test]
    fn shares_that_make_no_sense_are_refused() {
        for rho in [0.0, 0.6, f64::NAN] {
            let options = DivpoOptions {
                rho,
                ..DivpoOptions::default()
            };
            assert!(options.validate().is_err());
        }
    }
}
