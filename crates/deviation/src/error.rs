//! What can be wrong with embeddings and weighting settings.

use crate::{Kind, Signal, UnknownName};

/// Why distances or weights could not be computed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviationError {
    /// The rows do not all have the same number of components.
    #[error("embedding {row} has {found} dimensions where embedding 0 has {expected}")]
    Dims {
        /// Index of the offending row.
        row: usize,
        /// Dimensions of row 0.
        expected: usize,
        /// Dimensions of the offending row.
        found: usize,
    },
    /// A component is NaN or infinite.
    #[error("embedding {row} holds {value} at dimension {dim}; every component must be finite")]
    NotFinite {
        /// Index of the offending row.
        row: usize,
        /// Index of the offending component.
        dim: usize,
        /// The component.
        value: f32,
    },
    /// The floor lies outside of `[0, 1]`.
    #[error("the floor is {0}; it must be from 0 to 1")]
    Floor(f64),
    /// The shrinkage is negative, infinite or NaN.
    #[error("the shrinkage kappa is {0}; give a number of responses, 0 or more")]
    Shrinkage(f64),
    /// The exponent of the weights is negative, infinite or NaN.
    #[error("tau is {0}; it must be a number from 0, where 1 changes nothing")]
    Tau(f64),
    /// The share of the semantic kind lies outside of `[0, 1]`, or there is nothing to share.
    #[error("the semantic share is {0}; it must be from 0 to 1, and both kinds must be mixed")]
    SemanticShare(f64),
    /// A part of a mix that does not give a signal its lambda.
    #[error("`{part}` is not SIGNAL=LAMBDA, such as novelty=0.5")]
    MalformedMix {
        /// The part.
        part: String,
    },
    /// A signal that a mix names twice.
    #[error("{0} is given twice in the mix; give it once")]
    SignalTwice(Signal),
    /// The lambda of a signal is negative, infinite or NaN.
    #[error(
        "the lambda of {signal} is {lambda}; it must be a number from 0, where 0 leaves it out"
    )]
    Lambda {
        /// The signal.
        signal: Signal,
        /// Its lambda.
        lambda: f64,
    },
    /// The sum of a mix's lambdas is infinite.
    #[error(
        "the lambdas of the mix add up to more than a number can hold; give smaller ones, as only \
         their proportions count"
    )]
    MixOverflows,
    /// Every lambda of a mix is 0.
    #[error("no signal counts in the mix; give one of them a lambda above 0")]
    EmptyMix,
    /// Diversity is to count though no kind of deviation does.
    #[error("diversity counts in the mix, but no kind of deviation is measured for it")]
    MixWithoutKinds,
    /// A response lacks a signal that the mix counts.
    #[error("response {response} has no {signal}, which the mix counts")]
    MissingSignal {
        /// The signal.
        signal: Signal,
        /// Index of the response.
        response: usize,
    },
    /// A signal is NaN or infinite.
    #[error("the {signal} of response {response} is {value}; it must be finite")]
    SignalNotFinite {
        /// The signal.
        signal: Signal,
        /// Index of the response.
        response: usize,
        /// Its value.
        value: f64,
    },
    /// A response has no deviation of a kind that the weights follow.
    #[error("response {response} has no {kind} deviation, which the weights follow")]
    MissingDeviation {
        /// The kind.
        kind: Kind,
        /// Index of the response.
        response: usize,
    },
    /// A deviation is NaN or infinite.
    #[error("the {kind} deviation of response {response} is {value}; it must be finite")]
    DeviationNotFinite {
        /// The kind.
        kind: Kind,
        /// Index of the response.
        response: usize,
        /// Its value.
        value: f64,
    },
    /// The name of a signal that does not exist.
    #[error(transparent)]
    Name(#[from] UnknownName),
}
