//! Training curves: one small figure per logged quantity, all runs overlaid.

use std::collections::BTreeSet;

use maud::{Markup, html};
use serde_json::Value;

use super::document::RunCurve;
use super::format::{coordinate as at, significant};
use super::reading::{COLOURS, Reading};
use super::scale::Axis;

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 230.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = WIDTH - 10.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = HEIGHT - 34.0;
/// Points per drawn line: more cannot be told apart at this width.
const POINTS: usize = 240;
/// From this many points on, a line is noisy enough to need a smoothed one over it.
const SMOOTHED: usize = 40;
/// Up to this many evaluations each have a dot.
const DOTTED: usize = 40;
/// Panels behind the fold; a row may hold any number of keys.
const FURTHER: usize = 24;

/// The quantities shown first, with their titles. A key's `eval_` twin is drawn into its panel.
const SHOWN: [(&str, &str); 4] = [
    ("loss", "Loss"),
    ("rewards/margins", "Reward margin, chosen − rejected"),
    ("rewards/accuracies", "Reward accuracy"),
    ("rewards/chosen", "Reward of the chosen"),
];
/// Positions of rows rather than quantities.
const POSITIONS: [&str; 2] = ["step", "epoch"];

/// The section: a legend, the panels, and the remaining keys behind a fold.
pub(super) fn curves(runs: &[RunCurve], reading: &Reading<'_>) -> Markup {
    let runs = coloured(runs, reading);
    let keys: BTreeSet<&str> = runs
        .iter()
        .flat_map(|run| &run.curve.rows)
        .filter_map(Value::as_object)
        .flat_map(|row| {
            row.iter()
                .filter(|(_, value)| value.is_number())
                .map(|(key, _)| training_key(key))
        })
        .filter(|key| !POSITIONS.contains(key))
        .collect();
    if keys.is_empty() {
        return html! {
            p.absent { "No training run was given, or none has logged a number." } "\n"
        };
    }
    let first = SHOWN.iter().filter(|(key, _)| keys.contains(key));
    let rest: Vec<&str> = keys
        .iter()
        .copied()
        .filter(|key| !SHOWN.iter().any(|(shown, _)| shown == key))
        .take(FURTHER)
        .collect();
    let further: Vec<Markup> = rest
        .iter()
        .filter_map(|key| panel(&runs, key, key))
        .collect();
    html! {
        (legend(&runs))
        div.curves {
            @for (key, title) in first {
                @if *key == "loss" { (losses(&runs)) } @else { (panel(&runs, key, title).unwrap_or_default()) }
            }
        } "\n"
        @if !further.is_empty() {
            details {
                summary { "All logged quantities (" (rest.len()) " more)" }
                div.curves { @for panel in &further { (panel) } }
            } "\n"
        }
    }
}

struct ColouredRun<'a> {
    curve: &'a RunCurve,
    colour: usize,
}

/// A run takes the colour of the system with its name; any other run, a colour not yet in use.
fn coloured<'a>(runs: &'a [RunCurve], reading: &Reading<'_>) -> Vec<ColouredRun<'a>> {
    let of_system = |run: &RunCurve| {
        reading
            .systems()
            .iter()
            .position(|system| system.name.eq_ignore_ascii_case(&run.name))
            .map(|index| index % COLOURS)
    };
    let mut free = (0..COLOURS)
        .rev()
        .filter(|&colour| !runs.iter().any(|run| of_system(run) == Some(colour)))
        .collect::<Vec<_>>();
    runs.iter()
        .enumerate()
        .map(|(index, curve)| ColouredRun {
            curve,
            colour: of_system(curve)
                .or_else(|| free.pop())
                .unwrap_or(index % COLOURS),
        })
        .collect()
}

fn training_key(key: &str) -> &str {
    key.strip_prefix("eval_").unwrap_or(key)
}

