//! The results, as a page and as data for programs.

mod about;
mod figures;
mod json;
mod page;
mod tables;
mod verdicts;

use std::collections::BTreeMap;

use rarebit_eval::Bootstrap;
use rarebit_eval::correlation::Correlation;
use rarebit_eval::evaluation::Interval;
use rarebit_eval::study::{Claim, Finding, Mixture, Study, Verdict};

use super::claims::{CLAIMS, CONTROLS};
use super::diagnostics::{self, WeightStatistics};
use super::pipeline::SeedRun;
use super::plan::{Settings, System};
use super::rewards::REWARD;
use super::stages::Stages;

/// A number that the page shows.
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
}

const fn metric(name: &'static str, label: &'static str) -> Metric {
    Metric { name, label }
}

/// The numbers of the page, in the order of its tables.
pub(super) static METRICS: [Metric; 8] = [
    metric("quality", "quality"),
    metric(REWARD, "reward"),
    metric("semantic_diversity", "semantic diversity"),
    metric("style_diversity", "style diversity"),
    metric("modes", "effective modes"),
    metric("plots", "effective plots"),
    metric("voices", "effective voices"),
    metric("legible", "legible"),
];

/// The measures by embedders, and the truths that they should be correlated with.
const CORRELATED: [(&str, &str); 5] = [
    (REWARD, "quality"),
    ("semantic_diversity", "plots"),
    ("semantic_diversity", "modes"),
    ("style_diversity", "voices"),
    ("style_diversity", "modes"),
];

/// The differences in quality that are decomposed: baseline and system.
const DECOMPOSED: [(&str, &str); 2] = [("dpo", "ddpo-both"), ("ddpo-both", "ddpo-both-4")];
const BASELINE: &str = "dpo";

/// Everything that the page reports.
pub(super) struct Told<'a> {
    pub(super) settings: &'a Settings,
    pub(super) systems: &'a [&'static System],
    pub(super) study: &'a Study,
    pub(super) seeds: &'a BTreeMap<u64, SeedRun>,
    pub(super) stages: &'a Stages,
    pub(super) device: String,
    /// Whether the run is too small to be meaningful.
    pub(super) quick: bool,
}

/// A claim with its verdict.
struct Judged {
    claim: &'static Claim<'static>,
    verdict: Verdict,
    findings: Vec<Finding>,
}

/// The results, computed once for all output formats.
pub(super) struct Found {
    claims: Vec<Judged>,
    controls: Vec<Judged>,
    /// The interval of each metric of each system.
    intervals: BTreeMap<(&'static str, &'static str), Interval>,
    correlations: Vec<(&'static str, &'static str, Correlation)>,
    weights: Vec<WeightStatistics>,
    /// For each pair of systems in [`DECOMPOSED`] that was run.
    voices: Vec<(&'static str, &'static str, Mixture)>,
}

impl Told<'_> {
    fn bootstrap(&self) -> Bootstrap {
        Bootstrap {
            resamples: self.settings.resamples,
            confidence: 0.95,
            seed: self.settings.seeds.first().copied().unwrap_or_default(),
        }
    }

    /// Judges every claim that the available systems allow, and computes every interval.
    pub(super) fn found(&self) -> anyhow::Result<Found> {
        let bootstrap = self.bootstrap();
        let judged = |claims: &'static [Claim<'static>]| {
            claims
                .iter()
                .filter_map(|claim| {
                    let (verdict, findings) = claim.judge(self.study, &bootstrap)?;
                    Some(Judged {
                        claim,
                        verdict,
                        findings,
                    })
                })
                .collect()
        };
        let mut intervals = BTreeMap::new();
        for system in self.systems {
            for metric in &METRICS {
                let found = self.study.interval(system.name, metric.name, &bootstrap);
                intervals.extend(found.map(|found| ((system.name, metric.name), found)));
            }
        }
        let correlations = CORRELATED
            .iter()
            .filter_map(|(x, y)| Some((*x, *y, self.study.correlation(x, y, &bootstrap)?)));
        let mut voices = Vec::new();
        for (baseline, system) in DECOMPOSED {
            let found = diagnostics::by_voice(self.seeds, baseline, system)?;
            voices.extend(found.map(|found| (baseline, system, found)));
        }
        Ok(Found {
            claims: judged(&CLAIMS),
            controls: judged(&CONTROLS),
            intervals,
            correlations: correlations.collect(),
            weights: diagnostics::weights(self.seeds)?,
            voices,
        })
    }

    /// The number of seeds for which the models of `ddpo-ones` and `dpo` are identical, and of all
    /// seeds.
    fn ones_are_dpo(&self) -> Option<(usize, usize)> {
        let pairs: Vec<bool> = self
            .seeds
            .values()
            .filter_map(|run| {
                let (ones, dpo) = (run.made.get("ddpo-ones")?, run.made.get(BASELINE)?);
                Some(ones.model == dpo.model)
            })
            .collect();
        let equal = pairs.iter().filter(|equal| **equal).count();
        (!pairs.is_empty()).then_some((equal, pairs.len()))
    }
}

fn label(metric: &str) -> &'static str {
    let known = METRICS.iter().find(|known| known.name == metric);
    known.map_or("", |known| known.label)
}
