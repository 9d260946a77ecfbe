//! The report: one self-contained HTML file that shows what an evaluation found.
//!
//! Everything is inline, nothing is fetched, and a content security policy that names the page's
//! own style and script by hash keeps it so. The drawings are made here, as SVG; the script only
//! switches what is shown, so a reader without it still sees every section.

mod calibration;
mod curves;
mod equal_quality;
mod format;
mod headline;
mod heatmap;
mod histogram;
mod labels;
mod page;
mod plane;
mod reading;
mod samples;
mod scale;
mod table;

use crate::Evaluation;

pub use calibration::render_reward;

/// What a report is made of.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// The page's title.
    pub title: String,
    /// The measured systems.
    pub evaluation: &'a Evaluation,
    /// The system that the others are read against; the evaluation's own when `None`.
    pub baseline: Option<String>,
    /// The training runs whose curves are overlaid; may be empty.
    pub runs: Vec<RunCurve>,
    /// Sections shown after the metrics, such as a demo's true mode coverage.
    pub extra_sections: Vec<Section>,
    /// The commands that make everything the report shows, in order.
    pub reproduce: Vec<String>,
    /// What made it: version, device, seeds, hashes of files.
    pub about: Vec<(String, String)>,
}

/// One training run.
#[derive(Clone, Debug, Default)]
pub struct RunCurve {
    /// Its name; a run named like a system takes the system's colour.
    pub name: String,
    /// The rows of its `metrics.jsonl`.
    pub rows: Vec<serde_json::Value>,
    /// Its resolved configuration, as TOML.
    pub config: String,
}

/// A section of its own, written by the caller.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// The heading.
    pub title: String,
    /// Paragraphs and tables, in order.
    pub blocks: Vec<Block>,
}

/// A part of a [`Section`]. Its texts are plain: they are escaped, never read as HTML.
#[derive(Clone, Debug)]
pub enum Block {
    /// A paragraph.
    Text(String),
    /// A table; cells that are numbers are set to the right.
    Table {
        /// The columns' headings.
        columns: Vec<String>,
        /// The rows, each as long as `columns`; shorter ones are filled with empty cells.
        rows: Vec<Vec<String>>,
    },
}

/// The report as one HTML document.
pub fn render(report: &Report<'_>) -> String {
    page::page(report)
}

#[cfg(test)]
mod tests;
