//! How diverse systems are at equal quality, whatever their sampling settings.
//!
//! A higher temperature makes any model more diverse and, eventually, worse. A real gain in diversity
//! is more than that: each model is measured at several settings (temperatures, min-p), and models
//! are compared at equal quality, along each one's Pareto frontier. Settings of one model are systems
//! named `MODEL@SETTING`.

use std::collections::HashMap;

use crate::bootstrap::Bootstrap;
use crate::evaluation::{EqualQuality, Frontier, FrontierPoint, Interval, Prompt};

/// Separates the name of a model from that of a setting.
const SEPARATOR: char = '@';
/// The diversities that are compared.
pub(crate) const DIVERSITIES: [&str; 2] = ["semantic_diversity", "style_diversity"];
const QUALITY: &str = "quality";
/// The number of quality levels, from the lowest to the highest that both models reach.
const LEVELS: usize = 5;

/// The model of a system: the part of its name before the last `@`.
#[must_use]
pub fn family(system: &str) -> &str {
    system
        .rsplit_once(SEPARATOR)
        .map_or(system, |(family, _)| family)
}

/// The quality and diversity of a setting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    pub(crate) quality: f64,
    pub(crate) diversity: f64,
}

/// The Pareto frontier: the points that no other point beats in both quality and diversity, in order
/// of increasing quality and thus of decreasing diversity.
pub(crate) fn frontier(points: impl IntoIterator<Item = Point>) -> Vec<Point> {
    let mut sorted: Vec<Point> = points.into_iter().collect();
    sorted.sort_by(|a, b| {
        let quality = b.quality.total_cmp(&a.quality);
        quality.then(b.diversity.total_cmp(&a.diversity))
    });
    let mut kept: Vec<Point> = Vec::new();
    for point in sorted {
        if kept
            .last()
            .is_none_or(|last| point.diversity > last.diversity)
        {
            kept.push(point);
        }
    }
    kept.reverse();
    kept
}

/// The diversity of a frontier where quality is at least `quality`: linear between its points, and
/// constant below the lowest of them, since quality in excess does not hurt. `None` above the highest
/// quality.
pub(crate) fn diversity_at(frontier: &[Point], quality: f64) -> Option<f64> {
    let above = frontier.iter().position(|point| point.quality >= quality)?;
    let high = frontier[above];
    let Some(low) = above.checked_sub(1).map(|below| frontier[below]) else {
        return Some(high.diversity);
    };
    let share = (quality - low.quality) / (high.quality - low.quality);
    Some(low.diversity + share * (high.diversity - low.diversity))
}

/// The qualities at which two frontiers are compared: evenly spaced over their common range, or only
/// the lower of their upper ends where they have none.
fn levels(a: &[Point], b: &[Point]) -> Option<Vec<f64>> {
    let high = a.last()?.quality.min(b.last()?.quality);
    let low = a.first()?.quality.max(b.first()?.quality).min(high);
    let step = (high - low) / (LEVELS - 1) as f64;
    Some((0..LEVELS).map(|level| low + step * level as f64).collect())
}

/// The quality and one diversity of every setting of a model, by prompt.
struct Settings<'a> {
    family: &'a str,
    systems: Vec<&'a str>,
    /// By setting, then by prompt.
    values: Vec<Vec<Point>>,
}

impl Settings<'_> {
    /// Means over some prompts.
    fn points(&self, prompts: &[usize]) -> Vec<Point> {
        let n = prompts.len().max(1) as f64;
        let mean = |values: &Vec<Point>| {
            let sum = prompts.iter().fold((0.0, 0.0), |sum, &prompt| {
                let point = values[prompt];
                (sum.0 + point.quality, sum.1 + point.diversity)
            });
            Point {
                quality: sum.0 / n,
                diversity: sum.1 / n,
            }
        };
        self.values.iter().map(mean).collect()
    }
}

/// The frontiers of all models with settings, and their differences to the baseline's at equal
/// quality; empty if no system is named as a setting, or quality was not measured.
///
/// All settings are compared on the prompts that all of them have. Intervals are bootstrap intervals
/// over prompts: each resample has its own points, frontiers and common range of quality, and a level
/// is a position in that range. `baseline` is a system's name; the others are compared with its
/// model.
pub(crate) fn equal_quality(
    systems: &[&str],
    prompts: &[Prompt],
    baseline: &str,
    bootstrap: &Bootstrap,
) -> (Vec<Frontier>, Vec<EqualQuality>) {
    if !systems.iter().any(|system| system.contains(SEPARATOR)) {
        return (Vec::new(), Vec::new());
    }
    let (mut frontiers, mut compared) = (Vec::new(), Vec::new());
    for metric in DIVERSITIES {
        let families = settings(systems, prompts, metric);
        let Some(count) = families.first().map(|it| it.values[0].len()) else {
            continue;
        };
        let all: Vec<usize> = (0..count).collect();
        for settings in &families {
            frontiers.push(drawn(settings, metric, &all));
        }
        let Some(base) = families.iter().find(|it| it.family == family(baseline)) else {
            continue;
        };
        for settings in families.iter().filter(|it| it.family != base.family) {
            compared.extend(difference(settings, base, metric, count, bootstrap));
        }
    }
    (frontiers, compared)
}

