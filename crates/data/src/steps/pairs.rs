//! Step 2: which responses form a pair.

use std::collections::{BTreeSet, HashMap};

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::rng;
use crate::error::DataError;
use crate::group::{Group, Pair, Response};

/// How pairs are drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PairOptions {
    /// How far the scores of a pair should be apart; -1 takes every pair of different scores.
    pub gap: f64,
    /// The most pairs drawn when every pair is taken.
    pub all_pairs_cap: usize,
    /// The most pairs kept per prompt.
    pub max_pairs: Option<usize>,
    /// Keep the pairs with the best-scored chosen response first, in place of the first drawn.
    pub best_first: bool,
    /// The most words by which the two responses of a pair may differ in length.
    pub max_length_difference: Option<usize>,
}

impl Default for PairOptions {
    /// The paper's: a gap of 5, every response used once, 100 draws when every pair is taken.
    fn default() -> Self {
        Self {
            gap: 5.0,
            all_pairs_cap: 100,
            max_pairs: None,
            best_first: false,
            max_length_difference: None,
        }
    }
}

/// Whether two responses may form a pair: not copies of one text, nor texts that differ in length by
/// more words than allowed, which would teach a preference for length.
pub(super) fn may_meet(a: &Response, b: &Response, max_length_difference: Option<usize>) -> bool {
    let words = |response: &Response| response.text.split_whitespace().count();
    a.text != b.text && max_length_difference.is_none_or(|most| words(a).abs_diff(words(b)) <= most)
}

/// The positions of the responses that have a score, by rising score.
pub(super) fn by_score(group: &Group) -> Vec<usize> {
    let score = |place: usize| group.responses[place].score;
    let mut places: Vec<usize> = (0..group.responses.len())
        .filter(|&place| score(place).is_some())
        .collect();
    places.sort_by(|&a, &b| {
        let by_score = score(a).unwrap_or(0.0).total_cmp(&score(b).unwrap_or(0.0));
        by_score.then(group.responses[a].id.cmp(&group.responses[b].id))
    });
    places
}

impl PairOptions {
    /// # Errors
    /// When the gap is neither -1 nor a number from 0.
    pub fn validate(&self) -> Result<(), DataError> {
        if self.gap == -1.0 || (self.gap.is_finite() && self.gap >= 0.0) {
            return Ok(());
        }
        Err(DataError::Option {
            option: "gap",
            value: self.gap.to_string(),
            problem: "give 0 or more, or -1 for every pair of different scores".to_owned(),
        })
    }
}

/// The pairs of a group: those that the source gives, or drawn at random by score.
///
/// With a gap, one pair at a time is drawn among all whose scores differ by at least the gap, each
/// response used once; when none is left, among those whose scores differ at all. With a gap of -1
/// every pair of different scores counts, at most [`PairOptions::all_pairs_cap`] of them are drawn,
/// and a response may be in several pairs. The response with the higher score is the chosen one.
/// Responses without a score, with equal scores or with equal texts never form a pair.
///
/// # Departures
/// The reference code pairs two copies of one text when their scores differ; such a pair expresses
/// no preference and only dilutes the mean loss. With a gap of -1 the reference code also takes
/// pairs of equal scores, and calls the second response the chosen one.
pub fn pairs(group: &Group, options: &PairOptions, seed: u64) -> Vec<Pair> {
    let mut drawn = match &group.pairs {
        Some(given) => {
            let mut given = given.clone();
            if options.max_length_difference.is_some() {
                given.retain(|pair| {
                    let both = group
                        .response(pair.chosen)
                        .zip(group.response(pair.rejected));
                    both.is_some_and(|(a, b)| may_meet(a, b, options.max_length_difference))
                });
            }
            given
        }
        None => {
            let mut scored = Scored::new(group, options.max_length_difference);
            let mut rng = rng(seed, "pairs", &group.id, &group.prompt.flat());
            if options.gap < 0.0 {
                scored.all(options.all_pairs_cap, &mut rng)
            } else {
                let mut drawn = scored.draw(options.gap, &mut rng);
                drawn.extend(scored.draw(0.0, &mut rng));
                drawn
            }
        }
    };
    if options.best_first {
        let score = |pair: &Pair| group.response(pair.chosen).and_then(|r| r.score);
        // Stable, so that the draw decides between equals; a missing score comes last.
        drawn.sort_by(|a, b| {
            score(b)
                .partial_cmp(&score(a))
                .unwrap_or(std::cmp::Ordering::Equal)
        });
    }
    drawn.truncate(options.max_pairs.unwrap_or(usize::MAX));
    drawn
}

/// The unused responses that have a score, by rising score.
struct Scored {
    candidates: Vec<Candidate>,
    max_length_difference: Option<usize>,
}

struct Candidate {
    score: f64,
    id: u32,
    /// Equal for equal texts.
    text: usize,
    /// Words, where they are asked for.
    words: usize,
}

