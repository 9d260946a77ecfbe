//! The table of all metrics: each system's mean, interval and difference to the baseline.

use maud::{Markup, html};

use super::format::{
    MISSING, coordinate, count, counted, decimals_for, fixed, interval, p_value, signed,
    signed_interval,
};
use super::reading::{self, Reading, certain};
use super::scale::Axis;
use crate::evaluation::{Better, Difference, MetricInfo, Mode, System};

/// One row per metric, one column per system.
pub(super) fn metrics(reading: &Reading<'_>) -> Markup {
    let systems = reading.systems();
    let metrics = &reading.evaluation.metrics;
    if systems.is_empty() || metrics.is_empty() {
        return html! { p.absent { "No metric was measured." } "\n" };
    }
    html! {
        div.scroll role="region" aria-label="All metrics" tabindex="0" {
            table.metrics {
                thead {
                    tr {
                        th scope="col" { "Metric" }
                        @for system in systems {
                            th scope="col" {
                                span class={ "dot s" (reading.colour(&system.name)) } {}
                                bdi { (system.name) }
                                @if reading.baseline == Some(system.name.as_str()) { small { "baseline" } }
                            }
                        }
                        th scope="col" class="strip-head" { "95\u{202f}% intervals" }
                    }
                }
                tbody { "\n"
                    @for metric in metrics { (row(reading, metric)) }
                }
            }
        } "\n"
        (legend(reading))
    }
}

