//! Summaries and differences of systems from their values per prompt.

use std::collections::{BTreeMap, HashMap, HashSet};

use rayon::prelude::*;

use crate::bootstrap::Bootstrap;
use crate::evaluation::{
    Difference, Histogram, Interval, MetricInfo, Prompt, PromptSystem, System,
};
use crate::metrics::histogram::BIN;
use crate::samples::SystemSamples;

/// One system's samples with the values of each prompt, in the order of the samples.
pub(crate) struct Measured<'a> {
    pub(crate) samples: &'a SystemSamples,
    pub(crate) prompts: Vec<PromptSystem>,
    /// Histograms of distances by kind, for the prompts that have one.
    pub(crate) histograms: BTreeMap<String, Vec<Vec<f64>>>,
}

impl Measured<'_> {
    /// The values of a metric by prompt id, in the order of the samples, where they exist.
    fn values(&self, metric: &str) -> impl Iterator<Item = (&str, f64)> {
        let prompts = self.samples.prompts.iter().zip(&self.prompts);
        prompts.filter_map(move |(samples, measured)| {
            Some((samples.prompt_id.as_str(), *measured.metrics.get(metric)?))
        })
    }

    fn prompt_ids(&self) -> impl Iterator<Item = &str> {
        self.samples
            .prompts
            .iter()
            .map(|prompt| prompt.prompt_id.as_str())
    }
}

/// One system over all its prompts.
pub(crate) fn summarise(
    system: &Measured<'_>,
    all: &[Measured<'_>],
    metrics: &[MetricInfo],
    bootstrap: &Bootstrap,
) -> System {
    let prompts = &system.samples.prompts;
    let responses = || prompts.iter().flat_map(|prompt| &prompt.responses);
    let interval = |metric: &MetricInfo| {
        let values: Vec<f64> = system
            .values(&metric.name)
            .map(|(_, value)| value)
            .collect();
        Some((metric.name.clone(), bootstrap.interval(&values)?))
    };
    let with_pairs = system
        .histograms
        .iter()
        .filter(|(_, rows)| !rows.is_empty());
    let histograms = with_pairs.map(|(kind, rows)| {
        let bins = bootstrap.intervals(rows);
        (kind.clone(), histogram(bins))
    });
    System {
        name: system.samples.name.clone(),
        file: system.samples.file.clone(),
        prompts: prompts.len(),
        responses: responses().count(),
        alone: prompts
            .iter()
            .filter(|prompt| prompt.responses.len() == 1)
            .count(),
        empty: responses()
            .filter(|response| response.text.trim().is_empty())
            .count(),
        unanswered: system.samples.unanswered.clone(),
        missing: missing(system, all),
        metrics: metrics.par_iter().filter_map(interval).collect(),
        histograms: histograms.collect(),
    }
}

/// The histogram without trailing empty bins.
fn histogram(mut bins: Vec<Interval>) -> Histogram {
    let last = bins.iter().rposition(|bin| bin.mean > 0.0);
    bins.truncate(last.map_or(0, |last| last + 1));
    Histogram { width: BIN, bins }
}

/// The prompts of other systems that this one lacks, in their order.
fn missing(system: &Measured<'_>, all: &[Measured<'_>]) -> Vec<String> {
    let mut known: HashSet<&str> = system.prompt_ids().collect();
    let others = all.iter().flat_map(Measured::prompt_ids);
    others
        .filter(|id| known.insert(id))
        .map(str::to_owned)
        .collect()
}

/// A system's metrics minus the baseline's, on the prompts that both have.
pub(crate) fn differences(
    system: &Measured<'_>,
    baseline: &Measured<'_>,
    metrics: &[MetricInfo],
    bootstrap: &Bootstrap,
) -> Vec<Difference> {
    let difference = |metric: &MetricInfo| {
        let of_baseline: HashMap<&str, f64> = baseline.values(&metric.name).collect();
        let paired: Vec<f64> = system
            .values(&metric.name)
            .filter_map(|(id, value)| Some(value - of_baseline.get(id)?))
            .collect();
        let (interval, p) = bootstrap.difference(&paired)?;
        Some(Difference {
            system: system.samples.name.clone(),
            baseline: baseline.samples.name.clone(),
            metric: metric.name.clone(),
            mean: interval.mean,
            low: interval.low,
            high: interval.high,
            p,
            prompts: interval.prompts,
        })
    };
    metrics.par_iter().filter_map(difference).collect()
}

/// Each prompt once, with the results of every system.
pub(crate) fn side_by_side(systems: Vec<Measured<'_>>) -> Vec<Prompt> {
    let mut prompts: Vec<Prompt> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for system in systems {
        for (samples, measured) in system.samples.prompts.iter().zip(system.prompts) {
            let place = *places.entry(&samples.prompt_id).or_insert_with(|| {
                prompts.push(Prompt {
                    prompt_id: samples.prompt_id.clone(),
                    prompt: samples.prompt.clone(),
                    systems: BTreeMap::new(),
                });
                prompts.len() - 1
            });
            prompts[place]
                .systems
                .insert(system.samples.name.clone(), measured);
        }
    }
    prompts
}
