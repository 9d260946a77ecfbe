//! The table of all metrics: each system's mean, interval and difference to the baseline.

use super::format::{
    MISSING, coordinate, count, counted, decimals_for, fixed, interval, p_value, signed,
    signed_interval,
};
use super::headline::certain;
use super::reading::{self, Reading};
use super::scale::Axis;
use crate::evaluation::{Better, Difference, MetricInfo, Mode, System};
use crate::html::escape;

/// The metrics as a table with a row each and a column per system.
pub(super) fn metrics(reading: &Reading<'_>) -> String {
    let systems = reading.systems();
    if systems.is_empty() || reading.evaluation.metrics.is_empty() {
        return "<p class=\"absent\">No metric was measured.</p>\n".to_owned();
    }
    let mut html = String::from(
        "<div class=\"scroll\" role=\"region\" aria-label=\"All metrics\" tabindex=\"0\"><table class=\"metrics\"><thead><tr><th scope=\"col\">Metric</th>",
    );
    for system in systems {
        let role = if reading.baseline == Some(system.name.as_str()) {
            "<small>baseline</small>"
        } else {
            ""
        };
        html += &format!(
            "<th scope=\"col\"><span class=\"dot s{}\"></span><bdi>{}</bdi>{role}</th>",
            reading.colour(&system.name),
            escape(&system.name)
        );
    }
    html +=
        "<th scope=\"col\" class=\"strip-head\">95\u{202f}% intervals</th></tr></thead><tbody>\n";
    for metric in &reading.evaluation.metrics {
        html += &row(reading, metric);
    }
    html += "</tbody></table></div>\n";
    html + &legend(reading)
}

fn row(reading: &Reading<'_>, metric: &MetricInfo) -> String {
    let systems = reading.systems();
    let decimals = decimals(systems, &metric.name);
    let direction = match metric.better {
        Better::Higher => "<span class=\"direction\">↑ higher is better</span>",
        Better::Lower => "<span class=\"direction\">↓ lower is better</span>",
        Better::Neither => "",
    };
    let source = if metric.source.is_empty() {
        String::new()
    } else {
        format!(" title=\"{}\"", escape(&metric.source))
    };
    let mut html = format!(
        "<tr><th scope=\"row\"><span{source}>{}</span>{direction}</th>",
        escape(&metric.label)
    );
    for system in systems {
        html += &cell(reading, system, metric, decimals);
    }
    html + &format!(
        "<td class=\"strip\">{}</td></tr>\n",
        strip(reading, &metric.name)
    )
}

/// One count of decimals for a whole row, from its narrowest interval that has a width.
fn decimals(systems: &[System], metric: &str) -> usize {
    let narrowest = systems
        .iter()
        .filter_map(|system| reading::interval(system, metric))
        .map(|interval| interval.high - interval.low)
        .filter(|&width| width > 0.0)
        .fold(f64::INFINITY, f64::min);
    decimals_for(narrowest)
}

fn cell(reading: &Reading<'_>, system: &System, metric: &MetricInfo, decimals: usize) -> String {
    let Some(value) = reading::interval(system, &metric.name) else {
        return format!("<td class=\"absent\">{MISSING}</td>");
    };
    let difference = reading
        .difference(&system.name, &metric.name)
        .filter(|difference| difference.mean.is_finite())
        .map(|found| change(found, metric.better, decimals))
        .unwrap_or_default();
    format!(
        "<td><span class=\"value\">{}</span> <span class=\"interval\">{}</span>{difference}</td>",
        fixed(value.mean, decimals),
        interval(value.low, value.high, decimals)
    )
}

fn change(difference: &Difference, better: Better, decimals: usize) -> String {
    let (class, glyph, word) = match (certain(difference), better) {
        (None, _) => ("unsure", "≈", "no difference established"),
        (Some(_), Better::Neither) => ("differs", "≠", "differs"),
        (Some(true), Better::Higher) | (Some(false), Better::Lower) => ("better", "▲", "better"),
        (Some(_), _) => ("worse", "▼", "worse"),
    };
    format!(
        "<span class=\"change {class}\"><span aria-hidden=\"true\">{glyph}</span><span class=\"unseen\">{word}: </span> {} \
         <span class=\"interval\">{}</span> <span class=\"p\">{}</span></span>",
        signed(difference.mean, decimals),
        signed_interval(difference.low, difference.high, decimals),
        p_value(difference.p)
            .replace(' ', "\u{a0}")
            .replace('<', "&lt;")
    )
}

