//! A scatter plot of two metrics: one point per system, its intervals drawn as a cross.

use maud::{Markup, html};

use super::format::{coordinate as at, fixed, interval};
use super::labels::{self, Anchor, Area, LINE, PlacedLabel};
use super::scale::Axis;
use crate::evaluation::Interval;

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 380.0;
const FRAME: Area = Area {
    left: 58.0,
    top: 14.0,
    right: WIDTH - 14.0,
    bottom: HEIGHT - 48.0,
};
const LABEL_SIZE: f64 = 13.0;

/// A system on the plot.
pub(super) struct Point<'a> {
    pub(super) name: &'a str,
    /// The index of its colour among the page's.
    pub(super) colour: usize,
    pub(super) x: Interval,
    pub(super) y: Interval,
    /// Whether the others are compared with this one.
    pub(super) is_baseline: bool,
}

/// The best that a model achieves over its sampling settings: a line through them.
pub(super) struct Line {
    pub(super) colour: usize,
    /// Diversity and quality of each, in order.
    pub(super) points: Vec<(f64, f64)>,
}

/// The plot as an SVG figure, or a sentence where no system has both numbers.
pub(super) fn scatter(
    points: &[Point<'_>],
    lines: &[Line],
    title: &str,
    x_label: &str,
    y_label: &str,
) -> Markup {
    let points: Vec<&Point<'_>> = points
        .iter()
        .filter(|point| is_drawable(&point.x) && is_drawable(&point.y))
        .collect();
    let ends = |pick: fn(&Point<'_>) -> Interval| {
        points
            .iter()
            .copied()
            .map(pick)
            .flat_map(|i| [i.low, i.mean, i.high])
            .collect::<Vec<_>>()
    };
    let (Some(x_axis), Some(y_axis)) = (
        Axis::covering(ends(|p| p.x), 5),
        Axis::covering(ends(|p| p.y), 5),
    ) else {
        return html! {
            figure.plane { figcaption { (title) } p.absent { "No system has both numbers." } } "\n"
        };
    };
    let x = |value: f64| x_axis.place(value, FRAME.left, FRAME.right);
    let y = |value: f64| y_axis.place(value, FRAME.bottom, FRAME.top);
    let path = |line: &Line| {
        let points = line.points.iter();
        let places: Vec<String> = points
            .map(|&(across, up)| format!("{} {}", at(x(across)), at(y(up))))
            .collect();
        format!("M{}", places.join("L"))
    };
    // The dashed lines that cross at the baseline.
    let sights: Vec<(f64, f64)> = points
        .iter()
        .filter(|point| point.is_baseline)
        .map(|point| (x(point.x.mean), y(point.y.mean)))
        .collect();
    let sight_areas: Vec<Area> = sights
        .iter()
        .flat_map(|&(cx, cy)| {
            let across = Area {
                top: cy - 1.0,
                bottom: cy + 1.0,
                ..FRAME
            };
            let upright = Area {
                left: cx - 1.0,
                right: cx + 1.0,
                ..FRAME
            };
            [across, upright]
        })
        .collect();
    let anchors: Vec<Anchor> = points
        .iter()
        .map(|point| {
            let (cx, cy) = (x(point.x.mean), y(point.y.mean));
            Anchor {
                x: cx,
                y: cy,
                cross: [
                    Area {
                        left: x(point.x.low),
                        top: cy - 1.5,
                        right: x(point.x.high),
                        bottom: cy + 1.5,
                    },
                    Area {
                        left: cx - 1.5,
                        top: y(point.y.high),
                        right: cx + 1.5,
                        bottom: y(point.y.low),
                    },
                ],
                width: labels::text_width(&shown_name(point.name), LABEL_SIZE),
            }
        })
        .collect();
    let placed = labels::place(&anchors, &sight_areas, FRAME);
    let spoken: Vec<String> = points
        .iter()
        .map(|point| {
            format!(
                "{}: {x_label} {} {}, {y_label} {} {}",
                point.name,
                fixed(point.x.mean, 3),
                interval(point.x.low, point.x.high, 3),
                fixed(point.y.mean, 3),
                interval(point.y.low, point.y.high, 3)
            )
        })
        .collect();
    html! {
        figure.plane {
            figcaption { (title) }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(spoken.join(". ")) {
                (grid(&x_axis, &y_axis, x_label, y_label))
                @for line in lines.iter().filter(|line| line.points.len() > 1) {
                    path class={ "best s" (line.colour) } d=(path(line)) {}
                }
                @for &(cx, cy) in &sights {
                    path class="sight" d={
                        "M" (at(FRAME.left)) " " (at(cy)) "H" (at(FRAME.right))
                        "M" (at(cx)) " " (at(FRAME.top)) "V" (at(FRAME.bottom))
                    } {}
                }
                @for (point, (anchor, placed)) in points.iter().zip(anchors.iter().zip(&placed)) {
                    (mark(point, anchor, placed))
                }
            }
        } "\n"
    }
}

fn grid(x_axis: &Axis, y_axis: &Axis, x_label: &str, y_label: &str) -> Markup {
    html! {
        @for &tick in &x_axis.ticks {
            @let x = at(x_axis.place(tick, FRAME.left, FRAME.right));
            path class="grid" d={ "M" (x) " " (at(FRAME.top)) "V" (at(FRAME.bottom)) } {}
            text class="tick" x=(x) y=(at(FRAME.bottom + 17.0)) text-anchor="middle" { (x_axis.label(tick)) }
        }
        @for &tick in &y_axis.ticks {
            @let y = y_axis.place(tick, FRAME.bottom, FRAME.top);
            path class="grid" d={ "M" (at(FRAME.left)) " " (at(y)) "H" (at(FRAME.right)) } {}
            text class="tick" x=(at(FRAME.left - 7.0)) y=(at(y + 4.0)) text-anchor="end" { (y_axis.label(tick)) }
        }
        text class="axis" x=(at(FRAME.right)) y=(at(HEIGHT - 8.0)) text-anchor="end" { (x_label) " →" }
        text class="axis" transform={ "translate(13 " (at(FRAME.top)) ") rotate(-90)" } text-anchor="end" {
            (y_label) " →"
        }
    }
}

fn mark(point: &Point<'_>, anchor: &Anchor, placed: &PlacedLabel) -> Markup {
    let [across, upright] = &anchor.cross;
    let (cx, cy, area) = (at(anchor.x), at(anchor.y), placed.area);
    html! {
        g class={ "s" (point.colour) } {
            path class="cross" d={
                "M" (at(across.left)) " " (cy) "H" (at(across.right))
                "M" (cx) " " (at(upright.top)) "V" (at(upright.bottom))
            } {}
            circle cx=(cx) cy=(cy) r="5.5" {}
            @if placed.far {
                @let end = anchor.x.clamp(area.left, area.right);
                path class="leader" d={ "M" (cx) " " (cy) "L" (at(end)) " " (at(nearest_edge(anchor.y, area))) } {}
            }
            text class="name" x=(at(placed.x())) y=(at(area.bottom - LINE / 4.0)) text-anchor=(placed.text_anchor) {
                (shown_name(point.name))
            }
        }
    }
}

/// The height at which a leader line from `y` meets a label.
fn nearest_edge(y: f64, label: Area) -> f64 {
    if label.top > y {
        label.top
    } else if label.bottom < y {
        label.bottom
    } else {
        (label.top + label.bottom) / 2.0
    }
}

fn is_drawable(interval: &Interval) -> bool {
    [interval.low, interval.mean, interval.high]
        .iter()
        .all(|value| value.is_finite())
}

/// A name short enough for the figure; the table shows all of it.
fn shown_name(name: &str) -> String {
    let (head, cut) = super::format::clipped(name, 28);
    if cut {
        format!("{head}…")
    } else {
        head.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(name: &str, mean: f64) -> Point<'_> {
        let around = |mean: f64| Interval {
            mean,
            low: mean - 0.1,
            prompts: 9,
            high: mean + 0.1,
        };
        Point {
            name,
            colour: 0,
            x: around(mean),
            y: around(mean),
            is_baseline: false,
        }
    }

    #[test]
    fn draws_a_cross_and_a_name_per_system() {
        let svg = scatter(
            &[point("dpo", 0.2), point("<ddpo>", 0.4)],
            &[],
            "t",
            "x",
            "y",
        )
        .into_string();
        assert_eq!(svg.matches("class=\"cross\"").count(), 2);
        assert!(svg.contains("&lt;ddpo&gt;") && !svg.contains("<ddpo>"));
    }

    #[test]
    fn an_empty_plot_says_so_and_nan_is_never_drawn() {
        let empty = scatter(&[], &[], "t", "x", "y").into_string();
        assert!(empty.contains("No system"));
        let hole = Interval {
            mean: f64::NAN,
            low: f64::NAN,
            high: f64::NAN,
            prompts: 0,
        };
        let svg = scatter(
            &[
                Point {
                    x: hole,
                    ..point("a", 0.1)
                },
                point("b", 0.2),
            ],
            &[],
            "t",
            "x",
            "y",
        )
        .into_string();
        assert!(!svg.contains("NaN"));
    }

    #[test]
    fn the_best_settings_of_a_model_are_joined() {
        let line = |points: &[(f64, f64)]| Line {
            colour: 3,
            points: points.to_vec(),
        };
        let systems = [point("a@1", 0.2), point("a@2", 0.4)];
        let lines = [line(&[(0.2, 0.2), (0.4, 0.4)]), line(&[(0.3, 0.3)])];
        let svg = scatter(&systems, &lines, "t", "x", "y").into_string();
        assert_eq!(svg.matches("class=\"best s3\"").count(), 1);
    }
}
