//! What can be wrong with embeddings and weighting settings.

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
    #[error("the floor is {0}; it is a bound on a score in [0, 1] and must lie there too")]
    Floor(f64),
    /// The shrinkage is negative, infinite or NaN.
    #[error("the shrinkage kappa is {0}; it must be a number of responses, 0 or more")]
    Shrinkage(f64),
    /// The exponent of the weights is negative, infinite or NaN.
    #[error("tau is {0}; it must be a number from 0, where 1 changes nothing")]
    Tau(f64),
    /// The share of the semantic kind lies outside of `[0, 1]`, or there is nothing to share.
    #[error("the semantic share is {0}; it must be from 0 to 1, and both kinds must be mixed")]
    SemanticShare(f64),
    /// A name that is no kind and no choice of kinds.
    #[error("`{name}` is not one of {expected}")]
    UnknownKind {
        /// The name that was given.
        name: String,
        /// The names that exist.
        expected: &'static str,
    },
}