/// The row's intervals under each other on one scale. The numbers beside it say the same.
fn strip(reading: &Reading<'_>, metric: &str) -> String {
    const WIDTH: f64 = 150.0;
    const STEP: f64 = 11.0;
    let systems = reading.systems();
    let known: Vec<_> = systems
        .iter()
        .filter_map(|system| Some((system, reading::interval(system, metric)?)))
        .collect();
    let Some(axis) = Axis::covering(known.iter().flat_map(|(_, i)| [i.low, i.mean, i.high]), 3)
    else {
        return String::new();
    };
    let x = |value: f64| coordinate(axis.place(value, 2.0, WIDTH - 2.0));
    let height = STEP * known.len() as f64 + 4.0;
    let mut svg = String::new();
    if let Some((_, base)) = known
        .iter()
        .find(|(system, _)| reading.baseline == Some(system.name.as_str()))
    {
        svg += &format!("<path class=\"sight\" d=\"M{} 0V{height}\"/>", x(base.mean));
    }
    for (index, (system, interval)) in known.iter().enumerate() {
        let y = coordinate(STEP * (index as f64 + 0.5) + 2.0);
        svg += &format!(
            "<g class=\"s{}\"><path class=\"cross\" d=\"M{} {y}H{}\"/><circle cx=\"{}\" cy=\"{y}\" r=\"3\"/></g>",
            reading.colour(&system.name),
            x(interval.low),
            x(interval.high),
            x(interval.mean)
        );
    }
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" aria-hidden=\"true\">{svg}</svg>"
    )
}

fn legend(reading: &Reading<'_>) -> String {
    let evaluation = reading.evaluation;
    let intervals = format!(
        "Means over prompts with 95\u{202f}% bootstrap intervals ({} resamples of prompts, seed {}).",
        count(evaluation.resamples),
        evaluation.seed
    );
    let compared = reading.baseline.map_or_else(String::new, |baseline| {
        format!(
            " Second lines: difference to <bdi>{}</bdi> over the same prompts; ▲ better, ▼ worse, ≠ different, \
             ≈ the interval holds zero. Intervals and p-values are not corrected for the number of metrics.",
            escape(baseline)
        )
    });
    let mode = match evaluation.mode {
        Mode::Correct => "",
        Mode::ReferenceCompat => {
            " Compression ratio, ROUGE-L homogenisation and n-gram diversity are computed as the paper’s \
             code does, with its faults, for comparison with published numbers."
        }
    };
    format!(
        "<p class=\"note\">{intervals}{compared}{mode}</p>\n{}",
        caveats(reading.systems())
    )
}

/// What weakens a system's numbers, said where they stand.
fn caveats(systems: &[System]) -> String {
    systems
        .iter()
        .filter_map(|system| {
            let facts: Vec<String> = [
                (system.missing.len(), "prompt", "missing"),
                (
                    system.alone,
                    "prompt",
                    "with one response and so no diversity",
                ),
                (system.empty, "response", "empty"),
            ]
            .into_iter()
            .filter(|(number, ..)| *number > 0)
            .map(|(number, what, how)| format!("{} {how}", counted(number, what)))
            .chain(system.left_out().map(|note| escape(&note)))
            .collect();
            (!facts.is_empty()).then(|| {
                format!(
                    "<p class=\"note\"><bdi>{}</bdi>: {}.</p>\n",
                    escape(&system.name),
                    facts.join("; ")
                )
            })
        })
        .collect()
}

/// A caller's own table.
pub(super) fn plain(title: &str, columns: &[String], rows: &[Vec<String>]) -> String {
    let numeric: Vec<bool> = (0..columns.len())
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .all(|text| is_number(text))
        })
        .collect();
    let class = |column: usize| {
        if numeric[column] {
            " class=\"number\""
        } else {
            ""
        }
    };
    let head: String = columns
        .iter()
        .enumerate()
        .map(|(column, text)| format!("<th scope=\"col\"{}>{}</th>", class(column), escape(text)))
        .collect();
    let body: String = rows
        .iter()
        .map(|row| {
            let cells: String = (0..columns.len())
                .map(|column| {
                    let text = row.get(column).map_or("", String::as_str);
                    let element = if column == 0 {
                        "th scope=\"row\""
                    } else {
                        "td"
                    };
                    let close = if column == 0 { "th" } else { "td" };
                    format!("<{element}{}>{}</{close}>", class(column), escape(text))
                })
                .collect();
            format!("<tr>{cells}</tr>\n")
        })
        .collect();
    format!(
        "<div class=\"scroll\" role=\"region\" aria-label=\"{}\" tabindex=\"0\"><table class=\"plain\"><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>\n",
        escape(title)
    )
}

/// Whether a cell begins like a number, as `0.4 [0.3, 0.5]` and `12 %` do.
fn is_number(text: &str) -> bool {
    let text = text.trim_start_matches(['−', '-', '+', '±', '–']);
    text.is_empty() || text.starts_with(|character: char| character.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_tables_escape_and_fill_short_rows() {
        let html = plain(
            "t",
            &["a".into(), "b".into()],
            &[
                vec!["<i>".into()],
                vec!["x".into(), "0.5 [0.4, 0.6]".into()],
            ],
        );
        assert!(html.contains("&lt;i&gt;"));
        assert!(html.contains("<td class=\"number\"></td>"));
    }
}
