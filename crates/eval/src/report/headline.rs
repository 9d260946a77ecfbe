//! The finding in one sentence per system, derived from the numbers and no more certain than they
//! are.

use maud::{Markup, html};

use super::format::{
    decimals_for, fixed, interval as bracket, percent, signed, signed_interval, signed_percent,
};
use super::reading::{self, Reading, certain};
use crate::evaluation::{Better, Difference, MetricInfo, System};

/// Sentences below the first; more would be a table without columns.
const FURTHER: usize = 4;

/// A large sentence about the last system, and smaller ones about the others.
///
/// The last, because systems are given in the order of the story: the starting point, what is
/// compared against, and the system of interest.
pub(super) fn headline(reading: &Reading<'_>) -> Markup {
    html! {
        (claims(reading))
        @for system in reading.systems() {
            @if let Some(note) = system.left_out() {
                p.further { b { (name(&system.name)) } ": " (note) "." } "\n"
            }
        }
    }
}

fn claims(reading: &Reading<'_>) -> Markup {
    let Some(baseline) = reading
        .baseline
        .and_then(|name| reading.systems().iter().find(|s| s.name == name))
    else {
        return alone(reading);
    };
    let claims: Vec<Markup> = reading
        .systems()
        .iter()
        .rev()
        .filter(|system| system.name != baseline.name)
        .filter_map(|system| claim(reading, system, baseline))
        .collect();
    let Some((first, others)) = claims.split_first() else {
        return alone(reading);
    };
    html! {
        p.headline { (first) } "\n"
        @for other in others.iter().take(FURTHER) { p.further { (other) } "\n" }
        @if others.len() > FURTHER {
            p.further { "The other systems are in the table." } "\n"
        }
    }
}

/// With nothing to compare with, the numbers themselves.
fn alone(reading: &Reading<'_>) -> Markup {
    let known = [reading.semantic(), reading.style(), reading.quality()];
    let sentences: Vec<Markup> = reading
        .systems()
        .iter()
        .filter_map(|system| {
            let values: Vec<Markup> = known
                .iter()
                .flatten()
                .filter_map(|metric| {
                    let value = reading::interval(system, &metric.name)?;
                    let decimals = decimals_for(value.high - value.low);
                    Some(html! {
                        (metric.label.to_lowercase()) " " (fixed(value.mean, decimals)) " "
                        (light(&bracket(value.low, value.high, decimals)))
                    })
                })
                .collect();
            (!values.is_empty()).then(|| {
                html! { b { (name(&system.name)) } ": " (joined(&values, &html! { ", " })) "." }
            })
        })
        .collect();
    html! {
        p.headline {
            @if sentences.is_empty() {
                "This evaluation contains no measured system."
            } @else {
                (joined(&sentences, &html! { br; }))
            }
        } "\n"
    }
}

/// The items with `separator` between them.
fn joined(items: &[Markup], separator: &Markup) -> Markup {
    html! {
        @for (index, item) in items.iter().enumerate() {
            @if index > 0 { (separator) }
            (item)
        }
    }
}

fn claim(reading: &Reading<'_>, system: &System, baseline: &System) -> Option<Markup> {
    let found = |metric: Option<&MetricInfo>| {
        metric.and_then(|metric| reading.difference(&system.name, &metric.name))
    };
    let semantic = found(reading.semantic()).map(|d| diversity(d, baseline, "meaning"));
    let style = found(reading.style()).map(|d| diversity(d, baseline, "style"));
    let quality = found(reading.quality())
        .zip(reading.quality())
        .map(|(difference, metric)| quality(difference, metric));
    let diverse = match (semantic, style) {
        (Some(semantic), Some(style)) => Some(both(&semantic, &style)),
        (Some(one), None) | (None, Some(one)) => Some(one.sentence()),
        (None, None) => None,
    };
    let (system, baseline) = (possessive(&system.name), possessive(&baseline.name));
    match (diverse, quality) {
        (Some(diverse), Some(quality)) => Some(html! {
            (system) " responses are " (diverse) " than " (baseline) "; " (quality) "."
        }),
        (Some(diverse), None) => Some(html! {
            (system) " responses are " (diverse) " than " (baseline) ". Quality was not measured."
        }),
        (None, Some(quality)) => Some(html! {
            (system) " responses against " (baseline) ": " (quality) "."
        }),
        (None, None) => None,
    }
}

