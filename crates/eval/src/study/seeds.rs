//! Systems that were each run with several seeds, and their differences.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bootstrap::Bootstrap;
use crate::correlation::Correlation;
use crate::evaluation::Interval;

/// The values of one run by prompt and metric.
pub type Values = BTreeMap<String, BTreeMap<String, f64>>;

/// A system and the values of its runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StudySystem {
    /// Its name.
    pub name: String,
    /// The values of each of its runs, by seed.
    pub runs: BTreeMap<u64, Values>,
}

/// Systems compared over seeds and prompts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Study {
    /// The systems, in the order of the story.
    pub systems: Vec<StudySystem>,
}

/// The difference of one system to another in one metric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StudyDifference {
    /// Mean over seeds of the mean over the prompts that both have, with its interval.
    pub interval: Interval,
    /// Two-sided bootstrap p of no difference.
    pub p: f64,
}

impl Study {
    /// The system of a name.
    #[must_use]
    pub fn system(&self, name: &str) -> Option<&StudySystem> {
        self.systems.iter().find(|system| system.name == name)
    }

    /// A system's mean over seeds and prompts; `None` where nothing was measured.
    #[must_use]
    pub fn interval(&self, system: &str, metric: &str, bootstrap: &Bootstrap) -> Option<Interval> {
        let runs: Vec<Vec<f64>> = self
            .system(system)?
            .runs
            .values()
            .map(|values| of(values, metric).map(|(_, value)| value).collect())
            .collect();
        bootstrap.over_runs(&runs).map(|(interval, _)| interval)
    }

    /// `system - baseline`, paired by seed and prompt; `None` where they share none.
    #[must_use]
    pub fn difference(
        &self,
        system: &str,
        baseline: &str,
        metric: &str,
        bootstrap: &Bootstrap,
    ) -> Option<StudyDifference> {
        let baseline = self.system(baseline)?;
        let runs: Vec<Vec<f64>> = self
            .system(system)?
            .runs
            .iter()
            .filter_map(|(seed, values)| {
                let other = baseline.runs.get(seed)?;
                let paired = of(values, metric)
                    .filter_map(|(prompt, value)| Some(value - other.get(prompt)?.get(metric)?));
                Some(paired.collect())
            })
            .collect();
        let (interval, p) = bootstrap.over_runs(&runs)?;
        Some(StudyDifference { interval, p })
    }

    /// The mean of one run; `None` where nothing was measured.
    #[must_use]
    pub fn mean(&self, system: &str, seed: u64, metric: &str) -> Option<f64> {
        mean(self.system(system)?.runs.get(&seed)?, metric)
    }

    /// The correlation of two metrics over the runs of all systems.
    #[must_use]
    pub fn correlation(&self, x: &str, y: &str, bootstrap: &Bootstrap) -> Option<Correlation> {
        let points: Vec<(f64, f64)> = self
            .systems
            .iter()
            .flat_map(|system| system.runs.values())
            .filter_map(|values| Some((mean(values, x)?, mean(values, y)?)))
            .collect();
        Correlation::of(&points, bootstrap)
    }

    /// The seeds of all systems.
    #[must_use]
    pub fn seeds(&self) -> Vec<u64> {
        let mut seeds: Vec<u64> = self
            .systems
            .iter()
            .flat_map(|system| system.runs.keys().copied())
            .collect();
        seeds.sort_unstable();
        seeds.dedup();
        seeds
    }
}

/// A metric by prompt, where it was measured.
fn of<'a>(values: &'a Values, metric: &str) -> impl Iterator<Item = (&'a String, f64)> {
    values
        .iter()
        .filter_map(move |(prompt, metrics)| Some((prompt, *metrics.get(metric)?)))
}

/// The mean over prompts; `None` where nothing was measured.
pub(super) fn mean(values: &Values, metric: &str) -> Option<f64> {
    let (mut sum, mut prompts) = (0.0, 0);
    for (_, value) in of(values, metric) {
        sum += value;
        prompts += 1;
    }
    (prompts > 0).then(|| sum / f64::from(prompts))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::study) const BOOTSTRAP: Bootstrap = Bootstrap {
        resamples: 2000,
        confidence: 0.95,
        seed: 1,
    };

    /// A system with two seeds of three prompts, whose values begin at `start`.
    pub(in crate::study) fn system(name: &str, start: f64) -> StudySystem {
        let values = |seed: u64| {
            (0..3)
                .map(|prompt| {
                    let value = start + f64::from(prompt) + seed as f64;
                    (
                        format!("{seed}-{prompt}"),
                        BTreeMap::from([("quality".to_owned(), value)]),
                    )
                })
                .collect()
        };
        StudySystem {
            name: name.to_owned(),
            runs: [1, 2].map(|seed| (seed, values(seed))).into(),
        }
    }

    #[test]
    fn differences_are_paired_by_seed_and_prompt() {
        let mut study = Study {
            systems: vec![system("a", 0.0), system("b", 0.25)],
        };
        let found = study.difference("b", "a", "quality", &BOOTSTRAP).unwrap();
        let interval = found.interval;
        assert_eq!(
            (interval.mean, interval.low, interval.high),
            (0.25, 0.25, 0.25)
        );
        assert!(found.p < 0.01);
        // What one of them lacks takes no part.
        study.systems[0].runs.remove(&1);
        let found = study.difference("b", "a", "quality", &BOOTSTRAP).unwrap();
        assert_eq!(found.interval.prompts, 3);
        assert_eq!(study.difference("b", "a", "absent", &BOOTSTRAP), None);
        assert_eq!(study.difference("b", "c", "quality", &BOOTSTRAP), None);
    }

    #[test]
    fn means_are_over_seeds() {
        let study = Study {
            systems: vec![system("a", 0.0)],
        };
        assert_eq!(study.mean("a", 2, "quality"), Some(3.0));
        let interval = study.interval("a", "quality", &BOOTSTRAP).unwrap();
        assert_eq!((interval.mean, interval.prompts), (2.5, 6));
        assert_eq!(study.seeds(), [1, 2]);
    }
}
