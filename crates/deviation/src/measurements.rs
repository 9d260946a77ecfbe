//! From what was measured of a prompt's responses to their weights.

use crate::{DeviationError, Kind, Kinds, Signals, Weighting, additive_weights, weights};

/// What was measured of one response; `None` where a number is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Measurements {
    /// Raw semantic deviation.
    pub semantic: Option<f64>,
    /// Raw style deviation.
    pub style: Option<f64>,
    /// See [`Signal::Novelty`](crate::Signal::Novelty).
    pub novelty: Option<f64>,
    /// See [`Signal::Surprise`](crate::Signal::Surprise).
    pub surprise: Option<f64>,
    /// See [`Signal::Quality`](crate::Signal::Quality).
    pub quality: Option<f64>,
}

impl Measurements {
    /// The raw deviation of a kind.
    #[must_use]
    pub fn deviation(&self, kind: Kind) -> Option<f64> {
        match kind {
            Kind::Semantic => self.semantic,
            Kind::Style => self.style,
        }
    }
}

impl Weighting {
    /// The weights of one prompt's responses, by [`weights`] or, with a mix, by
    /// [`additive_weights`]; they average 1.
    ///
    /// Measurements that the weights do not follow may be missing, and so may all of them for a
    /// response that is alone, whose weight is 1.
    ///
    /// # Errors
    /// When a deviation or signal that the weights follow is missing or not finite for one of
    /// several responses.
    pub fn weigh(&self, responses: &[Measurements]) -> Result<Vec<f64>, DeviationError> {
        let n = responses.len();
        if n < 2 {
            return Ok(vec![1.0; n]);
        }
        let followed = self.follows();
        let per_kind = followed.as_slice().iter().map(|&kind| raw(kind, responses));
        let mut per_kind = per_kind.collect::<Result<Vec<_>, _>>()?;
        if followed == Kinds::None {
            // The slice only says how many responses there are.
            per_kind.push(vec![0.0; n]);
        }
        let per_kind: Vec<&[f64]> = per_kind.iter().map(Vec::as_slice).collect();
        let Some(mix) = &self.mix else {
            return Ok(weights(&per_kind, self));
        };
        let signal = |of: fn(&Measurements) -> Option<f64>| -> Vec<Option<f64>> {
            responses.iter().map(of).collect()
        };
        let signals = Signals {
            novelty: &signal(|response| response.novelty),
            surprise: &signal(|response| response.surprise),
            quality: &signal(|response| response.quality),
        };
        additive_weights(&per_kind, &signals, mix, self)
    }
}

fn raw(kind: Kind, responses: &[Measurements]) -> Result<Vec<f64>, DeviationError> {
    let deviations = responses.iter().enumerate();
    deviations
        .map(|(response, measured)| match measured.deviation(kind) {
            Some(deviation) if deviation.is_finite() => Ok(deviation),
            Some(value) => Err(DeviationError::DeviationNotFinite {
                kind,
                response,
                value,
            }),
            None => Err(DeviationError::MissingDeviation { kind, response }),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Signal;

    const SEMANTIC: [f64; 4] = [0.2, 0.3, 0.5, 0.4];
    const STYLE: [f64; 4] = [0.6, 0.5, 0.9, 0.7];

    fn measured() -> Vec<Measurements> {
        let both = SEMANTIC.iter().zip(&STYLE);
        both.map(|(&semantic, &style)| Measurements {
            semantic: Some(semantic),
            style: Some(style),
            quality: Some(1.0 - semantic),
            ..Measurements::default()
        })
        .collect()
    }

    fn following(kinds: Kinds) -> Weighting {
        Weighting {
            kinds,
            ..Weighting::default()
        }
    }

    #[test]
    fn the_followed_kinds_are_weighed() {
        for (kinds, raw) in [
            (Kinds::Semantic, &[&SEMANTIC[..]][..]),
            (Kinds::Style, &[&STYLE]),
            (Kinds::Both, &[&SEMANTIC, &STYLE]),
        ] {
            let weighting = following(kinds);
            assert_eq!(
                weighting.weigh(&measured()).unwrap(),
                weights(raw, &weighting)
            );
        }
        assert_eq!(following(Kinds::None).weigh(&measured()).unwrap(), [1.0; 4]);
    }

    #[test]
    fn a_mix_needs_its_own_signals_only() {
        let mut responses = measured();
        responses.iter_mut().for_each(|it| it.semantic = None);
        let mix = |mix: &str| Weighting {
            mix: Some(mix.parse().unwrap()),
            ..following(Kinds::Semantic)
        };
        // Qualities fall as deviations rise.
        let by_quality = mix("quality=1").weigh(&responses).unwrap();
        assert!(by_quality[0] > by_quality[1] && by_quality[2] == 0.0);
        assert_eq!(
            mix("diversity=1").weigh(&responses),
            Err(DeviationError::MissingDeviation {
                kind: Kind::Semantic,
                response: 0
            })
        );
        assert_eq!(
            mix("novelty=1").weigh(&responses),
            Err(DeviationError::MissingSignal {
                signal: Signal::Novelty,
                response: 0
            })
        );
    }

    #[test]
    fn a_response_alone_needs_no_measurement() {
        let weighting = following(Kinds::Both);
        assert_eq!(weighting.weigh(&[Measurements::default()]), Ok(vec![1.0]));
        assert_eq!(weighting.weigh(&[]), Ok(vec![]));
    }

    #[test]
    fn a_deviation_that_is_not_finite_is_an_error() {
        let mut responses = measured();
        responses[2].style = Some(f64::NAN);
        let error = following(Kinds::Both).weigh(&responses).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the style deviation of response 2 is NaN; it must be finite"
        );
        assert!(following(Kinds::Semantic).weigh(&responses).is_ok());
    }
}
