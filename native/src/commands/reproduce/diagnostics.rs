//! Diagnostics of the results: statistics of the weights, and where quality is lost.

use std::collections::BTreeMap;
use std::path::Path;

use rarebit_data::{SourceOptions, read_pairs};
use rarebit_eval::correlation::pearson;
use rarebit_eval::report::Block;
use rarebit_eval::study::{Mixture, mixture};
use rarebit_tales::{Reading, Voice, read};

use super::pipeline::{JUDGED, PAIRS, SeedRun};
use super::plan::Data;
use super::stages::Done;
use crate::tale_world::files::readings;

/// Statistics of the weights of one kind of pairs, over all seeds.
#[derive(Debug)]
pub(super) struct WeightStatistics {
    data: Data,
    pairs: usize,
    /// The mean weight of the chosen responses.
    mean: f64,
    /// The share of pairs with weight 0.
    zero: f64,
    /// The effective sample size `(Σw)² / Σw²` over the number of pairs.
    effective: f64,
    /// The mean true quality of the chosen and of the rejected tales.
    quality: [f64; 2],
    /// The same, weighted.
    weighted: [f64; 2],
    /// Pearson's r of the weight and the true quality of the chosen tale.
    correlation: Option<f64>,
}

impl WeightStatistics {
    fn read(data: Data, prepared: &[&Done]) -> anyhow::Result<Option<Self>> {
        let mut rows: Vec<(f64, [f64; 2])> = Vec::new();
        for done in prepared {
            for pair in read_pairs(&done.path(PAIRS), &SourceOptions::default())? {
                let pair = pair?;
                let prompt = pair.prompt.flat();
                let quality = [&pair.chosen, &pair.rejected]
                    .map(|text| f64::from(read(&prompt, &text.flat()).quality));
                rows.push((pair.weight.unwrap_or(1.0), quality));
            }
        }
        let n = rows.len() as f64;
        let total: f64 = rows.iter().map(|(weight, _)| weight).sum();
        if rows.is_empty() || total <= 0.0 {
            return Ok(None);
        }
        let squares: f64 = rows.iter().map(|(weight, _)| weight * weight).sum();
        let zeros = rows.iter().filter(|(weight, _)| *weight == 0.0).count();
        let points: Vec<(f64, f64)> = rows.iter().map(|(weight, it)| (*weight, it[0])).collect();
        let mean = |side: usize| rows.iter().map(|(_, it)| it[side]).sum::<f64>() / n;
        let weighted = |side: usize| {
            let sum: f64 = rows.iter().map(|(weight, it)| weight * it[side]).sum();
            sum / total
        };
        Ok(Some(Self {
            data,
            pairs: rows.len(),
            mean: total / n,
            zero: zeros as f64 / n,
            effective: total * total / squares / n,
            quality: [0, 1].map(mean),
            weighted: [0, 1].map(weighted),
            correlation: pearson(&points),
        }))
    }
}

/// Statistics of the weights of each kind of pairs.
pub(super) fn weights(seeds: &BTreeMap<u64, SeedRun>) -> anyhow::Result<Vec<WeightStatistics>> {
    let mut prepared: BTreeMap<Data, Vec<&Done>> = BTreeMap::new();
    for run in seeds.values() {
        for (data, done) in &run.prepared {
            prepared.entry(*data).or_default().push(done);
        }
    }
    let mut all = Vec::new();
    for (data, prepared) in prepared {
        all.extend(WeightStatistics::read(data, &prepared)?);
    }
    Ok(all)
}

/// The table of the weights.
pub(super) fn weights_table(all: &[WeightStatistics]) -> Block {
    let columns = [
        "pairs of",
        "pairs",
        "mean weight",
        "weight 0",
        "effective share",
        "quality, chosen",
        "rejected",
        "weighted, chosen",
        "rejected",
        "r(weight, quality)",
    ];
    let rows = all.iter().map(|it| {
        vec![
            it.data.to_string(),
            it.pairs.to_string(),
            format!("{:.2}", it.mean),
            percent(it.zero),
            percent(it.effective),
            format!("{:.3}", it.quality[0]),
            format!("{:.3}", it.quality[1]),
            format!("{:.3}", it.weighted[0]),
            format!("{:.3}", it.weighted[1]),
            it.correlation.map_or_else(String::new, signed),
        ]
    });
    Block::Table {
        columns: columns.map(str::to_owned).to_vec(),
        rows: rows.collect(),
    }
}

/// The difference in quality between two systems, decomposed by the voices of their tales over all
/// seeds; `None` where one of them was not run.
pub(super) fn by_voice(
    seeds: &BTreeMap<u64, SeedRun>,
    baseline: &str,
    system: &str,
) -> anyhow::Result<Option<Mixture>> {
    let mut sides = Vec::new();
    for name in [baseline, system] {
        let mut readings = Vec::new();
        for made in seeds.values().filter_map(|run| run.made.get(name)) {
            readings.extend(read_judged(&made.measured.path(JUDGED))?);
        }
        sides.push(readings);
    }
    let voices = |readings: &'_ [Reading]| -> Vec<(&'static str, f64)> {
        let voice = |reading: &Reading| reading.voice.map_or("none", Voice::as_str);
        readings
            .iter()
            .map(|reading| (voice(reading), f64::from(reading.quality)))
            .collect()
    };
    Ok(mixture(voices(&sides[0]), voices(&sides[1])))
}

fn read_judged(path: &Path) -> anyhow::Result<Vec<Reading>> {
    let groups = readings(path)?;
    Ok(groups.into_iter().flat_map(|(_, it)| it).collect())
}

/// The table of a decomposition by voice.
pub(super) fn voices_table(found: &Mixture, baseline: &str, system: &str) -> Block {
    let columns = vec![
        "voice".to_owned(),
        format!("share, {baseline}"),
        format!("share, {system}"),
        format!("quality, {baseline}"),
        format!("quality, {system}"),
    ];
    let mean = |mean: Option<f64>| mean.map_or_else(String::new, |mean| format!("{mean:.3}"));
    let rows = found.classes.iter().map(|class| {
        vec![
            class.name.clone(),
            percent(class.shares[0]),
            percent(class.shares[1]),
            mean(class.means[0]),
            mean(class.means[1]),
        ]
    });
    Block::Table {
        columns,
        rows: rows.collect(),
    }
}

/// A whole percentage.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// Three decimals with a sign, a true minus.
pub(super) fn signed(value: f64) -> String {
    format!("{value:+.3}").replace('-', "−")
}
