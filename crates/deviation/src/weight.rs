//! The weight of each response: its mixed deviation over the prompt's mean.

use serde::{Deserialize, Serialize};

use crate::{DeviationError, Kinds, Mix, Signal, normalise, normalise_ranks};

/// How deviations become weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Weighting {
    /// The kinds of deviation that are mixed. Default: both.
    pub kinds: Kinds,
    /// The least mixed score `s_i` that a response can have, in `[0, 1]`.
    ///
    /// Without it the least deviating response of every prompt has weight 0 and adds nothing to the
    /// loss.
    /// The floor acts before the mean is taken, so the weights still average 1. 0.1 corresponds to
    /// the reference code's -0.8 on its scale of -1 to 1.
    pub floor: Option<f64>,
    /// Ranks in place of min-max: `u = (rank - 1/2) / n`.
    pub rank: bool,
    /// `kappa` in `w <- 1 + (w - 1) * n / (n + kappa)`: the number of responses at which their
    /// deviations count as much as the plain weight 1.
    pub shrinkage: Option<f64>,
    /// `tau` in `w <- w^tau`, rescaled to mean 1: below 1 it evens the weights out, above 1 it
    /// sharpens them; 0 makes all of them 1.
    pub tau: Option<f64>,
    /// `a` in `s_i = u_semantic^a * u_style^(1-a)`, in `[0, 1]`, where both kinds are mixed.
    /// Default: 1/2, the geometric mean.
    pub semantic_share: Option<f64>,
    /// The signals to add up, where weights follow more than deviation:
    /// [`additive_weights`](crate::additive_weights).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mix: Option<Mix>,
}

impl Weighting {
    /// The kinds whose deviations the weights follow: [`Self::kinds`], or none where a mix of signals
    /// leaves diversity out.
    #[must_use]
    pub fn follows(&self) -> Kinds {
        match self.mix {
            Some(mix) if !mix.counts(Signal::Diversity) => Kinds::None,
            _ => self.kinds,
        }
    }

    /// Checks that every number is in its range.
    ///
    /// # Errors
    /// When the floor or the semantic share is not in `[0, 1]`, the shrinkage, tau or a lambda is
    /// negative or not finite, there is a semantic share though not both kinds are mixed, or a mix
    /// counts nothing, or diversity without a kind of it.
    pub fn validate(&self) -> Result<(), DeviationError> {
        if let Some(tau) = self.tau.filter(|tau| !(tau.is_finite() && *tau >= 0.0)) {
            return Err(DeviationError::Tau(tau));
        }
        let may_share = |a: &f64| (0.0..=1.0).contains(a) && self.kinds == Kinds::Both;
        if let Some(share) = self.semantic_share.filter(|a| !may_share(a)) {
            return Err(DeviationError::SemanticShare(share));
        }
        if let Some(floor) = self.floor.filter(|floor| !(0.0..=1.0).contains(floor)) {
            return Err(DeviationError::Floor(floor));
        }
        if let Some(kappa) = self.shrinkage.filter(|k| !(k.is_finite() && *k >= 0.0)) {
            return Err(DeviationError::Shrinkage(kappa));
        }
        if let Some(mix) = &self.mix {
            mix.validate()?;
            if mix.counts(Signal::Diversity) && self.kinds == Kinds::None {
                return Err(DeviationError::MixWithoutKinds);
            }
        }
        Ok(())
    }
}

