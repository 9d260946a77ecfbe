//! The quality–diversity plane: a point per system with its intervals as a cross.

use super::format::{coordinate as at, fixed, interval};
use super::labels::{self, Anchor, Area, LINE};
use super::scale::Axis;
use crate::evaluation::Interval;
use crate::html::escape;

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 380.0;
const FRAME: Area = Area {
    left: 58.0,
    top: 14.0,
    right: WIDTH - 14.0,
    bottom: HEIGHT - 48.0,
};
const LABEL_SIZE: f64 = 13.0;

/// A system on the plane.
pub(super) struct Point<'a> {
    pub(super) name: &'a str,
    /// Which of the page's colours is the system's.
    pub(super) colour: usize,
    pub(super) x: Interval,
    pub(super) y: Interval,
    /// Whether the others are read against this one.
    pub(super) is_baseline: bool,
}

/// The best that a model does over its settings: a line through them.
pub(super) struct Line {
    pub(super) colour: usize,
    /// Diversity and quality of each, in order.
    pub(super) points: Vec<(f64, f64)>,
}

/// One plane as an SVG figure, or a sentence when no system has both numbers.
pub(super) fn plane(
    points: &[Point<'_>],
    lines: &[Line],
    title: &str,
    x_label: &str,
    y_label: &str,
) -> String {
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
        return format!(
            "<figure class=\"plane\"><figcaption>{}</figcaption><p class=\"absent\">No system has both numbers.</p></figure>\n",
            escape(title)
        );
    };
    let x = |value: f64| x_axis.place(value, FRAME.left, FRAME.right);
    let y = |value: f64| y_axis.place(value, FRAME.bottom, FRAME.top);

    let mut svg = String::new();
    grid(&mut svg, &x_axis, &y_axis, x_label, y_label);
    for line in lines.iter().filter(|line| line.points.len() > 1) {
        let places: Vec<String> = line
            .points
            .iter()
            .map(|&(across, up)| format!("{} {}", at(x(across)), at(y(up))))
            .collect();
        svg += &format!(
            "<path class=\"best s{}\" d=\"M{}\"/>",
            line.colour,
            places.join("L")
        );
    }
    let mut sights = Vec::new();
    for point in points.iter().filter(|point| point.is_baseline) {
        let (cx, cy) = (at(x(point.x.mean)), at(y(point.y.mean)));
        svg += &format!(
            "<path class=\"sight\" d=\"M{} {cy}H{}M{cx} {}V{}\"/>",
            at(FRAME.left),
            at(FRAME.right),
            at(FRAME.top),
            at(FRAME.bottom)
        );
        let (cx, cy) = (x(point.x.mean), y(point.y.mean));
        sights.push(Area {
            top: cy - 1.0,
            bottom: cy + 1.0,
            ..FRAME
        });
        sights.push(Area {
            left: cx - 1.0,
            right: cx + 1.0,
            ..FRAME
        });
    }
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
    for (point, (anchor, placed)) in points
        .iter()
        .zip(anchors.iter().zip(labels::place(&anchors, &sights, FRAME)))
    {
        mark(&mut svg, point, anchor, &placed);
    }
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
    format!(
        "<figure class=\"plane\"><figcaption>{}</figcaption>\
         <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">{svg}</svg></figure>\n",
        escape(title),
        escape(&spoken.join(". "))
    )
}

fn grid(svg: &mut String, x_axis: &Axis, y_axis: &Axis, x_label: &str, y_label: &str) {
    for &tick in &x_axis.ticks {
        let x = at(x_axis.place(tick, FRAME.left, FRAME.right));
        *svg += &format!(
            "<path class=\"grid\" d=\"M{x} {}V{}\"/><text class=\"tick\" x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            at(FRAME.top),
            at(FRAME.bottom),
            at(FRAME.bottom + 17.0),
            x_axis.label(tick)
        );
    }
    for &tick in &y_axis.ticks {
        let y = y_axis.place(tick, FRAME.bottom, FRAME.top);
        *svg += &format!(
            "<path class=\"grid\" d=\"M{} {y}H{}\"/><text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            at(FRAME.left),
            at(FRAME.right),
            at(FRAME.left - 7.0),
            at(y + 4.0),
            y_axis.label(tick),
            y = at(y)
        );
    }
    *svg += &format!(
        "<text class=\"axis\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{} →</text>\
         <text class=\"axis\" transform=\"translate(13 {}) rotate(-90)\" text-anchor=\"end\">{} →</text>",
        at(FRAME.right),
        at(HEIGHT - 8.0),
        escape(x_label),
        at(FRAME.top),
        escape(y_label)
    );
}

fn mark(svg: &mut String, point: &Point<'_>, anchor: &Anchor, placed: &labels::Placed) {
    let [across, upright] = &anchor.cross;
    let (cx, cy, area) = (at(anchor.x), at(anchor.y), placed.area);
    *svg += &format!("<g class=\"s{}\">", point.colour);
    *svg += &format!(
        "<path class=\"cross\" d=\"M{} {cy}H{}M{cx} {}V{}\"/><circle cx=\"{cx}\" cy=\"{cy}\" r=\"5.5\"/>",
        at(across.left),
        at(across.right),
        at(upright.top),
        at(upright.bottom)
    );
    if placed.far {
        let end = anchor.x.clamp(area.left, area.right);
        let edge = if area.top > anchor.y {
            area.top
        } else if area.bottom < anchor.y {
            area.bottom
        } else {
            (area.top + area.bottom) / 2.0
        };
        *svg += &format!(
            "<path class=\"leader\" d=\"M{cx} {cy}L{} {}\"/>",
            at(end),
            at(edge)
        );
    }
    *svg += &format!(
        "<text class=\"name\" x=\"{}\" y=\"{}\" text-anchor=\"{}\">{}</text></g>",
        at(placed.x()),
        at(area.bottom - LINE / 4.0),
        placed.text_anchor,
        escape(&shown_name(point.name))
    );
}

fn is_drawable(interval: &Interval) -> bool {
    [interval.low, interval.mean, interval.high]
        .iter()
        .all(|value| value.is_finite())
}

/// A name short enough for the drawing; the table holds the whole.
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
        let svg = plane(
            &[point("dpo", 0.2), point("<ddpo>", 0.4)],
            &[],
            "t",
            "x",
            "y",
        );
        assert_eq!(svg.matches("class=\"cross\"").count(), 2);
        assert!(svg.contains("&lt;ddpo&gt;") && !svg.contains("<ddpo>"));
    }

    #[test]
    fn no_points_is_said_and_nan_never_drawn() {
        assert!(plane(&[], &[], "t", "x", "y").contains("No system"));
        let hole = Interval {
            mean: f64::NAN,
            low: f64::NAN,
            high: f64::NAN,
            prompts: 0,
        };
        let svg = plane(
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
        );
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
        let svg = plane(&systems, &lines, "t", "x", "y");
        assert_eq!(svg.matches("class=\"best s3\"").count(), 1);
    }
}
