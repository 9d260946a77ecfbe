//! Weights by a sum of signals.

use crate::weight::{Weighting, mixed, spread, unit};
use crate::{DeviationError, Mix, Signal};

/// One prompt's signals besides the deviations, one number per response; `None`, or no entry, where
/// it is unknown. A signal that the mix leaves out may be empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct Signals<'a> {
    /// See [`Signal::Novelty`].
    pub novelty: &'a [Option<f64>],
    /// See [`Signal::Surprise`].
    pub surprise: &'a [Option<f64>],
    /// See [`Signal::Quality`].
    pub quality: &'a [Option<f64>],
}

/// The weights of one prompt's responses by a sum of signals; they average 1.
///
/// ```text
/// s_i = sum_k lambda_k * u_{k,i} / sum_k lambda_k
/// w_i = s_i / mean_j(s_j)
/// ```
///
/// `u_k` is a signal's min-max within the prompt, or its ranks; for diversity, of the kinds'
/// geometric mean. Floor, tau and shrinkage act as in [`weights`](crate::weights), which takes the same
/// `per_kind_raw`. (CrPO, arXiv 2505.14442.) A signal that is the same for all responses is 0.5 for
/// each. Every weight is 1 when that holds for all signals, and when there is one response only.
///
/// # Errors
/// When a signal that counts is missing or not finite for a response of several.
///
/// # Departures
/// CrPO multiplies the loss by the sum itself, whose mean is anything up to the sum of the lambdas;
/// here weights average 1, so that a recipe changes what a model learns from, not how fast. CrPO's
/// code gives a single response diversity 0 and novelty 0.
///
/// # Panics
/// As [`weights`](crate::weights) does, where diversity counts.
pub fn additive_weights(
    per_kind_raw: &[&[f64]],
    signals: &Signals<'_>,
    mix: &Mix,
    weighting: &Weighting,
) -> Result<Vec<f64>, DeviationError> {
    let n = per_kind_raw.first().map_or(0, |raw| raw.len());
    if n < 2 {
        return Ok(vec![1.0; n]);
    }
    let total: f64 = Signal::ALL.iter().map(|signal| mix.lambda(*signal)).sum();
    let mut scores = vec![0.0; n];
    for signal in Signal::ALL.into_iter().filter(|signal| mix.counts(*signal)) {
        let values = match signal {
            Signal::Diversity => mixed(per_kind_raw, weighting),
            Signal::Novelty => known(signal, signals.novelty, n)?,
            Signal::Surprise => known(signal, signals.surprise, n)?,
            Signal::Quality => known(signal, signals.quality, n)?,
        };
        let share = mix.lambda(signal) / total;
        for (score, u) in scores.iter_mut().zip(unit(&values, weighting)) {
            *score += share * u;
        }
    }
    Ok(spread(&scores, weighting))
}

