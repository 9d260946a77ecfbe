//! The figures: systems by quality and diversity.

use rarebit_eval::report::{ScatterPlot, ScatterPoint};

use super::{BASELINE, Found, label};
use crate::tale_world::GOLD;

/// The main systems, as in the paper's main figure; each with its colour.
pub(super) const MAIN: [(&str, usize); 10] = [
    (GOLD, 0),
    ("sft", 5),
    ("dpo", 2),
    ("ddpo-sem", 3),
    ("ddpo-style", 4),
    ("ddpo-both", 1),
    ("orpo", 2),
    ("dorpo-sem", 3),
    ("dorpo-style", 4),
    ("dorpo-both", 1),
];
/// With four responses to a prompt, and with all.
pub(super) const ABLATION: [(&str, usize); 7] = [
    ("dpo", 2),
    ("ddpo-both", 1),
    ("dpo-4", 7),
    ("ddpo-both-4", 4),
    ("ddpo-both-4-floor", 3),
    ("dpo-4-best", 5),
    ("ddpo-both-4-best", 6),
];
/// Weighting pairs against choosing them.
pub(super) const AGAINST_DIVPO: [(&str, usize); 5] = [
    ("sft", 5),
    ("dpo", 2),
    ("ddpo-both", 1),
    ("divpo", 7),
    ("ddpo-both-divpo", 6),
];

impl Found {
    /// Quality against each diversity, and against the truth.
    pub(super) fn scatter_plots(&self, systems: &[(&'static str, usize)]) -> Vec<ScatterPlot> {
        ["semantic_diversity", "style_diversity", "modes"]
            .into_iter()
            .map(|x| ScatterPlot {
                title: format!("quality against {}", label(x)),
                x_label: label(x).to_owned(),
                y_label: "quality".to_owned(),
                points: systems
                    .iter()
                    .filter_map(|(name, colour)| {
                        Some(ScatterPoint {
                            name: (*name).to_owned(),
                            colour: *colour,
                            x: *self.intervals.get(&(*name, x))?,
                            y: *self.intervals.get(&(*name, "quality"))?,
                            is_baseline: *name == BASELINE,
                        })
                    })
                    .collect(),
            })
            .collect()
    }
}