impl Scored {
    fn new(group: &Group, max_length_difference: Option<usize>) -> Self {
        let mut texts = HashMap::new();
        let scored = by_score(group).into_iter().filter_map(|place| {
            let response = &group.responses[place];
            let next = texts.len();
            Some(Candidate {
                score: response.score?,
                id: response.id,
                text: *texts.entry(response.text.as_str()).or_insert(next),
                words: match max_length_difference {
                    Some(_) => response.text.split_whitespace().count(),
                    None => 0,
                },
            })
        });
        Self {
            candidates: scored.collect(),
            max_length_difference,
        }
    }

    fn may_meet(&self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.candidates[a], &self.candidates[b]);
        let near = |most| a.words.abs_diff(b.words) <= most;
        a.text != b.text && self.max_length_difference.is_none_or(near)
    }

    /// For each response, how many that it may meet score lower by at least the gap.
    fn partners(&self, gap: f64) -> Vec<usize> {
        let scored = &self.candidates;
        let apart = |low: f64, high: f64| low < high && high - low >= gap;
        if self.max_length_difference.is_some() {
            let partners = |chosen: usize| {
                let low = (0..chosen).take_while(|&i| apart(scored[i].score, scored[chosen].score));
                low.filter(|&other| self.may_meet(chosen, other)).count()
            };
            return (0..scored.len()).map(partners).collect();
        }
        let mut lower = 0;
        let mut lower_of_text: HashMap<usize, usize> = HashMap::new();
        let counts = scored.iter().map(|chosen| {
            // Scores rise, so a score low enough for one response is low enough for all after it.
            while apart(scored[lower].score, chosen.score) {
                *lower_of_text.entry(scored[lower].text).or_default() += 1;
                lower += 1;
            }
            lower - lower_of_text.get(&chosen.text).copied().unwrap_or(0)
        });
        counts.collect()
    }

    /// The positions of the `rank`-th pair, the chosen one first, when each response is listed with
    /// its partners, which are the lowest-scored it may be paired with.
    fn pair(&self, partners: &[usize], mut rank: usize) -> (usize, usize) {
        let chosen = partners
            .iter()
            .position(|&count| match rank.checked_sub(count) {
                Some(rest) => {
                    rank = rest;
                    false
                }
                None => true,
            });
        let chosen = chosen.unwrap_or_default();
        let mut others = (0..chosen).filter(|&other| self.may_meet(chosen, other));
        (chosen, others.nth(rank).unwrap_or_default())
    }

    fn ids(&self, (chosen, rejected): (usize, usize)) -> Pair {
        Pair {
            chosen: self.candidates[chosen].id,
            rejected: self.candidates[rejected].id,
        }
    }

    /// Pairs at least the gap apart, drawn uniformly one after the other, each response used once.
    fn draw(&mut self, gap: f64, rng: &mut impl Rng) -> Vec<Pair> {
        let mut drawn = Vec::new();
        loop {
            let partners = self.partners(gap);
            let total: usize = partners.iter().sum();
            if total == 0 {
                return drawn;
            }
            let (chosen, rejected) = self.pair(&partners, rng.random_range(0..total));
            drawn.push(self.ids((chosen, rejected)));
            // The chosen one is at the higher position, so removing it first leaves the other in place.
            self.candidates.remove(chosen);
            self.candidates.remove(rejected);
        }
    }

    /// Every pair of different scores, or `cap` of them, uniformly, in random order.
    fn all(&self, cap: usize, rng: &mut impl Rng) -> Vec<Pair> {
        let partners = self.partners(0.0);
        let total: usize = partners.iter().sum();
        let cap = cap.min(total);
        // Floyd's sampling: `cap` distinct numbers below `total` without listing them all.
        let mut ranks = BTreeSet::new();
        for last in total - cap..total {
            let rank = rng.random_range(0..=last);
            if !ranks.insert(rank) {
                ranks.insert(last);
            }
        }
        let mut ranks: Vec<usize> = ranks.into_iter().collect();
        for i in (1..ranks.len()).rev() {
            ranks.swap(i, rng.random_range(0..=i));
        }
        ranks
            .into_iter()
            .map(|rank| self.ids(self.pair(&partners, rank)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::group::Response;

    fn group(scores: &[f64]) -> Group {
        let responses = (0..)
            .zip(scores)
            .map(|(id, &score)| Response::new(id, format!("text {id}").into(), Some(score)))
            .collect();
        Group {
            id: "g:1".to_owned(),
            prompt: "p".into(),
            responses,
            pairs: None,
        }
    }

    fn score(group: &Group, id: u32) -> f64 {
        group.response(id).unwrap().score.unwrap()
    }

    #[test]
    fn each_response_once_and_wide_pairs_first() {
        let group = group(&[1.0, 2.0, 3.0, 9.0, 10.0, 3.0, 30.0]);
        for seed in 0..50 {
            let drawn = pairs(&group, &PairOptions::default(), seed);
            let mut used = HashSet::new();
            assert!(
                drawn
                    .iter()
                    .all(|p| used.insert(p.chosen) && used.insert(p.rejected))
            );
            assert!(
                drawn
                    .iter()
                    .all(|p| score(&group, p.chosen) > score(&group, p.rejected))
            );
            let gaps: Vec<f64> = drawn
                .iter()
                .map(|p| score(&group, p.chosen) - score(&group, p.rejected))
                .collect();
            let narrow = gaps.iter().position(|gap| *gap < 5.0).unwrap_or(gaps.len());
            assert!(gaps[narrow..].iter().all(|gap| *gap < 5.0), "{gaps:?}");
            assert_eq!(drawn.len(), 3);
        }
    }

    #[test]
    fn ties_never_meet() {
        assert!(pairs(&group(&[4.0; 6]), &PairOptions::default(), 1).is_empty());
        let every = PairOptions {
            gap: -1.0,
            ..PairOptions::default()
        };
        assert!(pairs(&group(&[4.0; 6]), &every, 1).is_empty());
        // NoveltyBench: one answer scored, the rest zero.
        assert_eq!(
            pairs(&group(&[10.0, 0.0, 0.0, 0.0]), &PairOptions::default(), 1).len(),
            1
        );
    }

    #[test]
    fn copies_of_a_text_never_meet() {
        let mut group = group(&[10.0, 0.0, 5.0, 5.0, 20.0, 1.0]);
        for response in &mut group.responses[..5] {
            response.text = "copy".to_owned();
        }
        for (gap, count) in [(5.0, 1), (-1.0, 5)] {
            let options = PairOptions {
                gap,
                ..PairOptions::default()
            };
            for seed in 0..20 {
                let drawn = pairs(&group, &options, seed);
                assert_eq!(drawn.len(), count);
                assert!(drawn.iter().all(|p| p.chosen == 5 || p.rejected == 5));
            }
        }
    }

    #[test]
    fn every_pair_up_to_the_cap_without_repeats() {
        let every = PairOptions {
            gap: -1.0,
            ..PairOptions::default()
        };
        let few: Vec<f64> = (0..5).map(f64::from).collect();
        assert_eq!(pairs(&group(&few), &every, 1).len(), 10);
        let many: Vec<f64> = (0..40).map(f64::from).collect();
        let drawn = pairs(&group(&many), &every, 1);
        let distinct: HashSet<Pair> = drawn.iter().copied().collect();
        assert_eq!((drawn.len(), distinct.len()), (100, 100));
    }

    #[test]
    fn draws_are_uniform() {
        // Three responses, all apart: the first pair is each of the three equally often.
        let group = group(&[0.0, 10.0, 20.0]);
        let mut counts = [0; 3];
        for seed in 0..3000 {
            let first = pairs(&group, &PairOptions::default(), seed)[0];
            counts[(first.chosen + first.rejected - 1) as usize] += 1;
        }
        assert!(
            counts.iter().all(|count| (900..1100).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn the_best_scored_pairs_are_kept() {
        let group = group(&[0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
        let options = PairOptions {
            max_pairs: Some(1),
            best_first: true,
            ..PairOptions::default()
        };
        for seed in 0..20 {
            let kept = pairs(&group, &options, seed);
            assert_eq!((kept.len(), kept[0].chosen), (1, 5));
        }
    }

    #[test]
    fn pairs_that_differ_much_in_length_are_not_drawn() {
        let mut group = group(&[0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
        for (response, words) in group.responses.iter_mut().zip([1, 50, 3, 52, 5, 54]) {
            response.text = format!("{} end", "word ".repeat(words - 1));
        }
        for gap in [5.0, -1.0] {
            let options = PairOptions {
                gap,
                max_length_difference: Some(4),
                ..PairOptions::default()
            };
            for seed in 0..20 {
                let drawn = pairs(&group, &options, seed);
                assert!(drawn.len() >= 2);
                let alike = |pair: &Pair| pair.chosen % 2 == pair.rejected % 2;
                assert!(drawn.iter().all(alike), "{drawn:?}");
            }
            group.pairs = Some(vec![
                Pair {
                    chosen: 1,
                    rejected: 0,
                },
                Pair {
                    chosen: 2,
                    rejected: 0,
                },
            ]);
            assert_eq!(pairs(&group, &options, 1).len(), 1);
            group.pairs = None;
        }
    }

    #[test]
    fn a_gap_that_makes_no_sense_is_refused() {
        for gap in [-2.0, f64::NAN] {
            assert!(
                PairOptions {
                    gap,
                    ..PairOptions::default()
                }
                .validate()
                .is_err()
            );
        }
    }
}
