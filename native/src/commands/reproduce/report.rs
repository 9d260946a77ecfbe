//! The result: what was found, as a page and for programs.

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
use super::diagnostics::{self, Weights};
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

/// What is asked of the embedded measures: do they go with the truth?
const CORRELATED: [(&str, &str); 5] = [
    (REWARD, "quality"),
    ("semantic_diversity", "plots"),
    ("semantic_diversity", "modes"),
    ("style_diversity", "voices"),
    ("style_diversity", "modes"),
];

/// Whose difference in quality is taken apart: baseline and system.
const TAKEN_APART: [(&str, &str); 2] = [("dpo", "ddpo-both"), ("ddpo-both", "ddpo-both-4")];
const BASELINE: &str = "dpo";

/// Everything that the page tells of.
pub(super) struct Told<'a> {
    pub(super) settings: &'a Settings,
    pub(super) systems: &'a [&'static System],
    pub(super) study: &'a Study,
    pub(super) seeds: &'a BTreeMap<u64, SeedRun>,
    pub(super) stages: &'a Stages,
    pub(super) device: String,
    /// Whether the run is too small to mean anything.
    pub(super) quick: bool,
}

/// A claim with what became of it.
struct Judged {
    claim: &'static Claim<'static>,
    verdict: Verdict,
    findings: Vec<Finding>,
}

/// What was computed once for all forms of the result.
pub(super) struct Found {
    claims: Vec<Judged>,
    controls: Vec<Judged>,
    /// Of each system, each metric's interval.
    intervals: BTreeMap<(&'static str, &'static str), Interval>,
    correlations: Vec<(&'static str, &'static str, Correlation)>,
    weights: Vec<Weights>,
    /// Of each pair of systems in [`TAKEN_APART`] that was made.
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

    /// Judges every claim that the systems at hand allow, and makes every interval.
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
        for (baseline, system) in TAKEN_APART {
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

    /// With how many seeds the weights of `ddpo-ones` are those of `dpo`, and of how many.
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