/// A difference in one kind of diversity, as words and numbers.
struct Diversity {
    kind: &'static str,
    /// `None` when the interval holds zero.
    direction: Option<&'static str>,
    size: String,
    between: String,
}

impl Diversity {
    fn sentence(&self) -> Markup {
        match self.direction {
            Some(direction) => html! {
                b { (self.size) " " (direction) " diverse in " (self.kind) } " " (light(&self.between))
            },
            None => html! {
                "not measurably more or less diverse in " (self.kind) " " (self.unsure())
            },
        }
    }

    /// The numbers of a difference that is not established.
    fn unsure(&self) -> Markup {
        light(&format!("({} {})", self.size, self.between))
    }
}

fn both(semantic: &Diversity, style: &Diversity) -> Markup {
    match (semantic.direction, style.direction) {
        (None, None) => html! {
            "not measurably more or less diverse in meaning " (semantic.unsure())
            " or in style " (style.unsure())
        },
        (Some(one), Some(other)) if one == other => html! {
            b { (semantic.size) " " (one) " diverse in meaning" } " " (light(&semantic.between)) " "
            b { "and " (style.size) " " (one) " diverse in style" } " " (light(&style.between))
        },
        (Some(_), Some(_)) => html! { (semantic.sentence()) " but " (style.sentence()) },
        _ => html! { (semantic.sentence()) " and " (style.sentence()) },
    }
}

/// The difference as a share of the baseline's mean, or as it is where that mean is too small to
/// divide by.
fn diversity(difference: &Difference, baseline: &System, kind: &'static str) -> Diversity {
    let direction = certain(difference).map(|positive| if positive { "more" } else { "less" });
    let scale =
        reading::interval(baseline, &difference.metric).map_or(0.0, |interval| interval.mean);
    if scale > 1e-6 {
        let share = |value: f64| value / scale;
        // The interval of an established difference must not show an end rounded to zero.
        let nearest = share(difference.low.abs().min(difference.high.abs()));
        let decimals = usize::from(
            share(difference.high - difference.low) < 0.02
                || (direction.is_some() && nearest < 0.005),
        );
        let size = if direction.is_some() {
            percent(share(difference.mean).abs(), decimals)
        } else {
            signed_percent(share(difference.mean), decimals)
        };
        // A less diverse system is "X % less diverse", so the signs of its interval flip too.
        let (low, high) = if direction == Some("less") {
            (-difference.high, -difference.low)
        } else {
            (difference.low, difference.high)
        };
        let end = |value: f64| {
            if direction.is_some() {
                percent(share(value), decimals)
            } else {
                signed_percent(share(value), decimals)
            }
        };
        Diversity {
            kind,
            direction,
            size,
            between: format!("[{}, {}]", end(low), end(high)),
        }
    } else {
        let decimals = decimals_for(difference.high - difference.low);
        let between = signed_interval(difference.low, difference.high, decimals);
        Diversity {
            kind,
            direction,
            size: signed(difference.mean, decimals),
            between,
        }
    }
}

fn quality(difference: &Difference, metric: &MetricInfo) -> Markup {
    let decimals = decimals_for(difference.high - difference.low);
    let between = light(&signed_interval(difference.low, difference.high, decimals));
    let size = signed(difference.mean, decimals);
    let Some(positive) = certain(difference) else {
        return html! { "no difference in quality is established, " (size) " " (between) };
    };
    let better = match metric.better {
        Better::Higher => positive,
        Better::Lower => !positive,
        Better::Neither => return html! { "quality differs by " (size) " " (between) },
    };
    // "Worse by 0.2" already states the sign.
    let (low, high) = if positive {
        (difference.low, difference.high)
    } else {
        (-difference.high, -difference.low)
    };
    html! {
        b { "quality is " @if better { "better" } @else { "worse" } }
        " by " (fixed(difference.mean.abs(), decimals)) " " (light(&bracket(low, high, decimals)))
    }
}

fn name(name: &str) -> Markup {
    html! { bdi { (name) } }
}

fn possessive(system: &str) -> Markup {
    html! { (name(system)) "’s" }
}

fn light(text: &str) -> Markup {
    html! { span.interval { (text) } }
}