/// The weights of one prompt's responses; they average 1.
///
/// ```text
/// s_i = prod_k u_{k,i}^(1/K)          geometric mean over the kinds, or with shares a and 1 - a
/// s_i = max(s_i, floor)               when a floor is set
/// s_i = s_i^tau                       when a tau is set
/// w_i = s_i / mean_j(s_j)
/// w_i = 1 + (w_i - 1) * n/(n + kappa) when a shrinkage is set
/// ```
///
/// `per_kind_raw` holds the raw deviations of the kinds that are mixed, in the order of
/// [`Kinds::as_slice`], one slice of length `n` per kind. With [`Kinds::None`] any slice will do: it
/// only says how many responses there are. The settings must be [valid](Weighting::validate); a mix
/// is the business of [`additive_weights`](crate::additive_weights).
///
/// Every weight is 1 when no response stands out: for a single response (whatever stands in for its
/// missing deviation), for two responses, for equal deviations, and when every `s_i` is 0 because
/// each response is the least deviating of some kind. Weights of 0 would silently remove such a
/// prompt from training.
///
/// # Departures
/// The reference code rescales `s` to `[-1, 1]`, centres it and adds 1 in the trainer; the algebra
/// gives the lines above. Its floor acts on the *rejected* response's score, which no loss reads.
///
/// # Panics
/// When the slices are not as many as the kinds, differ in length, or hold a value that is not
/// finite.
#[must_use]
pub fn weights(per_kind_raw: &[&[f64]], weighting: &Weighting) -> Vec<f64> {
    let n = per_kind_raw.first().map_or(0, |raw| raw.len());
    assert!(
        per_kind_raw.iter().all(|raw| raw.len() == n),
        "each kind must have one deviation per response"
    );
    if weighting.kinds == Kinds::None || n < 2 {
        return vec![1.0; n];
    }
    spread(&mixed(per_kind_raw, weighting), weighting)
}

/// One prompt's numbers spread over `[0, 1]`.
pub(crate) fn unit(raw: &[f64], weighting: &Weighting) -> Vec<f64> {
    match weighting.rank {
        true => normalise_ranks(raw),
        false => normalise(raw),
    }
}

/// The kinds' deviations, spread and mixed to one score in `[0, 1]`.
pub(crate) fn mixed(per_kind_raw: &[&[f64]], weighting: &Weighting) -> Vec<f64> {
    assert_eq!(
        per_kind_raw.len(),
        weighting.kinds.as_slice().len(),
        "one slice of deviations per kind of {}",
        weighting.kinds
    );
    let n = per_kind_raw.first().map_or(0, |raw| raw.len());
    let mut scores = vec![1.0_f64; n];
    match (per_kind_raw, weighting.semantic_share) {
        ([semantic, style], Some(share)) => {
            let units = [semantic, style].map(|raw| unit(raw, weighting));
            let both = units[0].iter().zip(&units[1]);
            for (score, (semantic, style)) in scores.iter_mut().zip(both) {
                *score = semantic.powf(share) * style.powf(1.0 - share);
            }
        }
        _ => {
            for raw in per_kind_raw {
                for (score, u) in scores.iter_mut().zip(unit(raw, weighting)) {
                    *score *= u;
                }
            }
            for score in &mut scores {
                *score = score.powf(1.0 / per_kind_raw.len() as f64);
            }
        }
    }
    scores
}

/// Weights of mean 1 from mixed scores in `[0, 1]`: floor, tau, mean, shrinkage.
pub(crate) fn spread(scores: &[f64], weighting: &Weighting) -> Vec<f64> {
    let n = scores.len();
    let floor = weighting.floor.unwrap_or(0.0);
    let mut scores: Vec<f64> = scores.iter().map(|s| s.max(floor)).collect();
    if let Some(tau) = weighting.tau {
        // Divided by the largest first, so that a large tau does not underflow.
        let most = scores.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        scores.iter_mut().for_each(|s| *s = (*s / most).powf(tau));
    }
    let mut weights = renormalise(&scores);
    if let Some(kappa) = weighting.shrinkage {
        let trust = n as f64 / (n as f64 + kappa);
        for weight in &mut weights {
            *weight = 1.0 + (*weight - 1.0) * trust;
        }
    }
    weights
}