/// Each family's values on the prompts where all systems have quality and diversity.
fn settings<'a>(systems: &[&'a str], prompts: &[Prompt], metric: &str) -> Vec<Settings<'a>> {
    let rows: Vec<HashMap<&str, Point>> = prompts
        .iter()
        .filter_map(|prompt| {
            let point = |system: &&'a str| {
                let metrics = &prompt.systems.get(*system)?.metrics;
                let point = Point {
                    quality: *metrics.get(QUALITY)?,
                    diversity: *metrics.get(metric)?,
                };
                Some((*system, point))
            };
            systems.iter().map(point).collect()
        })
        .collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let mut families: Vec<Settings<'a>> = Vec::new();
    for &system in systems {
        let values = rows.iter().map(|row| row[system]).collect();
        match families.iter_mut().find(|it| it.family == family(system)) {
            Some(settings) => {
                settings.systems.push(system);
                settings.values.push(values);
            }
            None => families.push(Settings {
                family: family(system),
                systems: vec![system],
                values: vec![values],
            }),
        }
    }
    families
}

fn drawn(settings: &Settings<'_>, metric: &str, all: &[usize]) -> Frontier {
    let points = settings.points(all);
    let best = frontier(points.iter().copied());
    Frontier {
        family: settings.family.to_owned(),
        metric: metric.to_owned(),
        points: settings
            .systems
            .iter()
            .zip(&points)
            .map(|(system, point)| FrontierPoint {
                system: (*system).to_owned(),
                quality: point.quality,
                diversity: point.diversity,
                is_best: best.contains(point),
            })
            .collect(),
    }
}

