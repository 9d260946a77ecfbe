//! Diversity at equal quality: whether a gain is more than hotter sampling.

use maud::Markup;

use super::document::{Block, Section};
use super::format::{fixed, p_value, signed, signed_interval};
use super::reading::Reading;
use super::section;
use crate::evaluation::EqualQuality;

const COLUMNS: [&str; 7] = [
    "model",
    "diversity",
    "at quality",
    "its diversity",
    "the other’s",
    "difference",
    "p",
];

/// A table of the differences; `None` where no settings were compared.
pub(super) fn section(reading: &Reading<'_>) -> Option<Markup> {
    let evaluation = reading.evaluation;
    let first = evaluation.equal_quality.first()?;
    let label = |name: &str| {
        let metric = evaluation.metrics.iter().find(|it| it.name == name);
        metric.map_or_else(|| name.to_owned(), |metric| metric.label.clone())
    };
    let row = |it: &EqualQuality| {
        let quality = match it.level {
            Some(_) => fixed(it.quality.mean, 3),
            None => "all of these".to_owned(),
        };
        vec![
            it.family.clone(),
            label(&it.metric),
            quality,
            fixed(it.diversity.mean, 3),
            fixed(it.baseline_diversity.mean, 3),
            format!(
                "{} {}",
                signed(it.difference.mean, 3),
                signed_interval(it.difference.low, it.difference.high, 3)
            ),
            p_value(it.p),
        ]
    };
    let text = format!(
        "Each model was measured at several sampling settings. A higher temperature moves a model along its own line in the \
         plots above; a better model has a different line. The table compares each line with that of {} at five qualities that \
         both reach, and on average: interpolated between settings, with 95 % bootstrap intervals over prompts.",
        first.baseline
    );
    let section = Section {
        title: "At equal quality".to_owned(),
        blocks: vec![
            Block::Text(text),
            Block::Table {
                columns: COLUMNS.map(str::to_owned).to_vec(),
                rows: evaluation.equal_quality.iter().map(row).collect(),
            },
        ],
    };
    Some(section::section(&section))
}
