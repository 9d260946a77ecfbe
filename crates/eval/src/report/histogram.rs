//! The distribution of distances between a prompt's responses: a stepped outline per system over
//! its interval.

use maud::{Markup, html};

use super::format::{coordinate as at, fixed, percent};
use super::reading::Reading;
use super::scale::Axis;
use crate::evaluation::{Histogram, Interval};

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = WIDTH - 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = HEIGHT - 46.0;

/// One figure per kind of embedder; `None` where the evaluation holds no histogram.
pub(super) fn histograms(reading: &Reading<'_>) -> Option<Markup> {
    let figures: Vec<Markup> = ["semantic", "style"]
        .iter()
        .filter_map(|kind| figure(reading, kind))
        .collect();
    if figures.is_empty() {
        return None;
    }
    Some(html! {
        ul.legend {
            @for system in reading.systems() {
                li class={ "s" (reading.colour(&system.name)) } {
                    span.dot {} bdi { (system.name) }
                }
            }
        } "\n"
        div.planes { @for figure in &figures { (figure) } } "\n"
        p.note {
            "The share of a prompt’s pairs of responses at each distance, averaged over prompts; bands are \
             95\u{202f}% bootstrap intervals. Exact repeats are in the first bin. One peak: all responses are about equally far \
             apart. Two peaks: they form clusters."
        } "\n"
    })
}

/// A system's histogram with its name and colour.
struct Outline<'a> {
    name: &'a str,
    colour: usize,
    histogram: &'a Histogram,
}

fn figure(reading: &Reading<'_>, kind: &str) -> Option<Markup> {
    let outlines: Vec<Outline<'_>> = reading
        .systems()
        .iter()
        .filter_map(|system| {
            Some(Outline {
                name: &system.name,
                colour: reading.colour(&system.name),
                histogram: system.histograms.get(kind).filter(|it| is_drawable(it))?,
            })
        })
        .collect();
    let end = |outline: &Outline<'_>| outline.histogram.width * outline.histogram.bins.len() as f64;
    let last = outlines.iter().map(end).reduce(f64::max)?;
    let highest = outlines
        .iter()
        .flat_map(|outline| &outline.histogram.bins)
        .map(|bin| bin.high.max(bin.mean))
        .fold(0.0, f64::max);
    let (x_axis, y_axis) = (
        Axis::between(0.0, last, 6),
        Axis::between(0.0, highest * 1.04, 4),
    );
    let path = |outline: &Outline<'_>, pick: fn(&Interval) -> f64| {
        steps(outline.histogram, &x_axis, &y_axis, pick)
    };
    let band = |outline: &Outline<'_>| {
        let (low, high) = (path(outline, |bin| bin.low), path(outline, |bin| bin.high));
        format!("{high}Z{low}Z")
    };
    let spoken: Vec<String> = outlines.iter().filter_map(summary).collect();
    Some(html! {
        figure {
            figcaption { @if kind == "style" { "Style" } @else { "Semantic" } " distances" }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(spoken.join(". ")) {
                (grid(&x_axis, &y_axis, kind))
                @for outline in &outlines {
                    g class={ "s" (outline.colour) } {
                        path class="band" fill-rule="evenodd" d=(band(outline)) {}
                        path class="line" d=(path(outline, |bin| bin.mean)) {}
                    }
                }
            }
        } "\n"
    })
}

/// Evaluations are files from anywhere: a histogram without width, or with values that are not
/// shares, is not drawn.
fn is_drawable(histogram: &Histogram) -> bool {
    let is_share = |value: f64| (0.0..=1.0).contains(&value);
    histogram.width > 0.0
        && histogram.width <= 2.0
        && !histogram.bins.is_empty()
        && histogram
            .bins
            .iter()
            .all(|bin| is_share(bin.low) && is_share(bin.mean) && is_share(bin.high))
}

/// The outline from the ground at distance 0 to the ground behind the last bin.
fn steps(
    histogram: &Histogram,
    x_axis: &Axis,
    y_axis: &Axis,
    pick: fn(&Interval) -> f64,
) -> String {
    let x = |bin: usize| at(x_axis.place(bin as f64 * histogram.width, LEFT, RIGHT));
    let mut path = format!("M{} {}", x(0), at(BOTTOM));
    for (index, bin) in histogram.bins.iter().enumerate() {
        let y = at(y_axis.place(pick(bin), BOTTOM, TOP));
        path += &format!("V{y}H{}", x(index + 1));
    }
    path + &format!("V{}", at(BOTTOM))
}

fn grid(x_axis: &Axis, y_axis: &Axis, kind: &str) -> Markup {
    html! {
        @for &tick in &x_axis.ticks {
            text x=(at(x_axis.place(tick, LEFT, RIGHT))) y=(at(BOTTOM + 17.0)) text-anchor="middle" {
                (x_axis.label(tick))
            }
        }
        @for &tick in &y_axis.ticks {
            @let y = y_axis.place(tick, BOTTOM, TOP);
            path class="grid" d={ "M" (at(LEFT)) " " (at(y)) "H" (at(RIGHT)) } {}
            text x=(at(LEFT - 7.0)) y=(at(y + 4.0)) text-anchor="end" { (percent(tick, 0)) }
        }
        text x=(at((LEFT + RIGHT) / 2.0)) y=(at(HEIGHT - 8.0)) text-anchor="middle" {
            (kind) " distance of two responses"
        }
    }
}

/// Where most pairs lie, for screen readers.
fn summary(outline: &Outline<'_>) -> Option<String> {
    let bins = &outline.histogram.bins;
    let (at, most) = bins
        .iter()
        .enumerate()
        .max_by(|(_, a), (_, b)| a.mean.total_cmp(&b.mean))?;
    let width = outline.histogram.width;
    Some(format!(
        "{}: most pairs, {}, between {} and {}",
        outline.name,
        percent(most.mean, 0),
        fixed(at as f64 * width, 2),
        fixed((at + 1) as f64 * width, 2)
    ))
}
