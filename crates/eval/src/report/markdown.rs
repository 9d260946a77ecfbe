//! A page as Markdown, for places that do not render HTML.

use super::claims;
use super::document::{Block, ClaimShown, Page, ScatterPlot};
use super::format::{fixed, interval};
use crate::evaluation::Interval;

/// The page as Markdown. Scatter plots become tables.
#[must_use]
pub fn render_markdown(page: &Page) -> String {
    let mut text = format!("# {}\n\n{}\n", plain(&page.title), plain(&page.scope));
    for sentence in &page.finding {
        text += &format!("\n{}\n", plain(sentence));
    }
    for section in &page.sections {
        text += &format!("\n## {}\n", plain(&section.title));
        for block in &section.blocks {
            text += "\n";
            text += &match block {
                Block::Text(paragraph) => format!("{}\n", plain(paragraph)),
                Block::Table { columns, rows } => table(columns, rows),
                Block::ScatterPlots(plots) => plots.iter().map(scatter_plot).collect(),
                Block::Claims(shown) => {
                    let columns = claims::COLUMNS.map(str::to_owned);
                    let claim = |claim: &ClaimShown| {
                        let rows: Vec<Vec<String>> =
                            claim.findings.iter().map(|row| row.to_vec()).collect();
                        format!(
                            "### {}: {}\n\n{}\n\n{}\n",
                            plain(&claim.statement),
                            claim.verdict.as_str(),
                            plain(&claim.criterion),
                            table(&columns, &rows)
                        )
                    };
                    shown.iter().map(claim).collect()
                }
            };
        }
    }
    text += "\n## How to reproduce\n";
    if !page.reproduce.is_empty() {
        // Nothing is escaped in a code block.
        text += &format!("\n```sh\n{}\n```\n", page.reproduce.join("\n"));
    }
    if !page.about.is_empty() {
        let rows: Vec<Vec<String>> = page
            .about
            .iter()
            .map(|(key, value)| vec![key.clone(), value.clone()])
            .collect();
        text += "\n";
        text += &table(&["what".to_owned(), "value".to_owned()], &rows);
    }
    text
}

fn scatter_plot(plot: &ScatterPlot) -> String {
    let cell = |value: &Interval| {
        format!(
            "{} {}",
            fixed(value.mean, 3),
            interval(value.low, value.high, 3)
        )
    };
    let rows: Vec<Vec<String>> = plot
        .points
        .iter()
        .map(|point| vec![point.name.clone(), cell(&point.x), cell(&point.y)])
        .collect();
    let columns = [
        "system".to_owned(),
        plot.x_label.clone(),
        plot.y_label.clone(),
    ];
    format!("{}\n\n{}\n", plain(&plot.title), table(&columns, &rows))
}

fn table(columns: &[String], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| {
        let cells: Vec<String> = (0..columns.len())
            .map(|column| {
                cells
                    .get(column)
                    .map_or_else(String::new, |cell| plain(cell))
            })
            .collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut text = line(columns);
    text += &format!("|{}\n", "---|".repeat(columns.len()));
    text + &rows.iter().map(|row| line(row)).collect::<String>()
}

/// A text on one line, escaped so that Markdown shows it verbatim.
fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut before = ' ';
    for character in text.chars() {
        match character {
            '\n' | '\r' => safe.push(' '),
            '|' | '*' | '_' | '`' | '<' | '\\' | '#' => {
                safe.push('\\');
                safe.push(character);
            }
            // Brackets alone are literal; followed by one of these they form a link.
            '(' | '[' | ':' if before == ']' => {
                safe.push('\\');
                safe.push(character);
            }
            other => safe.push(other),
        }
        before = character;
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::super::document::{ScatterPoint, Section};
    use super::*;

    #[test]
    fn every_block_has_its_markdown_and_nothing_breaks_a_table() {
        let value = Interval {
            mean: 0.5,
            low: 0.4,
            high: 0.6,
            prompts: 9,
        };
        let page = Page {
            title: "T".to_owned(),
            finding: vec!["It *is* [a](b).".to_owned()],
            sections: vec![Section {
                title: "S".to_owned(),
                blocks: vec![
                    Block::Table {
                        columns: vec!["a".to_owned(), "b".to_owned()],
                        rows: vec![vec!["x|y\nz".to_owned()]],
                    },
                    Block::ScatterPlots(vec![ScatterPlot {
                        title: "P".to_owned(),
                        x_label: "x".to_owned(),
                        y_label: "y".to_owned(),
                        points: vec![ScatterPoint {
                            name: "dpo".to_owned(),
                            colour: 0,
                            x: value,
                            y: value,
                            is_baseline: false,
                        }],
                    }]),
                ],
            }],
            reproduce: vec!["rarebit demo".to_owned()],
            ..Page::default()
        };
        let text = render_markdown(&page);
        for part in [
            "# T\n",
            "It \\*is\\* [a]\\(b).",
            "| a | b |\n|---|---|\n| x\\|y z |  |\n",
            "| dpo | 0.500 [0.400, 0.600] | 0.500 [0.400, 0.600] |",
            "```sh\nrarebit demo\n```",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}
