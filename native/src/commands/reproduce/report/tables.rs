//! The tables: all systems, correlations with the truth, single seeds.

use rarebit_eval::evaluation::Interval;
use rarebit_eval::report::{Block, Section};

use super::{Found, METRICS, Told, label};

impl Told<'_> {
    pub(super) fn all_systems(&self, found: &Found) -> Section {
        let mut columns = vec!["system".to_owned()];
        columns.extend(METRICS.iter().map(|metric| metric.label.to_owned()));
        columns.push("what it is".to_owned());
        let rows = self.systems.iter().map(|system| {
            let mut row = vec![system.name.to_owned()];
            row.extend(METRICS.iter().map(|metric| {
                found
                    .intervals
                    .get(&(system.name, metric.name))
                    .map_or_else(String::new, cell)
            }));
            row.push(system.about.to_owned());
            row
        });
        Section {
            title: "All systems".to_owned(),
            blocks: vec![
                Block::Text(
                    "Means with 95 % intervals over seeds and prompts. Quality, modes, plots, voices and legibility are \
                     determined by the rules of the oracle: a mode is a plot told in a voice, effective numbers are \
                     exp(entropy) among a prompt's samples, a tale is legible if it has both. Reward is that of a model \
                     trained on the votes of the first seed's training tales, on the scale of the transformed score. The \
                     diversities are mean distances by the built-in embedders."
                        .to_owned(),
                ),
                Block::Table {
                    columns,
                    rows: rows.collect(),
                },
            ],
        }
    }

    pub(super) fn by_seed(&self) -> Section {
        let seeds = self.study.seeds();
        let shown = ["quality", "semantic_diversity", "style_diversity", "modes"];
        let mut columns = vec!["system".to_owned()];
        for metric in shown {
            columns.extend(
                seeds
                    .iter()
                    .map(|seed| format!("{}, {seed}", label(metric))),
            );
        }
        let rows = self.systems.iter().map(|system| {
            let mut row = vec![system.name.to_owned()];
            for metric in shown {
                row.extend(seeds.iter().map(|seed| {
                    let mean = self.study.mean(system.name, *seed, metric);
                    mean.map_or_else(String::new, |mean| format!("{mean:.3}"))
                }));
            }
            row
        });
        Section {
            title: "Results by seed".to_owned(),
            blocks: vec![Block::Table {
                columns,
                rows: rows.collect(),
            }],
        }
    }
}

impl Found {
    pub(super) fn truth(&self) -> Section {
        let columns = ["measure", "truth", "Pearson's r", "Spearman's ρ", "runs"];
        let rows = self.correlations.iter().map(|(x, y, correlation)| {
            vec![
                label(x).to_owned(),
                label(y).to_owned(),
                cell(&correlation.pearson),
                cell(&correlation.spearman),
                correlation.points.to_string(),
            ]
        });
        Section {
            title: "Do the measures agree with the truth?".to_owned(),
            blocks: vec![
                Block::Text(
                    "The correlation of measures that need no ground truth with those of the oracle, over all systems and \
                     seeds; each run is one point. Intervals treat runs as independent, which runs of one system or one \
                     seed are not."
                        .to_owned(),
                ),
                Block::Table {
                    columns: columns.map(str::to_owned).to_vec(),
                    rows: rows.collect(),
                },
            ],
        }
    }
}

fn cell(value: &Interval) -> String {
    format!("{:.3} [{:.3}, {:.3}]", value.mean, value.low, value.high).replace('-', "−")
}
