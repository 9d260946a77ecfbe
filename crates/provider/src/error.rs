//! Why a model behind an API cannot be asked.

/// Why a model behind an API cannot be asked, or does not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// A setting, the URL or the key cannot be used; the text says what to change.
    #[error("{0}")]
    Invalid(String),
    /// The service refuses, and asking again is pointless; the text says what to change.
    #[error("{0}")]
    Refused(String),
    /// The service could not be reached, or did not answer in spite of retries.
    #[error("{url}: {why}")]
    Unanswered {
        /// Where the question was sent.
        url: String,
        /// What happened.
        why: String,
    },
}

/// The result of asking.
pub(crate) type Result<T, E = ProviderError> = std::result::Result<T, E>;
