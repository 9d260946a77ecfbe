//! Names that do not exist.

/// A name that is not one of those that exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not one of {expected}")]
pub struct UnknownName {
    /// The name that was given.
    pub name: String,
    /// The names that exist.
    pub expected: &'static str,
}
