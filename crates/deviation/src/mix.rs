//! How much each signal counts in the sum of CrPO.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{DeviationError, Signal, UnknownName};

/// How much each [`Signal`] counts, `lambda` in CrPO's sum; 0 leaves it out.
///
/// Written as `diversity=1,novelty=0.5` on a command line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mix {
    /// Of [`Signal::Diversity`].
    pub diversity: f64,
    /// Of [`Signal::Novelty`].
    pub novelty: f64,
    /// Of [`Signal::Surprise`].
    pub surprise: f64,
    /// Of [`Signal::Quality`].
    pub quality: f64,
}

impl Mix {
    /// The lambda of a signal.
    #[must_use]
    pub fn lambda(&self, signal: Signal) -> f64 {
        match signal {
            Signal::Diversity => self.diversity,
            Signal::Novelty => self.novelty,
            Signal::Surprise => self.surprise,
            Signal::Quality => self.quality,
        }
    }

    /// Whether a signal has a part in the sum.
    #[must_use]
    pub fn counts(&self, signal: Signal) -> bool {
        self.lambda(signal) > 0.0
    }

    /// Whether the lambdas are numbers from 0 and one of them is more.
    pub(crate) fn validate(&self) -> Result<(), DeviationError> {
        for signal in Signal::ALL {
            let lambda = self.lambda(signal);
            if !(lambda.is_finite() && lambda >= 0.0) {
                return Err(DeviationError::Lambda { signal, lambda });
            }
        }
        let total: f64 = Signal::ALL.iter().map(|signal| self.lambda(*signal)).sum();
        if !total.is_finite() {
            return Err(DeviationError::MixOverflows);
        }
        match Signal::ALL.iter().any(|signal| self.counts(*signal)) {
            true => Ok(()),
            false => Err(DeviationError::EmptyMix),
        }
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = Signal::ALL
            .into_iter()
            .filter(|signal| self.counts(*signal));
        for (place, signal) in counted.enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{signal}={}", self.lambda(signal))?;
        }
        Ok(())
    }
}

impl FromStr for Mix {
    type Err = DeviationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut mix = Self::default();
        let mut seen = Vec::new();
        for part in text.split(',') {
            let malformed = || DeviationError::MalformedMix {
                part: part.to_owned(),
            };
            let (name, lambda) = part.split_once('=').ok_or_else(malformed)?;
            let name = name.trim();
            let signal = Signal::named(name).ok_or_else(|| UnknownName {
                name: name.to_owned(),
                expected: "diversity, novelty, surprise, quality",
            })?;
            let lambda: f64 = lambda.trim().parse().map_err(|_| malformed())?;
            if seen.contains(&signal) {
                return Err(DeviationError::SignalTwice(signal));
            }
            seen.push(signal);
            *match signal {
                Signal::Diversity => &mut mix.diversity,
                Signal::Novelty => &mut mix.novelty,
                Signal::Surprise => &mut mix.surprise,
                Signal::Quality => &mut mix.quality,
            } = lambda;
        }
        mix.validate()?;
        Ok(mix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_written_as_it_is_read() {
        let mix: Mix = "diversity=1, surprise = 0.5".parse().unwrap();
        let expected = Mix {
            diversity: 1.0,
            surprise: 0.5,
            ..Mix::default()
        };
        assert_eq!(mix, expected);
        assert_eq!(mix.to_string(), "diversity=1,surprise=0.5");
        assert_eq!(mix.to_string().parse(), Ok(mix));
        assert!(mix.counts(Signal::Surprise) && !mix.counts(Signal::Quality));
    }

    #[test]
    fn what_is_wrong_with_a_mix_is_named() {
        for (text, parts) in [
            ("", "`` is not SIGNAL=LAMBDA"),
            ("novelty", "`novelty` is not SIGNAL=LAMBDA"),
            ("novelty=much", "`novelty=much` is not SIGNAL=LAMBDA"),
            ("wit=1", "`wit` is not one of diversity, novelty"),
            ("novelty=-1", "lambda of novelty is -1"),
            ("quality=NaN", "lambda of quality is NaN"),
            ("quality=0", "no signal counts"),
            ("novelty=1e308,quality=1e308", "add up to more"),
            ("quality=1,quality=2", "quality is given twice"),
        ] {
            let error = text.parse::<Mix>().unwrap_err().to_string();
            assert!(error.contains(parts), "{text}: {error}");
        }
    }
}