fn row(reading: &Reading<'_>, metric: &MetricInfo) -> Markup {
    let systems = reading.systems();
    let decimals = decimals(systems, &metric.name);
    let direction = match metric.better {
        Better::Higher => Some("↑ higher is better"),
        Better::Lower => Some("↓ lower is better"),
        Better::Neither => None,
    };
    let source = Some(&metric.source).filter(|source| !source.is_empty());
    html! {
        tr {
            th scope="row" {
                span title=[source] { (metric.label) }
                @if let Some(direction) = direction { span.direction { (direction) } }
            }
            @for system in systems { (cell(reading, system, metric, decimals)) }
            td.strip { (strip(reading, &metric.name)) }
        } "\n"
    }
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

fn cell(reading: &Reading<'_>, system: &System, metric: &MetricInfo, decimals: usize) -> Markup {
    let Some(value) = reading::interval(system, &metric.name) else {
        return html! { td.absent { (MISSING) } };
    };
    let difference = reading
        .difference(&system.name, &metric.name)
        .filter(|difference| difference.mean.is_finite());
    html! {
        td {
            span.value { (fixed(value.mean, decimals)) } " "
            span.interval { (interval(value.low, value.high, decimals)) }
            @if let Some(difference) = difference { (change(difference, metric.better, decimals)) }
        }
    }
}

fn change(difference: &Difference, better: Better, decimals: usize) -> Markup {
    let (class, glyph, word) = match (certain(difference), better) {
        (None, _) => ("unsure", "≈", "no difference established"),
        (Some(_), Better::Neither) => ("differs", "≠", "differs"),
        (Some(true), Better::Higher) | (Some(false), Better::Lower) => ("better", "▲", "better"),
        (Some(_), _) => ("worse", "▼", "worse"),
    };
    html! {
        span class={ "change " (class) } {
            span aria-hidden="true" { (glyph) }
            span.unseen { (word) ": " } " "
            (signed(difference.mean, decimals)) " "
            span.interval { (signed_interval(difference.low, difference.high, decimals)) } " "
            span.p { (p_value(difference.p).replace(' ', "\u{a0}")) }
        }
    }
}

/// The row's intervals below one another on one scale. The numbers beside it say the same.
fn strip(reading: &Reading<'_>, metric: &str) -> Markup {
    const WIDTH: f64 = 150.0;
    const STEP: f64 = 11.0;
    let systems = reading.systems();
    let known: Vec<_> = systems
        .iter()
        .filter_map(|system| Some((system, reading::interval(system, metric)?)))
        .collect();
    let Some(axis) = Axis::covering(known.iter().flat_map(|(_, i)| [i.low, i.mean, i.high]), 3)
    else {
        return Markup::default();
    };
    let x = |value: f64| coordinate(axis.place(value, 2.0, WIDTH - 2.0));
    let y = |index: usize| coordinate(STEP * (index as f64 + 0.5) + 2.0);
    let height = STEP * known.len() as f64 + 4.0;
    let base = known
        .iter()
        .find(|(system, _)| reading.baseline == Some(system.name.as_str()));
    html! {
        svg viewBox={ "0 0 " (WIDTH) " " (height) } width=(WIDTH) height=(height) aria-hidden="true" {
            @if let Some((_, base)) = base {
                path class="sight" d={ "M" (x(base.mean)) " 0V" (height) } {}
            }
            @for (index, (system, interval)) in known.iter().enumerate() {
                g class={ "s" (reading.colour(&system.name)) } {
                    path class="cross" d={ "M" (x(interval.low)) " " (y(index)) "H" (x(interval.high)) } {}
                    circle cx=(x(interval.mean)) cy=(y(index)) r="3" {}
                }
            }
        }
    }
}

fn legend(reading: &Reading<'_>) -> Markup {
    let evaluation = reading.evaluation;
    html! {
        p.note {
            "Means over prompts with 95\u{202f}% bootstrap intervals ("
            (count(evaluation.resamples)) " resamples of prompts, seed " (evaluation.seed) ")."
            @if let Some(baseline) = reading.baseline {
                " Second lines: difference to " bdi { (baseline) } " over the same prompts; ▲ better, ▼ worse, ≠ different, \
                 ≈ the interval contains zero. Intervals and p-values are not corrected for the number of metrics."
            }
            @if evaluation.mode == Mode::ReferenceCompat {
                " Compression ratio, ROUGE-L homogenisation and n-gram diversity are computed as the paper’s \
                 code does, including its errors, for comparison with published numbers."
            }
        } "\n"
        @for system in reading.systems() { (caveats(system)) }
    }
}

/// What weakens a system's numbers, next to them.
fn caveats(system: &System) -> Markup {
    let facts: Vec<String> = [
        (system.missing.len(), "prompt", "missing"),
        (
            system.alone,
            "prompt",
            "with a single response and hence no diversity",
        ),
        (system.empty, "response", "empty"),
    ]
    .into_iter()
    .filter(|(number, ..)| *number > 0)
    .map(|(number, what, how)| format!("{} {how}", counted(number, what)))
    .chain(system.left_out())
    .collect();
    html! {
        @if !facts.is_empty() {
            p.note { bdi { (system.name) } ": " (facts.join("; ")) "." } "\n"
        }
    }
}

/// A caller's own table.
pub(super) fn plain(title: &str, columns: &[String], rows: &[Vec<String>]) -> Markup {
    let class: Vec<Option<&str>> = (0..columns.len())
        .map(|column| {
            let mut cells = rows.iter().filter_map(|row| row.get(column));
            cells.all(|text| is_number(text)).then_some("number")
        })
        .collect();
    let cell = |row: &[String], column: usize| row.get(column).cloned().unwrap_or_default();
    html! {
        div.scroll role="region" aria-label=(title) tabindex="0" {
            table.plain {
                thead {
                    tr {
                        @for (text, class) in columns.iter().zip(&class) {
                            th scope="col" class=[class] { (text) }
                        }
                    }
                }
                tbody { "\n"
                    @for row in rows {
                        tr {
                            @for (column, class) in class.iter().enumerate() {
                                @if column == 0 {
                                    th scope="row" class=[class] { (cell(row, column)) }
                                } @else {
                                    td class=[class] { (cell(row, column)) }
                                }
                            }
                        } "\n"
                    }
                }
            }
        } "\n"
    }
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
        )
        .into_string();
        assert!(html.contains("&lt;i&gt;"));
        assert!(html.contains("<td class=\"number\"></td>"));
    }
}