fn legend(runs: &[ColouredRun<'_>]) -> Markup {
    html! {
        ul.legend {
            @for run in runs {
                li class={ "s" (run.colour) } { span.dot {} bdi { (run.curve.name) } }
            }
            li { span.stroke {} "training" }
            li { span class="stroke dotted" {} "evaluation" }
        } "\n"
    }
}

/// Losses of different kinds share no scale, so language modelling and preferences, recognisable by
/// their margins, are plotted apart.
fn losses(runs: &[ColouredRun<'_>]) -> Markup {
    let (preference, language): (Vec<&ColouredRun<'_>>, Vec<&ColouredRun<'_>>) =
        runs.iter().partition(|run| has_margins(run.curve));
    let panels = if language.is_empty() || preference.is_empty() {
        [panel(runs, "loss", "Loss"), None]
    } else {
        [
            panel_of(&language, "loss", "Loss, language modelling"),
            panel_of(&preference, "loss", "Loss, preferences"),
        ]
    };
    html! { @for panel in panels.iter().flatten() { (panel) } }
}

fn has_margins(run: &RunCurve) -> bool {
    run.rows.iter().any(|row| {
        row.get("rewards/margins").is_some() || row.get("eval_rewards/margins").is_some()
    })
}

/// A quantity's figure; `None` where no run has logged it.
fn panel(runs: &[ColouredRun<'_>], key: &str, title: &str) -> Option<Markup> {
    panel_of(&runs.iter().collect::<Vec<_>>(), key, title)
}

fn panel_of(runs: &[&ColouredRun<'_>], key: &str, title: &str) -> Option<Markup> {
    let evaluation = format!("eval_{key}");
    let lines: Vec<(usize, &str, Series, Series)> = runs
        .iter()
        .map(|run| {
            (
                run.colour,
                run.curve.name.as_str(),
                series(run.curve, key),
                series(run.curve, &evaluation),
            )
        })
        .filter(|(_, _, trained, evaluated)| !trained.is_empty() || !evaluated.is_empty())
        .collect();
    let points = || {
        lines
            .iter()
            .flat_map(|(_, _, trained, evaluated)| trained.iter().chain(evaluated))
    };
    let frame = Frame {
        x_axis: Axis::covering(points().map(|point| point.0), 4)?,
        y_axis: Axis::covering(points().map(|point| point.1), 4)?,
    };
    let spoken: Vec<String> = lines
        .iter()
        .filter_map(|(_, name, trained, evaluated)| {
            let line = if trained.is_empty() {
                evaluated
            } else {
                trained
            };
            let (first, last) = (line.first()?, line.last()?);
            Some(format!(
                "{name}: from {} to {}",
                significant(first.1),
                significant(last.1)
            ))
        })
        .collect();
    let label = format!("{title} over steps. {}", spoken.join("; "));
    Some(html! {
        figure {
            figcaption { (title) }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(label) {
                (frame.grid())
                @for (colour, _, trained, evaluated) in &lines {
                    g class={ "s" (colour) } {
                        @if trained.len() >= SMOOTHED {
                            (frame.line("raw", trained)) (frame.line("line", &smoothed(trained)))
                        } @else {
                            (frame.line("line", trained))
                        }
                        (frame.line("line dotted", evaluated))
                        @for &(step, value) in evaluated.iter().filter(|_| evaluated.len() <= DOTTED) {
                            circle cx=(at(frame.x(step))) cy=(at(frame.y(value))) r="2.5" {}
                        }
                    }
                }
            }
        } "\n"
    })
}

struct Frame {
    x_axis: Axis,
    y_axis: Axis,
}

impl Frame {
    fn x(&self, step: f64) -> f64 {
        self.x_axis.place(step, LEFT, RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        self.y_axis.place(value, BOTTOM, TOP)
    }

    fn grid(&self) -> Markup {
        html! {
            @for &tick in &self.y_axis.ticks {
                @let y = self.y(tick);
                path class="grid" d={ "M" (LEFT) " " (at(y)) "H" (RIGHT) } {}
                text class="tick" x=(LEFT - 6.0) y=(at(y + 4.0)) text-anchor="end" { (self.y_axis.label(tick)) }
            }
            @for &tick in &self.x_axis.ticks {
                text class="tick" x=(at(self.x(tick))) y=(BOTTOM + 16.0) text-anchor="middle" {
                    (self.x_axis.label(tick))
                }
            }
            text class="axis" x=(RIGHT) y=(HEIGHT - 4.0) text-anchor="end" { "step →" }
        }
    }

    fn line(&self, class: &str, points: &[(f64, f64)]) -> Markup {
        let path: Vec<String> = points
            .iter()
            .map(|&(step, value)| format!("{} {}", at(self.x(step)), at(self.y(value))))
            .collect();
        html! { @if !path.is_empty() { path class=(class) d={ "M" (path.join("L")) } {} } }
    }
}

type Series = Vec<(f64, f64)>;

/// A key's values by step, thinned by averaging neighbours to what the figure can show.
fn series(run: &RunCurve, key: &str) -> Series {
    let mut points = Series::new();
    for (index, row) in run.rows.iter().enumerate() {
        let Some(value) = row
            .get(key)
            .and_then(Value::as_f64)
            .filter(|value| value.is_finite())
        else {
            continue;
        };
        let next = points.last().map_or(index as f64, |last| last.0 + 1.0);
        let step = row.get("step").and_then(Value::as_f64).unwrap_or(next);
        // A resumed run repeats the steps after its last checkpoint: the later rows count.
        while points.last().is_some_and(|last| last.0 >= step) {
            points.pop();
        }
        points.push((step, value));
    }
    let bucket = points.len().div_ceil(POINTS).max(1);
    points
        .chunks(bucket)
        .map(|chunk| {
            let count = chunk.len() as f64;
            let (steps, values) = chunk
                .iter()
                .fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
            (steps / count, values / count)
        })
        .collect()
}

/// A centred mean over a tenth of the line, one-sided at its ends.
fn smoothed(points: &[(f64, f64)]) -> Series {
    let reach = (points.len() / 20).max(2);
    (0..points.len())
        .map(|index| {
            // Truncated at the ends rather than narrowed: a narrow window would be all noise.
            let window =
                &points[index.saturating_sub(reach)..(index + reach + 1).min(points.len())];
            (
                points[index].0,
                window.iter().map(|point| point.1).sum::<f64>() / window.len() as f64,
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn long_runs_are_thinned_and_keep_their_mean() {
        let rows = (0..10_000)
            .map(|step| json!({"step": step, "loss": 1.0}))
            .collect();
        let run = RunCurve {
            rows,
            ..RunCurve::default()
        };
        let line = series(&run, "loss");
        assert!(line.len() <= POINTS);
        assert!(line.iter().all(|point| point.1 == 1.0));
        assert!(series(&run, "absent").is_empty());
    }

    #[test]
    fn non_numeric_values_are_skipped() {
        let rows = vec![
            json!({"step": 1, "loss": "NaN"}),
            json!({"step": 2, "loss": null}),
            json!(3),
            json!({"loss": 0.5}),
        ];
        assert_eq!(
            series(
                &RunCurve {
                    rows,
                    ..RunCurve::default()
                },
                "loss"
            ),
            vec![(3.0, 0.5)]
        );
    }

    #[test]
    fn a_resumed_run_overwrites_what_it_repeats() {
        let rows = [(1, 0.7), (2, 0.6), (3, 0.5), (2, 0.61), (3, 0.51)]
            .map(|(step, loss)| json!({"step": step, "loss": loss}));
        let run = RunCurve {
            rows: rows.into(),
            ..RunCurve::default()
        };
        assert_eq!(
            series(&run, "loss"),
            vec![(1.0, 0.7), (2.0, 0.61), (3.0, 0.51)]
        );
    }

    #[test]
    fn smoothing_keeps_a_straight_line_away_from_its_ends() {
        let line: Series = (0..100)
            .map(|k| (f64::from(k), f64::from(k) * 2.0))
            .collect();
        assert!(
            smoothed(&line)
                .iter()
                .zip(&line)
                .skip(10)
                .take(80)
                .all(|(a, b)| (a.1 - b.1).abs() < 1e-9)
        );
    }
}