/// The same proportions with mean 1; all 1 when every value is 0.
///
/// [`weights`] average 1 over all responses of a prompt, but the loss reads those of the chosen ones
/// only. Their mean differs from 1, so a weighted objective takes longer or shorter steps than its
/// plain counterpart. Renormalising the weights of all chosen responses makes the steps comparable.
#[must_use]
pub fn renormalise(values: &[f64]) -> Vec<f64> {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    if mean > 0.0 {
        values.iter().map(|value| value / mean).collect()
    } else {
        vec![1.0; values.len()]
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) const SEMANTIC: [f64; 4] = [0.2, 0.3, 0.5, 0.4];
    const STYLE: [f64; 4] = [0.6, 0.5, 0.9, 0.7];

    pub(crate) fn with(kinds: Kinds) -> Weighting {
        Weighting {
            kinds,
            ..Weighting::default()
        }
    }

    pub(crate) fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
        assert_eq!(found.len(), expected.len());
        for (f, e) in found.iter().zip(expected) {
            assert!((f - e).abs() < tolerance, "{found:?} is not {expected:?}");
        }
    }

    pub(crate) fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    #[test]
    fn the_papers_weights() {
        assert_close(
            &weights(&[&SEMANTIC, &STYLE], &with(Kinds::Both)),
            &[0.0, 0.0, 2.535898, 1.464102],
            1e-6,
        );
        assert_close(
            &weights(&[&SEMANTIC], &with(Kinds::Semantic)),
            &[0.0, 2.0 / 3.0, 2.0, 4.0 / 3.0],
            1e-12,
        );
    }

    #[test]
    fn the_reference_codes_scale_gives_the_same_weights() {
        // -1..1, (s * N - sum) / (N + sum), and + 1 in the trainer.
        let s: Vec<f64> = normalise(&SEMANTIC).iter().map(|u| 2.0 * u - 1.0).collect();
        let n = s.len() as f64;
        let sum: f64 = s.iter().sum();
        let reference: Vec<f64> = s.iter().map(|s| 1.0 + (s * n - sum) / (n + sum)).collect();
        assert_close(
            &weights(&[&SEMANTIC], &with(Kinds::Semantic)),
            &reference,
            1e-12,
        );
    }

    #[test]
    fn without_kinds_every_weight_is_one() {
        assert_eq!(weights(&[&SEMANTIC, &STYLE], &with(Kinds::None)), [1.0; 4]);
        assert!(weights(&[], &with(Kinds::None)).is_empty());
    }

    #[test]
    fn two_responses_make_the_plain_objective() {
        let noisy = [0.734_121_9, 0.734_122_0];
        for rank in [false, true] {
            let weighting = Weighting {
                rank,
                ..with(Kinds::Both)
            };
            assert_eq!(weights(&[&noisy, &noisy], &weighting), [1.0, 1.0]);
        }
    }

    #[test]
    fn alone_has_weight_one() {
        let strict = Weighting {
            floor: Some(0.1),
            rank: true,
            shrinkage: Some(4.0),
            ..with(Kinds::Both)
        };
        assert_eq!(weights(&[&[0.0], &[0.0]], &strict), [1.0]);
    }

    #[test]
    fn a_prompt_whose_scores_are_all_zero_does_not_vanish() {
        let weight = weights(&[&[0.1, 0.9], &[0.9, 0.1]], &with(Kinds::Both));
        assert_eq!(weight, [1.0, 1.0]);
    }

    #[test]
    fn equal_deviations_have_equal_weights() {
        assert_eq!(weights(&[&[0.3; 5]], &with(Kinds::Style)), [1.0; 5]);
    }

    #[test]
    fn copies_share_their_weight() {
        let raw = [0.2, 0.2, 0.2, 0.6];
        assert_eq!(
            weights(&[&raw], &with(Kinds::Semantic)),
            [0.0, 0.0, 0.0, 4.0]
        );
    }

    #[test]
    fn the_floor_acts_before_the_mean() {
        let weighting = Weighting {
            floor: Some(0.1),
            ..with(Kinds::Semantic)
        };
        let weight = weights(&[&SEMANTIC], &weighting);
        // s = (0.1, 1/3, 1, 2/3), mean 0.525.
        assert_close(
            &weight,
            &[0.1 / 0.525, 1.0 / 1.575, 1.0 / 0.525, 2.0 / 1.575],
            1e-12,
        );
        assert!((mean(&weight) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn ranks_leave_every_response_a_weight() {
        let weighting = Weighting {
            rank: true,
            ..with(Kinds::Semantic)
        };
        // u = (1, 3, 7, 5) / 8, mean 1/2.
        assert_close(
            &weights(&[&SEMANTIC], &weighting),
            &[0.25, 0.75, 1.75, 1.25],
            1e-12,
        );
    }

    #[test]
    fn shrinkage_pulls_towards_one() {
        let weighting = Weighting {
            shrinkage: Some(4.0),
            ..with(Kinds::Semantic)
        };
        assert_close(
            &weights(&[&SEMANTIC], &weighting),
            &[0.5, 5.0 / 6.0, 1.5, 7.0 / 6.0],
            1e-12,
        );
    }

    #[test]
    fn tau_sharpens_or_evens_out() {
        let tau = |tau| Weighting {
            tau: Some(tau),
            ..with(Kinds::Semantic)
        };
        // s = (0, 1/3, 1, 2/3), squared (0, 1, 9, 4) / 9, mean 14/36.
        assert_close(
            &weights(&[&SEMANTIC], &tau(2.0)),
            &[0.0, 4.0 / 14.0, 36.0 / 14.0, 16.0 / 14.0],
            1e-12,
        );
        assert_eq!(weights(&[&SEMANTIC], &tau(0.0)), [1.0; 4]);
        assert_eq!(
            weights(&[&SEMANTIC], &tau(1.0)),
            weights(&[&SEMANTIC], &with(Kinds::Semantic))
        );
        assert_eq!(weights(&[&SEMANTIC], &tau(1e6)), [0.0, 0.0, 4.0, 0.0]);
    }

    #[test]
    fn a_share_leads_from_one_kind_to_the_other() {
        let share = |share| {
            let weighting = Weighting {
                semantic_share: Some(share),
                ..with(Kinds::Both)
            };
            weights(&[&SEMANTIC, &STYLE], &weighting)
        };
        let alone = |raw: &[f64], kinds| weights(&[raw], &with(kinds));
        assert_eq!(share(1.0), alone(&SEMANTIC, Kinds::Semantic));
        assert_eq!(share(0.0), alone(&STYLE, Kinds::Style));
        let both = weights(&[&SEMANTIC, &STYLE], &with(Kinds::Both));
        assert_close(&share(0.5), &both, 1e-12);
        // u = (0, 1/3, 1, 2/3) and (1/4, 0, 1, 1/2): (2/3)^0.75 * (1/2)^0.25 = 0.620403.
        let sum = 1.0 + 0.620_403_237;
        assert_close(
            &share(0.75),
            &[0.0, 0.0, 4.0 / sum, 4.0 * 0.620_403_237 / sum],
            1e-6,
        );
    }

    #[test]
    fn renormalising_keeps_the_proportions() {
        assert_eq!(renormalise(&[2.0, 4.0]), [2.0 / 3.0, 4.0 / 3.0]);
        assert_eq!(renormalise(&[0.0, 0.0]), [1.0, 1.0]);
        assert!(renormalise(&[]).is_empty());
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let floor = |floor| Weighting {
            floor: Some(floor),
            ..Weighting::default()
        };
        let shrinkage = |kappa| Weighting {
            shrinkage: Some(kappa),
            ..Weighting::default()
        };
        assert_eq!(floor(0.1).validate(), Ok(()));
        assert_eq!(floor(-0.8).validate(), Err(DeviationError::Floor(-0.8)));
        assert!(floor(f64::NAN).validate().is_err());
        assert_eq!(
            shrinkage(-1.0).validate(),
            Err(DeviationError::Shrinkage(-1.0))
        );
        assert!(shrinkage(f64::INFINITY).validate().is_err());
        for tau in [-1.0, f64::NAN, f64::INFINITY] {
            let weighting = Weighting {
                tau: Some(tau),
                ..Weighting::default()
            };
            assert!(weighting.validate().is_err(), "{tau}");
        }
        for (lambda, kinds, problem) in [
            (-1.0, Kinds::Both, "-1"),
            (0.0, Kinds::Both, "no signal counts"),
            (1.0, Kinds::None, "no kind of deviation"),
        ] {
            let weighting = Weighting {
                mix: Some(Mix {
                    diversity: lambda,
                    ..Mix::default()
                }),
                ..with(kinds)
            };
            let error = weighting.validate().unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        for (share, kinds) in [
            (0.5, Kinds::Style),
            (1.5, Kinds::Both),
            (f64::NAN, Kinds::Both),
        ] {
            let weighting = Weighting {
                semantic_share: Some(share),
                ..with(kinds)
            };
            assert!(weighting.validate().is_err(), "{share} of {kinds}");
        }
    }

    /// Two kinds of deviation for the same responses.
    pub(crate) fn raw_pairs() -> impl Strategy<Value = Vec<(f64, f64)>> {
        prop::collection::vec((0.0..2.0_f64, 0.0..2.0_f64), 2..30)
    }

    pub(crate) fn weightings() -> impl Strategy<Value = Weighting> {
        let kinds = prop::sample::select(vec![
            Kinds::Semantic,
            Kinds::Style,
            Kinds::Both,
            Kinds::None,
        ]);
        let floor = prop::option::of(0.0..=1.0_f64);
        let shrinkage = prop::option::of(0.0..50.0_f64);
        let tau = prop::option::of(0.0..4.0_f64);
        let share = prop::option::of(0.0..=1.0_f64);
        (kinds, floor, any::<bool>(), shrinkage, tau, share).prop_map(
            |(kinds, floor, rank, shrinkage, tau, share)| Weighting {
                kinds,
                floor,
                rank,
                shrinkage,
                tau,
                semantic_share: share.filter(|_| kinds == Kinds::Both),
                mix: None,
            },
        )
    }

    fn mixed(pairs: &[(f64, f64)], weighting: &Weighting) -> Vec<f64> {
        let (semantic, style): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        match weighting.kinds {
            Kinds::Semantic => weights(&[&semantic], weighting),
            Kinds::Style => weights(&[&style], weighting),
            Kinds::Both | Kinds::None => weights(&[&semantic, &style], weighting),
        }
    }

    proptest! {
        #[test]
        fn weights_average_one_and_are_never_negative(pairs in raw_pairs(), weighting in weightings()) {
            let weight = mixed(&pairs, &weighting);
            prop_assert!((mean(&weight) - 1.0).abs() < 1e-12);
            prop_assert!(weight.iter().all(|w| w.is_finite() && *w >= 0.0));
        }

        #[test]
        fn order_does_not_matter(
            (pairs, order) in raw_pairs().prop_flat_map(|pairs| {
                let order: Vec<usize> = (0..pairs.len()).collect();
                (Just(pairs), Just(order).prop_shuffle())
            }),
            weighting in weightings(),
        ) {
            let shuffled: Vec<(f64, f64)> = order.iter().map(|&i| pairs[i]).collect();
            let straight = mixed(&pairs, &weighting);
            let found = mixed(&shuffled, &weighting);
            for (k, &i) in order.iter().enumerate() {
                prop_assert!((found[k] - straight[i]).abs() < 1e-12);
            }
        }

        #[test]
        fn a_larger_deviation_never_weighs_less(raw in prop::collection::vec(0.0..2.0_f64, 2..30)) {
            let weight = weights(&[&raw], &with(Kinds::Semantic));
            for i in 0..raw.len() {
                for j in 0..raw.len() {
                    prop_assert!(raw[i] < raw[j] || weight[i] >= weight[j]);
                }
            }
        }
    }
}
