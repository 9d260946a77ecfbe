//! What people said of sets of responses: read, and shown as tables.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, bail};
use rarebit_eval::evaluation::Interval;
use rarebit_eval::human::{HumanEvaluation, Question};
use rarebit_eval::report::{Block, Section};
use serde::de::DeserializeOwned;

/// Reads the result of an analysis.
pub(super) fn read(path: &Path) -> anyhow::Result<HumanEvaluation> {
    read_json(path, "the file that `rarebit human analyse --output` wrote")
}

pub(super) fn read_json<T: DeserializeOwned>(path: &Path, what: &str) -> anyhow::Result<T> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("{} does not exist; give {what}", path.display())
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    serde_json::from_str(&text)
        .with_context(|| format!("{} cannot be read; give {what}", path.display()))
}

const COLUMNS: [&str; 7] = [
    "system",
    "against",
    "wins",
    "ties",
    "losses",
    "prompts",
    "agreement",
];

/// A question's comparisons as cells.
fn rows(found: &HumanEvaluation, question: Question) -> Vec<Vec<String>> {
    let percent = |rate: Option<Interval>| {
        rate.map_or_else(String::new, |rate| {
            let [mean, low, high] = [rate.mean, rate.low, rate.high].map(|share| share * 100.0);
            format!("{mean:.0} % [{low:.0}, {high:.0}]")
        })
    };
    let comparisons = found.comparisons.iter();
    comparisons
        .filter(|comparison| comparison.question == question)
        .map(|it| {
            let prompts = it.prompts;
            vec![
                it.system.clone(),
                it.baseline.clone(),
                percent(it.wins),
                percent(it.ties),
                percent(it.losses),
                format!(
                    "{} : {} : {}, p {}",
                    prompts.wins,
                    prompts.ties,
                    prompts.losses,
                    p_value(it.p)
                ),
                it.alpha.map_or_else(
                    || "–".to_owned(),
                    |alpha| format!("{:.2} [{:.2}, {:.2}]", alpha.mean, alpha.low, alpha.high),
                ),
            ]
        })
        .collect()
}

fn p_value(p: f64) -> String {
    if p < 0.001 {
        "< 0.001".to_owned()
    } else {
        format!("= {p:.3}")
    }
}

/// Prints the comparisons and the annotators.
pub(super) fn table(found: &HumanEvaluation, out: &mut impl Write) -> io::Result<()> {
    for question in Question::ALL {
        let mut rows = rows(found, question);
        rows.insert(0, COLUMNS.map(str::to_owned).to_vec());
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
        let widths: Vec<usize> = (0..COLUMNS.len()).filter_map(width).collect();
        writeln!(out, "{}", question.text())?;
        for row in &rows {
            let cells = row.iter().zip(&widths);
            let line: Vec<String> = cells
                .map(|(cell, &width)| format!("{cell:width$}"))
                .collect();
            writeln!(out, "  {}", line.join("  ").trim_end())?;
        }
        writeln!(out)?;
    }
    for annotator in &found.annotators {
        let left = annotator.left.map_or_else(String::new, |left| {
            format!(", chose the left set {:.0} % of the time", left * 100.0)
        });
        let seconds = annotator.seconds.map_or_else(String::new, |seconds| {
            format!(", {seconds:.0} s for the median one")
        });
        writeln!(
            out,
            "{}: {} prompts{left}{seconds}",
            annotator.name, annotator.items
        )?;
    }
    Ok(())
}

/// The result as a section of the report.
pub(super) fn section(found: &HumanEvaluation) -> Section {
    let annotators = found.annotators.len();
    let mut blocks = vec![Block::Text(format!(
        "{annotators} {} saw sets of responses to the same prompt side by side, without knowing whose. Shares of \
         judgements for the system, for neither and for the system it is compared with, with 95 % bootstrap intervals \
         over prompts. Prompts won : tied : lost by the majority, with the two-sided p of a sign test. Agreement is \
         Krippendorff’s alpha: 1 is perfect, 0 is chance.",
        if annotators == 1 {
            "annotator"
        } else {
            "annotators"
        }
    ))];
    for question in Question::ALL {
        blocks.push(Block::Text(question.text().to_owned()));
        blocks.push(Block::Table {
            columns: COLUMNS.map(str::to_owned).to_vec(),
            rows: rows(found, question),
        });
    }
    Section {
        title: "What people say".to_owned(),
        blocks,
    }
}
