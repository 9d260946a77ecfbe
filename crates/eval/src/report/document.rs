//! What a report is made of.

use crate::evaluation::{Evaluation, Interval};
use crate::study::Verdict;

/// The report on an evaluation, rendered by [`render`](super::render).
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// The page's title.
    pub title: String,
    /// The measured systems.
    pub evaluation: &'a Evaluation,
    /// The system that the others are compared with; the evaluation's own when `None`.
    pub baseline: Option<String>,
    /// The training runs whose curves are overlaid; may be empty.
    pub runs: Vec<RunCurve>,
    /// Sections shown after the metrics, such as a demo's true mode coverage.
    pub extra_sections: Vec<Section>,
    /// The commands that reproduce everything in the report, in order.
    pub reproduce: Vec<String>,
    /// Provenance: version, device, seeds, hashes of files.
    pub about: Vec<(String, String)>,
}

/// One training run.
#[derive(Clone, Debug, Default)]
pub struct RunCurve {
    /// Its name; a run with the name of a system takes that system's colour.
    pub name: String,
    /// The rows of its `metrics.jsonl`.
    pub rows: Vec<serde_json::Value>,
    /// Its resolved configuration, as TOML.
    pub config: String,
}

/// A section written by the caller.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// The heading.
    pub title: String,
    /// Its content, in order.
    pub blocks: Vec<Block>,
}

/// A building block of a [`Section`]. Its texts are plain: they are escaped, never read as HTML.
#[derive(Clone, Debug)]
pub enum Block {
    /// A paragraph.
    Text(String),
    /// A table; columns of numbers are right-aligned.
    Table {
        /// The column headings.
        columns: Vec<String>,
        /// The rows; one that is shorter than `columns` is padded with empty cells.
        rows: Vec<Vec<String>>,
    },
    /// Scatter plots, side by side.
    ScatterPlots(Vec<ScatterPlot>),
    /// Claims with their verdicts.
    Claims(Vec<ClaimShown>),
}

/// Systems plotted by two metrics, with the intervals of both as error bars.
#[derive(Clone, Debug, Default)]
pub struct ScatterPlot {
    /// The caption.
    pub title: String,
    /// What the horizontal axis measures.
    pub x_label: String,
    /// What the vertical axis measures.
    pub y_label: String,
    /// The points.
    pub points: Vec<ScatterPoint>,
}

/// A system on a [`ScatterPlot`].
#[derive(Clone, Debug)]
pub struct ScatterPoint {
    /// Its name.
    pub name: String,
    /// The index of its colour among the page's eight.
    pub colour: usize,
    /// Its value on the horizontal axis.
    pub x: Interval,
    /// Its value on the vertical axis.
    pub y: Interval,
    /// Whether the others are compared with this one.
    pub is_baseline: bool,
}

/// A claim with its verdict.
#[derive(Clone, Debug)]
pub struct ClaimShown {
    /// What is claimed.
    pub statement: String,
    /// Whether the results bear it out.
    pub verdict: Verdict,
    /// What must be observed for it to hold.
    pub criterion: String,
    /// One row per comparison: `ddpo - dpo`, the metric, the difference with its interval, and the
    /// verdict.
    pub findings: Vec<[String; 4]>,
}

/// A page that consists of sections alone, rendered as HTML by
/// [`render_page`](super::render_page) and as Markdown by
/// [`render_markdown`](super::render_markdown).
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The title.
    pub title: String,
    /// What was measured, in one line.
    pub scope: String,
    /// The findings, in a few sentences; the first is shown largest.
    pub finding: Vec<String>,
    /// The sections.
    pub sections: Vec<Section>,
    /// The commands that reproduce everything on the page, in order.
    pub reproduce: Vec<String>,
    /// Provenance: version, device, seeds, hashes of files.
    pub about: Vec<(String, String)>,
}