/// The quality, both diversities and their difference at every level, followed by their means.
fn difference(
    settings: &Settings<'_>,
    base: &Settings<'_>,
    metric: &str,
    prompts: usize,
    bootstrap: &Bootstrap,
) -> Vec<EqualQuality> {
    let statistic = |prompts: &[usize]| -> Option<Vec<f64>> {
        let own = frontier(settings.points(prompts));
        let other = frontier(base.points(prompts));
        let mut values = Vec::with_capacity(4 * (LEVELS + 1));
        for quality in levels(&own, &other)? {
            let diversities = [diversity_at(&own, quality)?, diversity_at(&other, quality)?];
            values.extend([quality, diversities[0], diversities[1]]);
            values.push(diversities[0] - diversities[1]);
        }
        for value in 0..4 {
            let sum: f64 = (0..LEVELS).map(|level| values[4 * level + value]).sum();
            values.push(sum / LEVELS as f64);
        }
        Some(values)
    };
    let columns = bootstrap.columns_of(prompts, statistic);
    let level = |(level, row): (usize, &[(Interval, f64)])| EqualQuality {
        family: settings.family.to_owned(),
        baseline: base.family.to_owned(),
        metric: metric.to_owned(),
        level: (level < LEVELS).then_some(level),
        quality: row[0].0,
        diversity: row[1].0,
        baseline_diversity: row[2].0,
        difference: row[3].0,
        p: row[3].1,
    };
    columns.chunks_exact(4).enumerate().map(level).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::evaluation::PromptSystem;

    fn points(points: &[(f64, f64)]) -> Vec<Point> {
        let point = |&(quality, diversity): &(f64, f64)| Point { quality, diversity };
        points.iter().map(point).collect()
    }

    #[test]
    fn dominated_points_are_not_on_the_frontier() {
        let found = frontier(points(&[
            (0.2, 0.5),
            (0.8, 0.1),
            (0.5, 0.4),
            (0.4, 0.4),
            (0.1, 0.3),
            (0.8, 0.1),
        ]));
        assert_eq!(found, points(&[(0.2, 0.5), (0.5, 0.4), (0.8, 0.1)]));
        assert!(frontier([]).is_empty());
    }

    #[test]
    fn diversity_is_linear_between_points_and_flat_below_them() {
        let line = points(&[(0.2, 0.5), (0.4, 0.3), (0.8, 0.1)]);
        for (quality, diversity) in [
            (0.0, 0.5),
            (0.2, 0.5),
            (0.3, 0.4),
            (0.4, 0.3),
            (0.6, 0.2),
            (0.8, 0.1),
        ] {
            let found = diversity_at(&line, quality).unwrap();
            assert!((found - diversity).abs() < 1e-12, "{quality}: {found}");
        }
        assert_eq!(diversity_at(&line, 0.81), None);
        assert_eq!(diversity_at(&[], 0.0), None);
    }

    #[test]
    fn levels_span_the_common_range() {
        let (a, b) = (
            points(&[(0.2, 0.5), (0.8, 0.1)]),
            points(&[(0.4, 0.5), (0.6, 0.1)]),
        );
        let found = levels(&a, &b).unwrap();
        let expected = [0.4, 0.45, 0.5, 0.55, 0.6];
        assert!(
            found
                .iter()
                .zip(expected)
                .all(|(a, b)| (a - b).abs() < 1e-12),
            "{found:?}"
        );
        // All of one is better than the best of the other.
        assert_eq!(levels(&points(&[(0.9, 0.1)]), &a), Some(vec![0.8; 5]));
    }

    /// Prompts on which settings have these qualities and diversities, with some noise that all
    /// settings of a prompt share.
    fn prompts(systems: &[(&str, f64, f64)]) -> Vec<Prompt> {
        (0..40)
            .map(|number| {
                let noise = f64::from(number % 5) * 0.01;
                let of = |&(system, quality, diversity): &(&str, f64, f64)| {
                    let mut metrics = BTreeMap::new();
                    metrics.insert("quality".to_owned(), quality + noise);
                    metrics.insert("semantic_diversity".to_owned(), diversity + noise);
                    let system_of_prompt = PromptSystem {
                        metrics,
                        responses: Vec::new(),
                        distances: None,
                    };
                    (system.to_owned(), system_of_prompt)
                };
                Prompt {
                    prompt_id: number.to_string(),
                    prompt: String::new(),
                    systems: systems.iter().map(of).collect(),
                }
            })
            .collect()
    }

    fn compared(
        systems: &[(&str, f64, f64)],
        baseline: &str,
    ) -> (Vec<Frontier>, Vec<EqualQuality>) {
        let bootstrap = Bootstrap {
            resamples: 500,
            confidence: 0.95,
            seed: 3,
        };
        let names: Vec<&str> = systems.iter().map(|system| system.0).collect();
        equal_quality(&names, &prompts(systems), baseline, &bootstrap)
    }

    #[test]
    fn a_model_that_is_only_hotter_gains_nothing() {
        let systems = [
            ("dpo@t0.7", 0.8, 0.2),
            ("dpo@t1.3", 0.4, 0.4),
            ("hot@t0.7", 0.6, 0.3),
            ("hot@t1.3", 0.4, 0.4),
            ("good@t1", 0.6, 0.35),
        ];
        let (frontiers, found) = compared(&systems, "dpo@t0.7");
        assert_eq!(frontiers.len(), 3);
        assert!(frontiers[0].points.iter().all(|point| point.is_best));
        let of = |family: &str| -> Vec<&EqualQuality> {
            found.iter().filter(|it| it.family == family).collect()
        };
        assert_eq!(of("hot").len(), LEVELS + 1);
        for level in of("hot") {
            assert!(level.difference.mean.abs() < 1e-9, "{level:?}");
        }
        let mean = of("good")[LEVELS];
        assert_eq!((mean.level, &*mean.baseline), (None, "dpo"));
        assert!((mean.difference.mean - 0.05).abs() < 1e-9, "{mean:?}");
        assert!((mean.quality.mean - 0.62).abs() < 1e-9, "{mean:?}");
        assert!(mean.difference.low > 0.0 && mean.p < 0.01, "{mean:?}");
    }

    #[test]
    fn without_settings_or_quality_there_is_nothing_to_compare() {
        let (frontiers, found) = compared(&[("dpo", 0.8, 0.2), ("ddpo", 0.6, 0.3)], "dpo");
        assert!(frontiers.is_empty() && found.is_empty());
        let mut bare = prompts(&[("a@1", 0.1, 0.2), ("b@1", 0.2, 0.1)]);
        for prompt in &mut bare {
            for system in prompt.systems.values_mut() {
                system.metrics.remove("quality");
            }
        }
        let bootstrap = Bootstrap {
            resamples: 10,
            confidence: 0.95,
            seed: 1,
        };
        let (frontiers, found) = equal_quality(&["a@1", "b@1"], &bare, "a@1", &bootstrap);
        assert!(frontiers.is_empty() && found.is_empty());
    }

    #[test]
    fn a_family_is_the_part_before_the_last_separator() {
        assert_eq!(family("ddpo@t0.7"), "ddpo");
        assert_eq!(family("org/model@main@t1"), "org/model@main");
        assert_eq!(family("dpo"), "dpo");
    }
}
