//! Sections written by the caller.

use maud::{Markup, html};

use super::document::{Block, ScatterPlot, Section};
use super::scatter::{Point, scatter};
use super::{claims, reading, table};

/// What stands under the section's heading.
pub(super) fn section(section: &Section) -> Markup {
    html! {
        @for block in &section.blocks {
            @match block {
                Block::Text(text) => { p { (text) } "\n" }
                Block::Table { columns, rows } => (table::plain(&section.title, columns, rows)),
                Block::ScatterPlots(plots) => {
                    div.planes { @for plot in plots { (drawn(plot)) } } "\n"
                }
                Block::Claims(shown) => (claims::claims(shown)),
            }
        }
    }
}

fn drawn(plot: &ScatterPlot) -> Markup {
    let points: Vec<Point<'_>> = plot
        .points
        .iter()
        .map(|point| Point {
            name: &point.name,
            colour: point.colour % reading::COLOURS,
            x: point.x,
            y: point.y,
            is_baseline: point.is_baseline,
        })
        .collect();
    scatter(&points, &[], &plot.title, &plot.x_label, &plot.y_label)
}
