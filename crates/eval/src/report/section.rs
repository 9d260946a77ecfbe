//! Sections that a caller wrote.

use super::plane::{Point, plane};
use super::{Block, Plane, Section, claims, reading, table};
use crate::html::escape;

/// What stands under the section's heading.
pub(super) fn section(section: &Section) -> String {
    section
        .blocks
        .iter()
        .map(|block| match block {
            Block::Text(text) => format!("<p>{}</p>\n", escape(text)),
            Block::Table { columns, rows } => table::plain(&section.title, columns, rows),
            Block::Planes(planes) => format!(
                "<div class=\"planes\">{}</div>\n",
                planes.iter().map(shown).collect::<String>()
            ),
            Block::Claims(shown) => claims::claims(shown),
        })
        .collect()
}

fn shown(shown: &Plane) -> String {
    let points: Vec<Point<'_>> = shown
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
    plane(&points, &[], &shown.title, &shown.x_label, &shown.y_label)
}
