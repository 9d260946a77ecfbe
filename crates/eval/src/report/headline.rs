//! The finding in one sentence per system, written from the numbers and no surer than they are.

use super::format::{
    decimals_for, fixed, interval as bracket, percent, signed, signed_interval, signed_percent,
};
use super::reading::{self, Reading};
use crate::evaluation::{Better, Difference, MetricInfo, System};
use crate::html::escape;

/// Sentences under the first; more would be a table without columns.
const FURTHER: usize = 4;

/// The headline's HTML: a sentence about the last system, and smaller ones about the others.
///
/// The last, because systems are given in the order of the story: where it began, what it is
/// compared with, what it is about.
pub(super) fn headline(reading: &Reading<'_>) -> String {
    claims(reading) + &left_out(reading.systems())
}

/// What was left out of the numbers above.
fn left_out(systems: &[System]) -> String {
    let notes = systems.iter().filter_map(|system| {
        let note = system.left_out()?;
        Some(format!(
            "<p class=\"further\"><b>{}</b>: {}.</p>\n",
            name(&system.name),
            escape(&note)
        ))
    });
    notes.collect()
}

fn claims(reading: &Reading<'_>) -> String {
    let Some(baseline) = reading
        .baseline
        .and_then(|name| reading.systems().iter().find(|s| s.name == name))
    else {
        return alone(reading);
    };
    let mut claims: Vec<String> = reading
        .systems()
        .iter()
        .rev()
        .filter(|system| system.name != baseline.name)
        .filter_map(|system| claim(reading, system, baseline))
        .collect();
    if claims.is_empty() {
        return alone(reading);
    }
    let first = claims.remove(0);
    let mut html = format!("<p class=\"headline\">{first}</p>\n");
    for other in claims.iter().take(FURTHER) {
        html += &format!("<p class=\"further\">{other}</p>\n");
    }
    if claims.len() > FURTHER {
        html += "<p class=\"further\">The other systems are in the table.</p>\n";
    }
    html
}

/// With nothing to compare with, the numbers themselves.
fn alone(reading: &Reading<'_>) -> String {
    let known = [reading.semantic(), reading.style(), reading.quality()];
    let sentences: Vec<String> = reading
        .systems()
        .iter()
        .filter_map(|system| {
            let parts: Vec<String> = known
                .iter()
                .flatten()
                .filter_map(|metric| {
                    let value = reading::interval(system, &metric.name)?;
                    let decimals = decimals_for(value.high - value.low);
                    Some(format!(
                        "{} {} {}",
                        escape(&metric.label.to_lowercase()),
                        fixed(value.mean, decimals),
                        light(&bracket(value.low, value.high, decimals))
                    ))
                })
                .collect();
            (!parts.is_empty())
                .then(|| format!("<b>{}</b>: {}.", name(&system.name), parts.join(", ")))
        })
        .collect();
    if sentences.is_empty() {
        return "<p class=\"headline\">This evaluation holds no measured system.</p>\n".to_owned();
    }
    format!("<p class=\"headline\">{}</p>\n", sentences.join("<br>"))
}

fn claim(reading: &Reading<'_>, system: &System, baseline: &System) -> Option<String> {
    let found = |metric: Option<&MetricInfo>| {
        metric.and_then(|metric| reading.difference(&system.name, &metric.name))
    };
    let semantic = found(reading.semantic()).map(|d| diversity(d, baseline, "meaning"));
    let style = found(reading.style()).map(|d| diversity(d, baseline, "style"));
    let quality = found(reading.quality())
        .zip(reading.quality())
        .map(|(difference, metric)| quality(difference, metric));
    let diverse = match (semantic, style) {
        (Some(semantic), Some(style)) => Some(both(semantic, style)),
        (Some(one), None) | (None, Some(one)) => Some(one.sentence()),
        (None, None) => None,
    };
    let (system, baseline) = (possessive(&system.name), possessive(&baseline.name));
    match (diverse, quality) {
        (Some(diverse), Some(quality)) => Some(format!(
            "{system} responses are {diverse} than {baseline}; {quality}."
        )),
        (Some(diverse), None) => Some(format!(
            "{system} responses are {diverse} than {baseline}. Quality was not measured."
        )),
        (None, Some(quality)) => Some(format!("{system} responses against {baseline}: {quality}.")),
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
    fn sentence(&self) -> String {
        match self.direction {
            Some(direction) => {
                format!(
                    "<b>{} {direction} diverse in {}</b> {}",
                    self.size,
                    self.kind,
                    light(&self.between)
                )
            }
            None => format!(
                "not measurably more or less diverse in {} {}",
                self.kind,
                light(&format!("({} {})", self.size, self.between))
            ),
        }
    }
}

fn both(semantic: Diversity, style: Diversity) -> String {
    match (semantic.direction, style.direction) {
        (None, None) => format!(
            "not measurably more or less diverse in meaning {} or in style {}",
            light(&format!("({} {})", semantic.size, semantic.between)),
            light(&format!("({} {})", style.size, style.between))
        ),
        (Some(one), Some(other)) if one == other => format!(
            "<b>{} {one} diverse in meaning</b> {} <b>and {} {one} diverse in style</b> {}",
            semantic.size,
            light(&semantic.between),
            style.size,
            light(&style.between)
        ),
        (Some(_), Some(_)) => format!("{} but {}", semantic.sentence(), style.sentence()),
        _ => format!("{} and {}", semantic.sentence(), style.sentence()),
    }
}

/// The difference as a share of the baseline's mean, or as it is when that mean is no measure.
fn diversity(difference: &Difference, baseline: &System, kind: &'static str) -> Diversity {
    let direction = certain(difference).map(|positive| if positive { "more" } else { "less" });
    let scale =
        reading::interval(baseline, &difference.metric).map_or(0.0, |interval| interval.mean);
    if scale > 1e-6 {
        let share = |value: f64| value / scale;
        // A certain difference must not show an end that is rounded to nothing.
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
        // A system that is less diverse is said to be "X % less", so its interval is turned too.
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

fn quality(difference: &Difference, metric: &MetricInfo) -> String {
    let decimals = decimals_for(difference.high - difference.low);
    let between = light(&signed_interval(difference.low, difference.high, decimals));
    let size = signed(difference.mean, decimals);
    match certain(difference) {
        None => format!("no difference in quality is established, {size} {between}"),
        Some(positive) => {
            let better = match metric.better {
                Better::Higher => positive,
                Better::Lower => !positive,
                Better::Neither => return format!("quality differs by {size} {between}"),
            };
            let word = if better { "better" } else { "worse" };
            // "Worse by 0.2" has already said the sign.
            let (low, high) = if positive {
                (difference.low, difference.high)
            } else {
                (-difference.high, -difference.low)
            };
            let between = light(&bracket(low, high, decimals));
            format!(
                "<b>quality is {word}</b> by {} {between}",
                fixed(difference.mean.abs(), decimals)
            )
        }
    }
}

/// The difference's sign when its interval leaves zero out.
pub(super) fn certain(difference: &Difference) -> Option<bool> {
    if difference.low > 0.0 {
        Some(true)
    } else if difference.high < 0.0 {
        Some(false)
    } else {
        None
    }
}

fn name(name: &str) -> String {
    format!("<bdi>{}</bdi>", escape(name))
}

fn possessive(system: &str) -> String {
    format!("{}’s", name(system))
}

fn light(text: &str) -> String {
    format!("<span class=\"interval\">{text}</span>")
}
