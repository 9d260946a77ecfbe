//! The number of different modes in a set of texts.

use std::collections::HashMap;
use std::hash::Hash;

use serde::{Deserialize, Serialize};

use crate::oracle::Reading;

/// The number of different values, and how evenly they occur.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Number of different values.
    pub distinct: usize,
    /// `exp(entropy)`: the number of equally frequent values with the same entropy; 0 when nothing was read.
    pub effective: f64,
    /// Distinct values over all readings, legible or not.
    pub share: f64,
}

/// True coverage of a set of responses, usually those to one prompt.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// Number of readings.
    pub responses: usize,
    /// Readings with both a plot and a voice; only these have a mode.
    pub legible: usize,
    /// Over plots alone.
    pub plots: Spread,
    /// Over voices alone.
    pub voices: Spread,
    /// Over pairs of plot and voice.
    pub modes: Spread,
}

/// Counts the plots, voices and modes (plot and voice) among the readings.
pub fn mode_coverage(readings: &[Reading]) -> Coverage {
    let modes = readings
        .iter()
        .filter_map(|reading| reading.plot.zip(reading.voice));
    Coverage {
        responses: readings.len(),
        legible: modes.clone().count(),
        plots: spread(
            readings.iter().filter_map(|reading| reading.plot),
            readings.len(),
        ),
        voices: spread(
            readings.iter().filter_map(|reading| reading.voice),
            readings.len(),
        ),
        modes: spread(modes, readings.len()),
    }
}

fn spread<T: Eq + Hash>(values: impl Iterator<Item = T>, of: usize) -> Spread {
    let mut counts: HashMap<T, usize> = HashMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    let mut counts: Vec<usize> = counts.into_values().collect();
    // Sums of floats depend on their order, and a hash map has none.
    counts.sort_unstable();
    let total = counts.iter().sum::<usize>() as f64;
    let entropy: f64 = counts
        .iter()
        .map(|&count| count as f64 / total)
        .map(|p| -p * p.ln())
        .sum();
    Spread {
        distinct: counts.len(),
        effective: if counts.is_empty() {
            0.0
        } else {
            entropy.exp()
        },
        share: if of == 0 {
            0.0
        } else {
            counts.len() as f64 / of as f64
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Craft, Plot, Voice};

    fn reading(plot: Option<Plot>, voice: Option<Voice>) -> Reading {
        Reading {
            plot,
            voice,
            quality: 1.0,
            on_topic: true,
            complete: true,
            craft: Craft::default(),
        }
    }

    #[test]
    fn even_modes_are_as_many_as_they_seem() {
        let readings = [
            reading(Some(Plot::Quest), Some(Voice::Plain)),
            reading(Some(Plot::Quest), Some(Voice::Terse)),
            reading(Some(Plot::Loss), Some(Voice::Plain)),
            reading(None, Some(Voice::Letter)),
        ];
        let coverage = mode_coverage(&readings);
        assert_eq!((coverage.responses, coverage.legible), (4, 3));
        assert_eq!(coverage.modes.distinct, 3);
        assert!((coverage.modes.effective - 3.0).abs() < 1e-12);
        assert_eq!(coverage.modes.share, 0.75);
        assert_eq!((coverage.plots.distinct, coverage.voices.distinct), (2, 3));
    }

    #[test]
    fn one_mode_is_one_and_nothing_is_zero() {
        let same = [reading(Some(Plot::Storm), Some(Voice::Plain)); 5];
        assert_eq!(mode_coverage(&same).modes.effective, 1.0);
        let none = mode_coverage(&[]);
        assert_eq!(
            (none.modes.distinct, none.modes.effective, none.modes.share),
            (0, 0.0, 0.0)
        );
    }
}
