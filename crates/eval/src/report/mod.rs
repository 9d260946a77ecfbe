//! The report: one self-contained HTML file that shows the results of an evaluation.
//!
//! Everything is inline, nothing is fetched, and a content security policy that names the page's
//! own style and script by hash enforces that. Figures are drawn here as SVG; the script only
//! switches what is shown, so the page is complete without it.

mod calibration;
mod claims;
mod curves;
mod document;
mod equal_quality;
mod format;
mod headline;
mod heatmap;
mod histogram;
mod labels;
mod markdown;
mod page;
mod reading;
mod samples;
mod scale;
mod scatter;
mod section;
mod table;
#[cfg(test)]
mod tests;

pub use calibration::render_reward;
pub use document::{Block, ClaimShown, Page, Report, RunCurve, ScatterPlot, ScatterPoint, Section};
pub use markdown::render_markdown;
pub use page::{render, render_page};
