//! How the report reads an evaluation: which metric plays which role, and which system is the
//! baseline.

use super::document::Report;
use crate::evaluation::{Difference, Evaluation, Interval, MetricInfo, System};
use crate::frontier::family;

/// An evaluation seen through one choice of baseline.
pub(super) struct Reading<'a> {
    pub(super) evaluation: &'a Evaluation,
    pub(super) baseline: Option<&'a str>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(report: &Report<'a>) -> Self {
        let evaluation = report.evaluation;
        let wanted = report.baseline.as_deref();
        let baseline = wanted
            .and_then(|name| evaluation.systems.iter().find(|system| system.name == name))
            .map(|system| system.name.as_str())
            .or_else(|| {
                evaluation
                    .differences
                    .first()
                    .map(|difference| difference.baseline.as_str())
            });
        Self {
            evaluation,
            baseline,
        }
    }

    pub(super) fn systems(&self) -> &'a [System] {
        &self.evaluation.systems
    }

    /// The metric that measures quality, if one was measured.
    pub(super) fn quality(&self) -> Option<&'a MetricInfo> {
        self.metric("quality")
    }

    pub(super) fn semantic(&self) -> Option<&'a MetricInfo> {
        self.metric("semantic")
    }

    pub(super) fn style(&self) -> Option<&'a MetricInfo> {
        self.metric("style")
    }

    /// The first metric whose name contains the word: `semantic` finds `semantic_diversity`, which
    /// precedes the other metrics on the same vectors.
    fn metric(&self, word: &str) -> Option<&'a MetricInfo> {
        self.evaluation
            .metrics
            .iter()
            .find(|metric| metric.name.contains(word))
    }

    pub(super) fn difference(&self, system: &str, metric: &str) -> Option<&'a Difference> {
        let baseline = self.baseline?;
        self.evaluation.differences.iter().find(|difference| {
            difference.system == system
                && difference.baseline == baseline
                && difference.metric == metric
        })
    }

    /// The page's colour of a system, the same in every drawing; settings of one model share it.
    pub(super) fn colour(&self, system: &str) -> usize {
        let mut families: Vec<&str> = Vec::new();
        for other in self.systems() {
            let own = family(&other.name);
            if !families.contains(&own) {
                families.push(own);
            }
        }
        let place = families.iter().position(|it| *it == family(system));
        place.unwrap_or(0) % COLOURS
    }
}

/// How many colours the style sheet has; further systems start over.
pub(super) const COLOURS: usize = 8;

/// The difference's sign where its interval excludes zero.
pub(super) fn certain(difference: &Difference) -> Option<bool> {
    if difference.low > 0.0 {
        Some(true)
    } else if difference.high < 0.0 {
        Some(false)
    } else {
        None
    }
}

/// An interval of a system, where it was measured and is finite.
pub(super) fn interval<'a>(system: &'a System, metric: &str) -> Option<&'a Interval> {
    system
        .metrics
        .get(metric)
        .filter(|interval| interval.mean.is_finite())
}

/// What the evaluation records about its own provenance.
pub(super) fn provenance(evaluation: &Evaluation) -> Vec<(String, String)> {
    let embedders = evaluation
        .embedders
        .iter()
        .map(|(kind, id)| (format!("embedder, {kind}"), id.clone()));
    let systems = evaluation
        .systems
        .iter()
        .map(|system| (format!("samples, {}", system.name), system.file.clone()));
    embedders
        .chain(systems)
        .chain([
            ("evaluation seed".to_owned(), evaluation.seed.to_string()),
            (
                "bootstrap resamples".to_owned(),
                evaluation.resamples.to_string(),
            ),
        ])
        .collect()
}
