//! The report: one self-contained HTML file that shows what an evaluation found.
//!
//! Everything is inline, nothing is fetched, and a content security policy that names the page's
//! own style and script by hash keeps it so. The drawings are made here, as SVG; the script only
//! switches what is shown, so a reader without it still sees every section.

mod calibration;
mod claims;
mod curves;
mod equal_quality;
mod format;
mod headline;
mod heatmap;
mod histogram;
mod labels;
mod markdown;
mod page;
mod plane;
mod reading;
mod samples;
mod scale;
mod section;
mod table;

use crate::Evaluation;
use crate::evaluation::Interval;
use crate::study::Verdict;

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
    /// Planes, side by side.
    Planes(Vec<Plane>),
    /// What was claimed and what became of it.
    Claims(Vec<ClaimShown>),
}

/// Systems as points with two numbers each, and the intervals of both as a cross.
#[derive(Clone, Debug, Default)]
pub struct Plane {
    /// Its caption.
    pub title: String,
    /// What the horizontal axis measures.
    pub x_label: String,
    /// What the vertical axis measures.
    pub y_label: String,
    /// The points.
    pub points: Vec<PlanePoint>,
}

/// A system on a [`Plane`].
#[derive(Clone, Debug)]
pub struct PlanePoint {
    /// Its name.
    pub name: String,
    /// Which of the page's eight colours is its own.
    pub colour: usize,
    /// The horizontal number.
    pub x: Interval,
    /// The vertical number.
    pub y: Interval,
    /// Whether the others are read against this one.
    pub is_baseline: bool,
}

/// A claim with its verdict.
#[derive(Clone, Debug)]
pub struct ClaimShown {
    /// What is claimed.
    pub statement: String,
    /// Whether it is so.
    pub verdict: Verdict,
    /// When it would be.
    pub criterion: String,
    /// What was found: `ddpo - dpo`, in what, the difference with its interval, and the verdict.
    pub findings: Vec<[String; 4]>,
}

/// A page that is made of sections alone, as HTML by [`render_page`] and as Markdown by
/// [`render_markdown`].
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Its title.
    pub title: String,
    /// What was measured, in a line.
    pub scope: String,
    /// What was found, in a few sentences; the first is the largest.
    pub finding: Vec<String>,
    /// Its sections.
    pub sections: Vec<Section>,
    /// The commands that make everything it shows, in order.
    pub reproduce: Vec<String>,
    /// What made it: version, device, seeds, hashes of files.
    pub about: Vec<(String, String)>,
}

/// The report as one HTML document.
pub fn render(report: &Report<'_>) -> String {
    page::page(report)
}

/// The page as one HTML document.
#[must_use]
pub fn render_page(page: &Page) -> String {
    page::sections(page)
}

/// The page as Markdown. Planes become tables.
#[must_use]
pub fn render_markdown(page: &Page) -> String {
    markdown::markdown(page)
}

#[cfg(test)]
mod tests;