/// A signal of all `n` responses.
fn known(signal: Signal, values: &[Option<f64>], n: usize) -> Result<Vec<f64>, DeviationError> {
    (0..n)
        .map(|response| match values.get(response).copied().flatten() {
            Some(value) if value.is_finite() => Ok(value),
            Some(value) => Err(DeviationError::SignalNotFinite {
                signal,
                response,
                value,
            }),
            None => Err(DeviationError::MissingSignal { signal, response }),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::weight::tests::{SEMANTIC, assert_close, mean, raw_pairs, weightings, with};
    use crate::{Kinds, weights};

    fn mix(mix: &str) -> Mix {
        mix.parse().unwrap()
    }

    #[test]
    fn signals_are_added_up() {
        let found = |mixed: &str, weighting: &Weighting| {
            let signals = Signals {
                novelty: &[Some(0.1), Some(0.1), Some(0.3), Some(0.2)],
                surprise: &[Some(30.0), Some(10.0), Some(20.0), Some(10.0)],
                quality: &[Some(1.0), Some(5.0), Some(3.0), Some(-5.0)],
            };
            additive_weights(&[&SEMANTIC], &signals, &mix(mixed), weighting).unwrap()
        };
        let semantic = with(Kinds::Semantic);
        // One signal is its min-max over the mean: with deviation alone the paper's weights.
        assert_close(
            &found("diversity=2", &semantic),
            &weights(&[&SEMANTIC], &semantic),
            1e-12,
        );
        assert_close(
            &found("quality=3", &semantic),
            &[1.0, 5.0 / 3.0, 4.0 / 3.0, 0.0],
            1e-12,
        );
        // u = (0, 1/3, 1, 2/3), (0, 0, 1, 1/2), (1, 0, 1/2, 0) and (0.6, 1, 0.8, 0).
        let s = [0.5 + 0.6, 1.0 / 3.0 + 1.0, 2.25 + 0.8, 2.0 / 3.0 + 0.5];
        let expected: Vec<f64> = s.iter().map(|one| one / mean(&s)).collect();
        let all = "diversity=1,novelty=1,surprise=0.5,quality=1";
        assert_close(&found(all, &semantic), &expected, 1e-12);
        let tenfold = "diversity=10,novelty=10,surprise=5,quality=10";
        assert_close(&found(tenfold, &semantic), &expected, 1e-12);
        // Without kinds, and by ranks: (2, 4, 3, 1) - 1/2 over 4.
        let ranks = Weighting {
            rank: true,
            ..with(Kinds::None)
        };
        assert_close(
            &found("quality=1", &ranks),
            &[0.75, 1.75, 1.25, 0.25],
            1e-12,
        );
    }

    #[test]
    fn a_constant_signal_changes_no_order_and_alone_nothing() {
        let (same, good) = ([Some(7.0); 3], [Some(1.0), Some(2.0), Some(3.0)]);
        let found = |surprise: &[Option<f64>], quality: &[Option<f64>], mixed: &str| {
            let signals = Signals {
                surprise,
                quality,
                ..Signals::default()
            };
            let n = vec![0.0; quality.len()];
            additive_weights(&[&n], &signals, &mix(mixed), &with(Kinds::None)).unwrap()
        };
        assert_eq!(found(&same, &same, "surprise=1,quality=2"), [1.0; 3]);
        // s = (0.5 + 0, 0.5 + 0.5, 0.5 + 1) / 2.
        assert_close(
            &found(&same, &good, "surprise=1,quality=1"),
            &[0.5, 1.0, 1.5],
            1e-12,
        );
        // Alone, nothing needs to be known.
        assert_eq!(found(&[], &[None], "surprise=1"), [1.0]);
        assert!(found(&[], &[], "surprise=1").is_empty());
    }

    #[test]
    fn a_signal_that_is_missing_or_no_number_is_named() {
        let found = |surprise: &[Option<f64>]| {
            let signals = Signals {
                surprise,
                ..Signals::default()
            };
            additive_weights(
                &[&[0.0; 2]],
                &signals,
                &mix("surprise=1"),
                &with(Kinds::None),
            )
        };
        let missing = |response| {
            let signal = Signal::Surprise;
            Err(DeviationError::MissingSignal { signal, response })
        };
        assert_eq!(found(&[Some(1.0), None]), missing(1));
        assert_eq!(found(&[]), missing(0));
        for bad in [f64::NAN, f64::INFINITY] {
            let error = found(&[Some(bad), Some(1.0)]).unwrap_err().to_string();
            assert!(
                error.starts_with("the surprise of response 0 is "),
                "{error}"
            );
        }
    }

    fn mixes() -> impl Strategy<Value = Mix> {
        // Diversity counts in half of them, and something always does.
        (any::<bool>(), 0.01..3.0_f64, 0.0..3.0_f64, 0.0..3.0_f64).prop_map(
            |(diversity, novelty, surprise, quality)| Mix {
                diversity: f64::from(u8::from(diversity)),
                novelty,
                surprise,
                quality,
            },
        )
    }

    /// Additive weights whose signals are the deviations, their negatives and their squares.
    fn added(pairs: &[(f64, f64)], mix: &Mix, weighting: &Weighting) -> Vec<f64> {
        let signal = |of: fn(f64, f64) -> f64| -> Vec<Option<f64>> {
            pairs.iter().map(|(a, b)| Some(of(*a, *b))).collect()
        };
        let (novelty, surprise, quality) = (
            signal(|a, _| a * a),
            signal(|_, b| 100.0 * b),
            signal(|a, b| b - 5.0 * a),
        );
        let signals = Signals {
            novelty: &novelty,
            surprise: &surprise,
            quality: &quality,
        };
        let (semantic, style): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        let per_kind: &[&[f64]] = match weighting.kinds {
            Kinds::Semantic => &[&semantic],
            Kinds::Style => &[&style],
            Kinds::Both | Kinds::None => &[&semantic, &style],
        };
        let mix = match weighting.kinds {
            Kinds::None => Mix {
                diversity: 0.0,
                ..*mix
            },
            _ => *mix,
        };
        additive_weights(per_kind, &signals, &mix, weighting).unwrap()
    }

    proptest! {
        #[test]
        fn additive_weights_average_one_whatever_the_order(
            (pairs, order) in raw_pairs().prop_flat_map(|pairs| {
                let order: Vec<usize> = (0..pairs.len()).collect();
                (Just(pairs), Just(order).prop_shuffle())
            }),
            weighting in weightings(),
            mix in mixes(),
        ) {
            let straight = added(&pairs, &mix, &weighting);
            prop_assert!((mean(&straight) - 1.0).abs() < 1e-12);
            prop_assert!(straight.iter().all(|w| w.is_finite() && *w >= 0.0));
            let shuffled: Vec<(f64, f64)> = order.iter().map(|&i| pairs[i]).collect();
            let found = added(&shuffled, &mix, &weighting);
            for (k, &i) in order.iter().enumerate() {
                prop_assert!((found[k] - straight[i]).abs() < 1e-9);
            }
        }

        #[test]
        fn only_the_proportions_of_lambdas_count(pairs in raw_pairs(), mix in mixes(), by in 0.1..10.0_f64) {
            let scaled = Mix {
                diversity: mix.diversity * by,
                novelty: mix.novelty * by,
                surprise: mix.surprise * by,
                quality: mix.quality * by,
            };
            let (one, other) = (
                added(&pairs, &mix, &Weighting::default()),
                added(&pairs, &scaled, &Weighting::default()),
            );
            assert_close(&one, &other, 1e-9);
        }
    }
}
